//! The format string of bpf_snprintf, which is checked when the program is loaded.

use crate::env::Verifier;
use crate::reject::errno::{EFAULT, EINVAL};
use crate::reject::{R, Reject};

/// Whether the kernel would take this format with that many arguments.
fn is_valid(format: &[u8], args: u64) -> bool {
    let printable = |b: u8| b.is_ascii_graphic() || b == b' ' || (9..=13).contains(&b);
    if !format.iter().all(|b| printable(*b)) {
        return false;
    }
    let at = |i: usize| format.get(i).copied().unwrap_or(0);
    let ends = |b: u8| b == 0 || b.is_ascii_whitespace() || b == 11 || b.is_ascii_punctuation();
    let mut used = 0;
    let mut i = 0;
    while i < format.len() {
        if at(i) != b'%' {
            i += 1;
            continue;
        }
        if at(i + 1) == b'%' {
            i += 2;
            continue;
        }
        if used >= args {
            return false;
        }
        used += 1;
        i += 1;
        while matches!(at(i), b'0' | b'+' | b'-' | b' ') {
            i += 1;
        }
        if (b'1'..=b'9').contains(&at(i)) {
            while at(i).is_ascii_digit() {
                i += 1;
            }
        }
        match at(i) {
            b'p' => match (at(i + 1), at(i + 2)) {
                (b'k' | b'u', b's') if ends(at(i + 3)) => i += 3,
                (b'K' | b'x' | b's' | b'S' | b'B', _) => i += 2,
                (b'i' | b'I', b'4' | b'6') => i += 3,
                (next, _) if ends(next) => i += 1,
                _ => return false,
            },
            b's' if ends(at(i + 1)) => i += 1,
            b'c' => i += 1,
            _ => {
                for _ in 0..2 {
                    if at(i) == b'l' {
                        i += 1;
                    }
                }
                if !matches!(at(i), b'i' | b'd' | b'u' | b'x' | b'X') {
                    return false;
                }
                i += 1;
            }
        }
    }
    true
}

impl Verifier<'_> {
    /// R3 is the format (a constant string), R5 the size of the argument array.
    pub(super) fn check_snprintf(&mut self) -> R {
        let bytes = self.reg(5).val.var_off.value;
        if !bytes.is_multiple_of(8) {
            return Err(Reject::Silent { errno: EINVAL });
        }
        let reg = self.reg(3);
        let text = reg.map().and_then(|m| self.map(m).def.value0.clone()).unwrap_or_default();
        let at = usize::try_from(i64::from(reg.off).wrapping_add(reg.val.var_off.value as i64));
        let Ok(at) = at else { return Err(Reject::FormatAddress { errno: EFAULT }) };
        let tail = text.get(at..).unwrap_or_default();
        let format = tail.split(|b| *b == 0).next().unwrap_or_default();
        if is_valid(format, bytes / 8) { Ok(()) } else { Err(Reject::FormatInvalid) }
    }
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn specifiers() {
        for ok in ["%d", "%lld", "%-5d x", "%%", "%p", "%ps", "%pi4", "%s, %c", "%08x", "% u", "%pks %pus"] {
            assert!(is_valid(ok.as_bytes(), 2), "{ok}");
        }
        for bad in ["%f", "%z", "%hd", "%n", "%pq", "%pksx", "%sx", "%.2d", "%", "%l", "\x01", "é"] {
            assert!(!is_valid(bad.as_bytes(), 2), "{bad}");
        }
    }

    #[test]
    fn too_few_arguments() {
        assert!(is_valid(b"%d", 1) && is_valid(b"no arguments", 3));
        assert!(!is_valid(b"%d %d", 1));
    }
}
