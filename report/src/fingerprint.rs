//! Fingerprints: what stays the same of a finding when lines move, registers change and numbers grow. Not a signature.

use crate::model::Finding;

/// 64-bit FNV-1a: tells findings apart, protects nothing.
fn fnv(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|p| p.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// A message without its numbers: `R3 invalid mem access` and `R4 invalid mem access` are one.
pub fn shape(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut in_number = false;
    for c in message.chars() {
        if c.is_ascii_digit() {
            if !in_number {
                out.push('#');
            }
            in_number = true;
        } else {
            in_number = false;
            out.push(c);
        }
    }
    out
}

/// The fingerprint of a finding: its rule, object and program, the text of its line, and its message's shape; neither line, column and
/// instruction nor kernels. Findings that are equal in all that are told apart by their order (`nth`).
pub fn fingerprint(f: &Finding, nth: usize) -> String {
    let place = f.place();
    let text: String = place.map(|p| p.text.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default();
    let file = place.and_then(|p| p.file.as_deref()).and_then(|f| f.rsplit('/').next()).unwrap_or("");
    let parts = [&f.rule, &f.object, &f.program, file, &text, &shape(&f.message), &nth.to_string()];
    format!("{:016x}", fnv(&parts.map(|p| p)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Place;

    fn finding(line: u32, text: &str, message: &str) -> Finding {
        let place = Place { file: Some("/a/x.c".into()), line, text: text.into(), ..Place::default() };
        Finding { rule: "BV1".into(), message: message.into(), places: vec![place], ..Finding::default() }
    }

    #[test]
    fn a_finding_keeps_its_fingerprint_when_lines_move() {
        let of = |line, text, message| fingerprint(&finding(line, text, message), 0);
        let first = of(10, "  x = *p;", "R3 invalid mem access");
        assert_eq!(first, of(12, "x =  *p;", "R14 invalid mem access"));
        assert_ne!(first, of(10, "  y = *p;", "R3 invalid mem access"));
        assert_ne!(first, of(10, "  x = *p;", "R3 !read_ok"));
        assert_ne!(first, fingerprint(&finding(10, "  x = *p;", "R3 invalid mem access"), 1));
    }
}
