//! The kernel's format strings as BPF may use them (trace_printk, snprintf, seq_printf). Not here: where the text goes.

use spec::Errno;

use crate::run::Run;

/// One conversion.
#[derive(Debug, Default)]
struct Spec {
    zero: bool,
    left: bool,
    plus: bool,
    space: bool,
    width: usize,
    /// 4 bytes without `l`, 8 with.
    long: bool,
}

/// Formats; `args` are 64-bit slots.
pub fn format(run: &mut Run<'_>, fmt: &[u8], args: &[u64]) -> Result<Vec<u8>, Errno> {
    let Some(end) = fmt.iter().position(|b| *b == 0) else { return Err(Errno::EINVAL) };
    let fmt = &fmt[..end];
    if fmt.iter().any(|b| b.is_ascii_control() && !(9..=13).contains(b)) {
        return Err(Errno::EINVAL);
    }
    let mut out = Vec::new();
    let mut args = args.iter().copied();
    let mut at = 0;
    while at < fmt.len() {
        if fmt[at] != b'%' {
            out.push(fmt[at]);
            at += 1;
            continue;
        }
        if fmt.get(at + 1) == Some(&b'%') {
            out.push(b'%');
            at += 2;
            continue;
        }
        let arg = args.next().ok_or(Errno::EINVAL)?;
        at = conversion(run, fmt, at + 1, arg, &mut out)?;
    }
    Ok(out)
}

/// The conversion whose `%` stands before `at`; the position behind it.
fn conversion(run: &mut Run<'_>, fmt: &[u8], mut at: usize, arg: u64, out: &mut Vec<u8>) -> Result<usize, Errno> {
    let mut spec = Spec::default();
    let peek = |at: usize| fmt.get(at).copied().unwrap_or(0);
    while matches!(peek(at), b'0' | b'+' | b'-' | b' ') {
        match peek(at) {
            b'0' => spec.zero = true,
            b'+' => spec.plus = true,
            b'-' => spec.left = true,
            _ => spec.space = true,
        }
        at += 1;
    }
    while peek(at).is_ascii_digit() {
        spec.width = (spec.width * 10 + usize::from(peek(at) - b'0')).min(1 << 12);
        at += 1;
    }
    match peek(at) {
        b'p' => return pointer(run, fmt, at + 1, &spec, arg, out),
        b's' => {
            let text = string(run, arg, false);
            pad(&spec, &text, out);
            return Ok(at + 1);
        }
        b'c' => {
            pad(&spec, &[arg as u8], out);
            return Ok(at + 1);
        }
        _ => {}
    }
    if peek(at) == b'l' {
        spec.long = true;
        at += 1;
        if peek(at) == b'l' {
            at += 1;
        }
    }
    number(&spec, peek(at), arg, out)?;
    Ok(at + 1)
}

fn number(spec: &Spec, conversion: u8, arg: u64, out: &mut Vec<u8>) -> Result<(), Errno> {
    let value = if spec.long { arg } else { u64::from(arg as u32) };
    let signed = if spec.long { arg as i64 } else { i64::from(arg as i32) };
    let (sign, digits) = match conversion {
        b'd' | b'i' => {
            let sign = match signed {
                ..0 => "-",
                _ if spec.plus => "+",
                _ if spec.space => " ",
                _ => "",
            };
            (sign, signed.unsigned_abs().to_string())
        }
        b'u' => ("", value.to_string()),
        b'x' => ("", format!("{value:x}")),
        b'X' => ("", format!("{value:X}")),
        _ => return Err(Errno::EINVAL),
    };
    let used = sign.len() + digits.len();
    if spec.zero && !spec.left {
        out.extend(sign.as_bytes());
        out.resize(out.len() + spec.width.saturating_sub(used), b'0');
        out.extend(digits.as_bytes());
    } else {
        pad(spec, &[sign.as_bytes(), digits.as_bytes()].concat(), out);
    }
    Ok(())
}

fn pad(spec: &Spec, text: &[u8], out: &mut Vec<u8>) {
    let fill = spec.width.saturating_sub(text.len());
    if !spec.left {
        out.resize(out.len() + fill, b' ');
    }
    out.extend(text);
    if spec.left {
        out.resize(out.len() + fill, b' ');
    }
}

/// A string of at most 512 bytes; what cannot be read is empty.
fn string(run: &mut Run<'_>, addr: u64, user: bool) -> Vec<u8> {
    let mut text = Vec::new();
    for i in 0..512 {
        let byte = if user { run.world.user_byte(addr + i) } else { run.load(addr + i, 1).ok().map(|b| b as u8) };
        match byte {
            Some(b) if b != 0 => text.push(b),
            _ => break,
        }
    }
    text
}

/// `%p` and its extensions; `at` is behind the `p`. Letters and digits behind an extension are swallowed, as the kernel's printf does.
fn pointer(run: &mut Run<'_>, fmt: &[u8], at: usize, spec: &Spec, arg: u64, out: &mut Vec<u8>) -> Result<usize, Errno> {
    let rest = &fmt[at..];
    let word = rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    let text = match rest {
        [b'k' | b'u', b's', ..] => string(run, arg, rest[0] == b'u'),
        [b'i' | b'I', b'4' | b'6', ..] => address(run, rest[0] == b'i', rest[1] == b'6', arg)?.into_bytes(),
        [b's' | b'S' | b'B', ..] => format!("0x{arg:x}").into_bytes(),
        [b'x', ..] => hexadecimal(spec, arg).into_bytes(),
        [b'K', ..] => hexadecimal(spec, hashed(run, arg)).into_bytes(),
        _ if word == 0 => hexadecimal(spec, hashed(run, arg)).into_bytes(),
        _ => return Err(Errno::EINVAL),
    };
    pad(spec, &text, out);
    Ok(at + word)
}

/// All 16 digits, unless a width was asked for.
fn hexadecimal(spec: &Spec, n: u64) -> String {
    if spec.width == 0 { format!("{n:016x}") } else { format!("{n:x}") }
}

/// An IP address; `dense` is the form without separators (IPv6) or with leading zeroes (IPv4).
fn address(run: &mut Run<'_>, dense: bool, v6: bool, addr: u64) -> Result<String, Errno> {
    let bytes = run.bytes(addr, if v6 { 16 } else { 4 }).map_err(|_| Errno::EFAULT)?;
    Ok(match (dense, v6) {
        (false, false) => bytes.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        (true, false) => bytes.iter().map(|b| format!("{b:03}")).collect::<Vec<_>>().join("."),
        (false, true) => bytes.chunks(2).map(|c| format!("{:02x}{:02x}", c[0], c[1])).collect::<Vec<_>>().join(":"),
        (true, true) => bytes.iter().map(|b| format!("{b:02x}")).collect(),
    })
}

/// The kernel hides addresses behind a keyed hash of 32 bits; the world's seed is the key here.
fn hashed(run: &Run<'_>, addr: u64) -> u64 {
    (addr ^ run.world.values.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}
