//! The typed result of comparing two engines: agree, differ in something named, or not comparable for a stated reason.

use std::fmt;

use crate::input::{MapDump, Output};
use crate::judgement::Judgement;
use crate::logdiff::{LogDiff, first_difference};

/// What a comparison says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Agree,
    Differ(Vec<Difference>),
    NotComparable(String),
}

/// One thing in which two engines differ; `a` is the reference (the kernel), `b` the one under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The dangerous one: the reference refuses, the other accepts.
    FalseAccept {
        reference: String,
    },
    FalseReject {
        message: String,
    },
    Errno {
        a: i32,
        b: i32,
    },
    Message {
        a: String,
        b: String,
    },
    Count {
        what: &'static str,
        a: u64,
        b: u64,
    },
    Log(LogDiff),
    Retval {
        a: u32,
        b: u32,
    },
    Bytes {
        what: String,
        at: usize,
        a: Option<u8>,
        b: Option<u8>,
    },
    Events {
        a: usize,
        b: usize,
        first: usize,
    },
    /// The first element of a map that differs.
    Map {
        name: String,
        a: String,
        b: String,
    },
    /// One engine ran to the end, the other stopped.
    Fault {
        engine: &'static str,
        message: String,
    },
}

impl Difference {
    /// A short stable word, the `what` of ledger entries and tables.
    pub fn what(&self) -> &str {
        match self {
            Self::FalseAccept { .. } => "false accept",
            Self::FalseReject { .. } => "false reject",
            Self::Errno { .. } => "errno",
            Self::Message { .. } => "message",
            Self::Count { what, .. } => what,
            Self::Log(_) => "log",
            Self::Retval { .. } => "retval",
            Self::Bytes { what, .. } => what,
            Self::Events { .. } => "events",
            Self::Map { .. } => "map",
            Self::Fault { .. } => "fault",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FalseAccept { reference } => write!(f, "FALSE ACCEPT: the kernel says `{reference}`"),
            Self::FalseReject { message } => write!(f, "false reject: we say `{message}`"),
            Self::Errno { a, b } => write!(f, "errno {a} against {b}"),
            Self::Message { a, b } => write!(f, "message `{a}` against `{b}`"),
            Self::Count { what, a, b } => write!(f, "{what} {a} against {b}"),
            Self::Log(d) => write!(f, "log line {}: `{}` against `{}`", d.line, d.kernel, d.ours),
            Self::Retval { a, b } => write!(f, "returns {a:#x} against {b:#x}"),
            Self::Bytes { what, at, a, b } => {
                let byte = |v: &Option<u8>| v.map_or("nothing".to_owned(), |v| format!("{v:#04x}"));
                write!(f, "{what} at byte {at}: {} against {}", byte(a), byte(b))
            }
            Self::Events { a, b, first } => write!(f, "{a} events against {b}, first different: {first}"),
            Self::Map { name, a, b } => write!(f, "map {name}: {a} against {b}"),
            Self::Fault { engine, message } => write!(f, "{engine} stops: {message}"),
        }
    }
}

impl Outcome {
    fn of(differences: Vec<Difference>) -> Self {
        if differences.is_empty() { Self::Agree } else { Self::Differ(differences) }
    }

    pub fn agrees(&self) -> bool {
        *self == Self::Agree
    }

    /// Both outcomes in one: differences add up; not comparable only when nothing differs.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Differ(mut a), Self::Differ(b)) => {
                a.extend(b);
                Self::Differ(a)
            }
            (d @ Self::Differ(_), _) | (_, d @ Self::Differ(_)) => d,
            (n @ Self::NotComparable(_), _) | (_, n @ Self::NotComparable(_)) => n,
            (Self::Agree, Self::Agree) => Self::Agree,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agree => f.write_str("agree"),
            Self::Differ(d) => {
                for (i, d) in d.iter().enumerate() {
                    write!(f, "{}{d}", if i == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::NotComparable(why) => write!(f, "not comparable: {why}"),
        }
    }
}

/// Compares verdict, errno, message and counters; with `logs`, also the logs line by line (both must be of one level).
pub fn judgements(kernel: &Judgement, ours: &Judgement, logs: bool) -> Outcome {
    let mut d = Vec::new();
    if kernel.accepted != ours.accepted {
        d.push(match ours.accepted {
            true => Difference::FalseAccept { reference: last_line(kernel) },
            false => Difference::FalseReject { message: last_line(ours) },
        });
    } else if !kernel.accepted {
        if kernel.errno != ours.errno {
            d.push(Difference::Errno { a: kernel.errno, b: ours.errno });
        }
        if last_line(kernel) != last_line(ours) {
            d.push(Difference::Message { a: last_line(kernel), b: last_line(ours) });
        }
    }
    if kernel.accepted == ours.accepted {
        let counts = [
            ("insns", kernel.stats.insns_processed, ours.stats.insns_processed),
            ("total_states", kernel.stats.total_states, ours.stats.total_states),
            ("peak_states", kernel.stats.peak_states, ours.stats.peak_states),
            ("max_states_per_insn", kernel.stats.max_states_per_insn, ours.stats.max_states_per_insn),
        ];
        for (what, a, b) in counts {
            if let (Some(a), Some(b)) = (a, b)
                && a != b
            {
                d.push(Difference::Count { what, a, b });
            }
        }
    }
    if logs && let Some(l) = first_difference(&kernel.log, &ours.log) {
        d.push(Difference::Log(l));
    }
    Outcome::of(d)
}

fn last_line(j: &Judgement) -> String {
    crate::judgement::mask_addresses(j.message().lines().last().unwrap_or("").trim())
}

/// Compares what runs left behind. A part that only one side has is no difference: engines say as much as they can.
pub fn outputs(a: &Output, b: &Output) -> Outcome {
    let mut d = Vec::new();
    if a.retval != b.retval && !a.silent && !b.silent {
        d.push(Difference::Retval { a: a.retval, b: b.retval });
    }
    for (what, x, y) in [("data", &a.data, &b.data), ("ctx", &a.ctx, &b.ctx)] {
        if let (Some(x), Some(y)) = (x, y) {
            d.extend(bytes(what, x, y));
        }
    }
    if a.events != b.events {
        let first = a.events.iter().zip(&b.events).take_while(|(x, y)| x == y).count();
        d.push(Difference::Events { a: a.events.len(), b: b.events.len(), first });
    }
    Outcome::of(d)
}

/// Compares map contents, key by key. Per-CPU values are compared as the multiset of CPU slots, because engines run on one CPU of
/// their own choice.
pub fn maps(a: &[MapDump], b: &[MapDump]) -> Outcome {
    let mut d = Vec::new();
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        let (Some(ex), Some(ey)) = (&x.entries, &y.entries) else { continue };
        let name = if x.name.is_empty() { format!("map {i}") } else { format!("map {}", x.name) };
        if ex.len() != ey.len() {
            d.push(Difference::Count { what: "map entries", a: ex.len() as u64, b: ey.len() as u64 });
            continue;
        }
        for ((kx, vx), (ky, vy)) in ex.iter().zip(ey) {
            let key = bytes(&format!("{name} key"), kx, ky);
            let value = match x.per_cpu {
                true => per_cpu(&name, vx, vy),
                false => bytes(&format!("{name} value"), vx, vy),
            };
            if let Some(first) = key.or(value) {
                d.push(first);
                break;
            }
        }
    }
    Outcome::of(d)
}

/// CPU slots hold zeroes where nothing ran: compare the slots that hold something.
fn per_cpu(name: &str, a: &[u8], b: &[u8]) -> Option<Difference> {
    let set = |v: &[u8]| -> Vec<u8> { v.chunks(8).filter(|c| c.iter().any(|b| *b != 0)).flatten().copied().collect() };
    bytes(&format!("{name} per-CPU value"), &set(a), &set(b))
}

fn bytes(what: &str, a: &[u8], b: &[u8]) -> Option<Difference> {
    if a == b {
        return None;
    }
    let at = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    Some(Difference::Bytes { what: what.to_owned(), at, a: a.get(at).copied(), b: b.get(at).copied() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(accepted: bool, message: &str) -> Judgement {
        Judgement { accepted, errno: if accepted { 0 } else { -13 }, log: message.to_owned(), ..Default::default() }
    }

    #[test]
    fn a_false_accept_is_named_so() {
        let Outcome::Differ(d) = judgements(&judged(false, "R0 !read_ok\n"), &judged(true, ""), false) else {
            panic!()
        };
        assert_eq!(d, [Difference::FalseAccept { reference: "R0 !read_ok".into() }]);
    }

    #[test]
    fn same_refusal_with_other_words_differs() {
        assert!(judgements(&judged(false, "a\nb\n"), &judged(false, "c\nb\n"), false).agrees());
        assert!(!judgements(&judged(false, "a\n"), &judged(false, "b\n"), false).agrees());
    }

    #[test]
    fn outputs_compare_only_what_both_have() {
        let a = Output { data: Some(vec![1, 2]), ..Default::default() };
        assert!(outputs(&a, &Output::default()).agrees());
        let b = Output { data: Some(vec![1, 3]), ..Default::default() };
        assert_eq!(
            outputs(&a, &b),
            Outcome::Differ(vec![Difference::Bytes { what: "data".into(), at: 1, a: Some(2), b: Some(3) }])
        );
    }

    #[test]
    fn differing_wins_over_not_comparable() {
        let d = Outcome::Differ(vec![Difference::Retval { a: 1, b: 2 }]);
        assert_eq!(Outcome::NotComparable("x".into()).and(d.clone()), d);
        assert_eq!(Outcome::Agree.and(Outcome::NotComparable("x".into())), Outcome::NotComparable("x".into()));
    }
}
