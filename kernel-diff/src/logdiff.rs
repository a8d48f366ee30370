//! Two verifier logs side by side: where they first differ, and a key under which like differences fall together.

use crate::judgement::mask_addresses;

/// The first place where two logs part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDiff {
    /// Line number from 1.
    pub line: usize,
    pub kernel: String,
    pub ours: String,
    /// The nearest instruction line above that both print.
    pub after: String,
}

const END: &str = "<end>";

/// Compares line by line, addresses masked, trailing blanks ignored.
pub fn first_difference(kernel: &str, ours: &str) -> Option<LogDiff> {
    let lines =
        |s: &str| -> Vec<String> { s.trim_end_matches('\n').lines().map(|l| mask_addresses(l.trim_end())).collect() };
    let (k, o) = (lines(kernel), lines(ours));
    if k == o {
        return None;
    }
    let at = k.iter().zip(&o).take_while(|(a, b)| a == b).count();
    let pick = |v: &[String]| v.get(at).cloned().unwrap_or_else(|| END.to_owned());
    let is_insn = |l: &&String| l.split_once(": (").is_some_and(|(n, _)| n.bytes().all(|b| b.is_ascii_digit()));
    let after = k[..at].iter().rev().find(is_insn).cloned().unwrap_or_default();
    Some(LogDiff { line: at + 1, kernel: pick(&k), ours: pick(&o), after })
}

impl LogDiff {
    /// Same key, same kind: numbers are `N`, and of a line with register states only the words that differ remain.
    pub fn key(&self) -> String {
        let (k, o) = (words(&self.kernel), words(&self.ours));
        let head = |l: &str| l.split(' ').take(3).map(blank).collect::<Vec<_>>().join(" ");
        let kd: Vec<&String> = k.iter().filter(|w| !o.contains(w)).collect();
        let od: Vec<&String> = o.iter().filter(|w| !k.contains(w)).collect();
        let join = |v: &[&String]| v.iter().take(4).map(|w| blank(w)).collect::<Vec<_>>().join(" ");
        format!("{} | kernel: {} | ours: {}", head(&self.kernel), join(&kd), join(&od))
    }
}

fn words(line: &str) -> Vec<String> {
    line.split([' ', ',', '(', ')']).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

/// Every number becomes `N`.
fn blank(word: &str) -> String {
    let mut out = String::new();
    let mut in_number = false;
    for c in word.chars() {
        let part = c.is_ascii_digit() || (in_number && (c == 'x' || c.is_ascii_hexdigit()));
        if part && !in_number {
            out.push('N');
        } else if !part {
            out.push(c);
        }
        in_number = part;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logs_have_no_difference() {
        assert_eq!(first_difference("0: (95) exit \n", "0: (95) exit"), None);
    }

    #[test]
    fn a_missing_tail_is_a_difference() {
        let d = first_difference("0: (b7) r0 = 0\n1: (95) exit\n", "0: (b7) r0 = 0\n").unwrap();
        assert_eq!((d.line, d.kernel.as_str(), d.ours.as_str()), (2, "1: (95) exit", END));
        assert_eq!(d.after, "0: (b7) r0 = 0");
    }

    #[test]
    fn like_differences_have_one_key() {
        let a = first_difference("1: R1=scalar(smin=5,umax=7)", "1: R1=scalar(smin=5,umax=9)").unwrap();
        let b = first_difference("9: R1=scalar(smin=0,umax=0x1f)", "9: R1=scalar(smin=0,umax=33)").unwrap();
        assert_eq!(a.key(), b.key());
    }
}
