//! Strings: numbers from text, comparison.

use spec::Errno;

use super::print::constant_string;
use super::{Family, errno};
use crate::fault::Fault;
use crate::run::Run;

pub const FAMILY: Family = &[(105, strtol), (106, strtoul), (182, strncmp)];

/// A parsed number: bytes used, sign, magnitude.
struct Number {
    used: usize,
    negative: bool,
    value: u64,
}

fn parse(text: &[u8], flags: u64) -> Result<Number, Errno> {
    if flags & !0x1f != 0 || !matches!(flags, 0 | 8 | 10 | 16) || text.is_empty() {
        return Err(Errno::EINVAL);
    }
    let skipped = text.iter().take_while(|b| b.is_ascii_whitespace() || **b == 0x0b).count();
    let mut rest = &text[skipped..];
    let negative = rest.first() == Some(&b'-');
    if negative {
        rest = &rest[1..];
    }
    // The kernel looks at no more than 63 bytes from here.
    let rest = &rest[..rest.len().min(63)];
    let hex = rest.len() > 2 && rest[0] == b'0' && rest[1] | 0x20 == b'x' && rest[2].is_ascii_hexdigit();
    let (base, prefix) = match flags {
        0 if hex => (16, 2),
        0 if rest.first() == Some(&b'0') => (8, 0),
        0 => (10, 0),
        16 if rest.len() > 1 && rest[0] == b'0' && rest[1] | 0x20 == b'x' => (16, 2),
        n => (n as u32, 0),
    };
    let digits = rest[prefix..].iter().map_while(|b| char::from(*b).to_digit(base));
    let mut count = 0;
    let mut value: Option<u64> = Some(0);
    for d in digits {
        count += 1;
        value = value.and_then(|v| v.checked_mul(base.into())?.checked_add(d.into()));
    }
    if count == 0 {
        return Err(Errno::EINVAL);
    }
    let value = value.ok_or(Errno::ERANGE)?;
    Ok(Number { used: skipped + usize::from(negative) + prefix + count, negative, value })
}

fn finish(run: &mut Run<'_>, to: u64, result: Result<(usize, u64), Errno>) -> Result<u64, Fault> {
    let (answer, value) = match result {
        Ok((used, value)) => (used as u64, value),
        Err(e) => (errno(e), 0),
    };
    run.write(to, &value.to_le_bytes())?;
    Ok(answer)
}

fn strtol(run: &mut Run<'_>, [text, len, flags, to, _]: [u64; 5]) -> Result<u64, Fault> {
    let text = run.bytes(text, u64::from(len as u32))?;
    let result = parse(&text, flags).and_then(|n| {
        let signed = if n.negative { (n.value as i64).wrapping_neg() } else { n.value as i64 };
        let wrong_sign = if n.negative { signed > 0 } else { signed < 0 };
        if wrong_sign { Err(Errno::ERANGE) } else { Ok((n.used, signed as u64)) }
    });
    finish(run, to, result)
}

fn strtoul(run: &mut Run<'_>, [text, len, flags, to, _]: [u64; 5]) -> Result<u64, Fault> {
    let text = run.bytes(text, u64::from(len as u32))?;
    let result = parse(&text, flags).and_then(|n| if n.negative { Err(Errno::EINVAL) } else { Ok((n.used, n.value)) });
    finish(run, to, result)
}

/// -1, 0 or 1.
fn strncmp(run: &mut Run<'_>, [a, len, b, ..]: [u64; 5]) -> Result<u64, Fault> {
    let a = run.bytes(a, u64::from(len as u32))?;
    let b = constant_string(run, b)?;
    for (i, &x) in a.iter().enumerate() {
        let y = b.get(i).copied().unwrap_or(0);
        if x != y {
            return Ok(if x < y { -1i64 as u64 } else { 1 });
        }
        if x == 0 {
            break;
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, base: u64) -> Result<(usize, bool, u64), Errno> {
        parse(text.as_bytes(), base).map(|n| (n.used, n.negative, n.value))
    }

    #[test]
    fn numbers_as_the_kernel_reads_them() {
        assert_eq!(parsed("  -0x1fz", 0), Ok((7, true, 0x1f)));
        assert_eq!(parsed("010", 0), Ok((3, false, 8)));
        assert_eq!(parsed("010", 10), Ok((3, false, 10)));
        assert_eq!(parsed("9", 8), Err(Errno::EINVAL));
        assert_eq!(parsed("18446744073709551616", 10), Err(Errno::ERANGE));
        assert_eq!(parsed("5", 7), Err(Errno::EINVAL));
        assert_eq!(parsed("-", 10), Err(Errno::EINVAL));
    }
}
