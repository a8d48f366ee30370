//! Values of a log in words a C programmer uses. What they prove is not said here.

use crate::log::state::Value;

/// `0 to 65,535`, `-128 or more`, `anything`.
pub fn range(v: &Value) -> String {
    if let Some(c) = v.constant.filter(|_| v.is_scalar()) {
        return grouped(i128::from(c));
    }
    let (low, high) = match (v.smin, v.smax, v.umin, v.umax) {
        (Some(l), Some(h), ..) if l >= 0 || h < i64::MAX => (Some(i128::from(l)), Some(i128::from(h))),
        (_, _, l, Some(h)) if h <= i64::MAX as u64 => (Some(i128::from(l.unwrap_or(0))), Some(i128::from(h))),
        (l, h, ..) => (l.map(i128::from), h.map(i128::from)),
    };
    let high = high.filter(|h| *h < i128::from(i64::MAX));
    let low = low.filter(|l| *l > i128::from(i64::MIN));
    match (low, high) {
        (Some(l), Some(h)) => format!("{} to {}", grouped(l), grouped(h)),
        (Some(l), None) => format!("{} or more, without a limit", grouped(l)),
        (None, Some(h)) => format!("at most {}, perhaps negative", grouped(h)),
        (None, None) => "any number".to_owned(),
    }
}

/// With thousands separators.
pub fn grouped(n: i128) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    if n < 0 { format!("-{out}") } else { out }
}

pub fn bytes(n: i64) -> String {
    if n == 1 { "1 byte".to_owned() } else { format!("{} bytes", grouped(n.into())) }
}

/// What a register is: `a packet pointer`, `a number`.
pub fn kind(v: &Value) -> String {
    let k = v.kind.as_str();
    let name = match k {
        "scalar" if v.constant.is_some() => return format!("the number {}", range(v)),
        "scalar" => "a number",
        "ctx" => "the context",
        "pkt" => "a packet pointer",
        "pkt_meta" => "a pointer to packet metadata",
        "pkt_end" => "the end of the packet",
        "map_value" => "a pointer to a map value",
        "map_ptr" => "a map",
        "fp" => "a pointer to the stack",
        "map_key" => "a pointer to a map key",
        "mem" | "rdonly_mem" | "alloc_mem" | "ringbuf_mem" => "a pointer to memory",
        "sock" | "sock_common" | "tcp_sock" | "xdp_sock" => "a socket",
        "" => return "unknown".to_owned(),
        _ if v.may_be_null() => {
            let base = Value { kind: k.replace("_or_null", ""), ..Value::default() };
            return format!("{} or NULL", kind(&base));
        }
        _ => match k.split_once("ptr_") {
            Some((_, s)) => return format!("a pointer to struct {}", s.trim_end_matches('_')),
            None => return format!("`{k}`"),
        },
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_read_like_sentences() {
        let said = |t: &str| range(&Value::parse(t));
        assert_eq!(said("scalar(smin=umin=0,smax=umax=65535,var_off=(0x0; 0xffff))"), "0 to 65,535");
        assert_eq!(said("scalar()"), "any number");
        assert_eq!(said("inv-7"), "-7");
        assert_eq!(said("scalar(smin=0xffffffff80000000,smax=15)"), "-2,147,483,648 to 15");
        assert_eq!(kind(&Value::parse("map_value_or_null(id=1,ks=4,vs=8)")), "a pointer to a map value or NULL");
    }
}
