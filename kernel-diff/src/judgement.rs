//! A verdict on a program with the numbers around it, and the reading of a verifier log's statistics lines. Comparing is in
//! `outcome` and `logdiff`.

use serde::{Deserialize, Serialize};

/// What an engine said to a load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    pub accepted: bool,
    /// Negative errno of the refusal, 0 when accepted.
    pub errno: i32,
    /// The log without its statistics lines.
    pub log: String,
    pub stats: Stats,
}

impl Judgement {
    /// Takes a raw log apart: cut at the first NUL, statistics read and removed.
    pub fn from_log(accepted: bool, errno: i32, raw: &[u8]) -> Self {
        let end = raw.iter().position(|b| *b == 0).unwrap_or(raw.len());
        let text = String::from_utf8_lossy(&raw[..end]);
        let mut stats = Stats::default();
        let mut log = String::with_capacity(text.len());
        for line in text.lines() {
            let kept = if stats.take_line(line) { "" } else { &line[..stats.take_glued(line).unwrap_or(line.len())] };
            if !kept.is_empty() || line.is_empty() {
                log.push_str(kept);
                log.push('\n');
            }
        }
        Self { accepted, errno, log, stats }
    }

    /// The lines of the message: the log at level 0 or 4 holds nothing else.
    pub fn message(&self) -> &str {
        self.log.trim_end()
    }
}

/// Statistics that the kernel prints at the end of a log. `None`: the log had no such line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub insns_processed: Option<u64>,
    pub max_states_per_insn: Option<u64>,
    pub total_states: Option<u64>,
    pub peak_states: Option<u64>,
    pub mark_read: Option<u64>,
    /// As printed, per subprogram: `8+16+0`.
    pub stack_depth: Option<String>,
    /// Of the deepest call chain; newer kernels print it.
    pub max_stack_depth: Option<u64>,
    /// As printed, per function that is walked on its own: `31+2`; newer kernels print it.
    pub insns_by_function: Option<String>,
    pub verification_us: Option<u64>,
}

impl Stats {
    /// One refusal, `expected prog array map for tail call`, ends without a newline: the first statistics line is glued to it.
    /// Reads that line; where it begins.
    fn take_glued(&mut self, line: &str) -> Option<usize> {
        const STARTS: [&str; 4] = ["verification time ", "stack depth ", "insns processed ", "processed "];
        STARTS.iter().filter_map(|s| line.rfind(s)).find(|at| self.take_line(&line[*at..]))
    }

    /// Reads one line; false when it is not a statistics line.
    fn take_line(&mut self, line: &str) -> bool {
        if let Some(rest) = line.strip_prefix("verification time ") {
            self.verification_us = rest.strip_suffix(" usec").and_then(|n| n.parse().ok());
            return self.verification_us.is_some();
        }
        if let Some(max) = line.strip_prefix("stack depth max ").and_then(|n| n.parse().ok()) {
            self.max_stack_depth = Some(max);
            return true;
        }
        if let Some(depth) = subprog_stack(line) {
            let before = self.stack_depth.take();
            self.stack_depth = Some(before.map_or_else(|| depth.to_owned(), |b| format!("{b}+{depth}")));
            return true;
        }
        if let Some(rest) = line.strip_prefix("stack depth ") {
            let (depths, max) = match rest.split_once(" max ") {
                Some((depths, max)) => (depths, Some(max.parse().ok())),
                None => (rest, None),
            };
            if !is_sum(depths) || max == Some(None) {
                return false;
            }
            self.stack_depth = Some(depths.to_owned());
            self.max_stack_depth = max.flatten();
            return true;
        }
        if let Some(rest) = line.strip_prefix("insns processed ").filter(|rest| is_sum(rest)) {
            self.insns_by_function = Some(rest.to_owned());
            return true;
        }
        let words: Vec<&str> = line.split(' ').collect();
        let [
            "processed",
            insns,
            "insns",
            "(limit",
            _,
            "max_states_per_insn",
            max,
            "total_states",
            total,
            "peak_states",
            peak,
            "mark_read",
            mark,
        ] = words[..]
        else {
            return false;
        };
        let number = |w: &str| w.parse().ok();
        self.insns_processed = number(insns);
        self.max_states_per_insn = number(max);
        self.total_states = number(total);
        self.peak_states = number(peak);
        self.mark_read = number(mark);
        true
    }
}

/// Numbers with `+` between them.
fn is_sum(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'+')
}

/// Replaces what differs from boot to boot: the address that a `lddw` loads (`(18) r1 = 0xffff...`, sixteen digits) becomes `0xADDR`.
/// Nothing else: bounds of scalars look alike and must be compared.
pub fn mask_addresses(line: &str) -> String {
    const START: &str = "= 0xffff";
    let at = line.find("(18) r").and_then(|i| line[i..].find(START).map(|j| i + j + 2));
    match at {
        Some(at) if line[at + 2..].bytes().take_while(u8::is_ascii_hexdigit).count() == 16 => {
            format!("{}0xADDR{}", &line[..at], &line[at + 18..])
        }
        _ => line.to_owned(),
    }
}

/// What a function's frame takes, of a line as 7.3 prints for each: `subprog 0 (main) main insns_self 3 insns_total 3 stack 8`.
fn subprog_stack(line: &str) -> Option<&str> {
    let words: Vec<&str> = line.strip_prefix("subprog ")?.split(' ').collect();
    let [.., "insns_self", own, "insns_total", total, "stack", depth] = words[..] else { return None };
    [own, total, depth].iter().all(|n| n.parse::<u64>().is_ok()).then_some(depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read_and_removed() {
        let raw = b"R0 !read_ok\nverification time 37 usec\nstack depth 8+0\nprocessed 3 insns (limit 1000000) max_states_per_insn 1 total_states 2 peak_states 4 mark_read 5\n\0stale";
        let j = Judgement::from_log(false, -13, raw);
        assert_eq!(j.message(), "R0 !read_ok");
        assert_eq!(
            j.stats,
            Stats {
                insns_processed: Some(3),
                max_states_per_insn: Some(1),
                total_states: Some(2),
                peak_states: Some(4),
                mark_read: Some(5),
                stack_depth: Some("8+0".into()),
                verification_us: Some(37),
                ..Stats::default()
            }
        );
    }

    #[test]
    fn newer_kernels_print_more_statistics() {
        let j = Judgement::from_log(true, 0, b"stack depth 8+0 max 16\ninsns processed 6+5\n");
        let Stats { stack_depth, max_stack_depth, insns_by_function, .. } = j.stats;
        assert_eq!((stack_depth.as_deref(), max_stack_depth), (Some("8+0"), Some(16)));
        assert_eq!((insns_by_function.as_deref(), j.log.as_str()), (Some("6+5"), ""));
    }

    #[test]
    fn a_message_without_newline_is_parted_from_the_statistics() {
        let j = Judgement::from_log(false, -22, b"no newline hereverification time 9 usec\nstack depth 8\n");
        assert_eq!((j.message(), j.stats.verification_us), ("no newline here", Some(9)));
    }

    #[test]
    fn look_alikes_stay_in_the_log() {
        let raw = b"stack depth of 2 frames\nstack depth 8 max all\ninsns processed none\nprocessed nothing\n";
        assert_eq!(Judgement::from_log(true, 0, raw).log.as_bytes(), raw);
    }

    #[test]
    fn only_loaded_addresses_are_masked() {
        assert_eq!(mask_addresses("3: (18) r1 = 0xffff888012345678 ; R1=x"), "3: (18) r1 = 0xADDR ; R1=x");
        for same in ["3: (18) r1 = 0xffff", "1: (b7) r1 = 0xffff888012345678", "R1=scalar(umax=0xffffffffffffffff)"] {
            assert_eq!(mask_addresses(same), same);
        }
    }

    #[test]
    fn statistics_of_functions_are_no_message() {
        let raw = b"R0 !read_ok\nstack depth max 32\nsubprog 0 (main) main insns_self 2 insns_total 5 stack 24\n\
            subprog 1 (<unknown>) static insns_self 3 insns_total 3 stack 8\n";
        let j = Judgement::from_log(false, -13, raw);
        assert_eq!((j.message(), j.stats.stack_depth.as_deref()), ("R0 !read_ok", Some("24+8")));
        assert_eq!(j.stats.max_stack_depth, Some(32));
        let j = Judgement::from_log(false, -22, b"subprog 0 is odd\n");
        assert_eq!(j.message(), "subprog 0 is odd");
    }
}
