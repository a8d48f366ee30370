//! Loops without an end, the verifier's budget, recursion.

use super::{Cause, Facts, Finding, Mark, Spot};
use crate::diagnosis::{Certainty, Role};
use crate::log::insn::{Op, Rhs};
use crate::words;

pub fn rule(f: &Facts<'_>) -> Option<Finding> {
    if recursion(f) || f.has("recursive call") || f.has("recursion") {
        return Some(f.rejected(
            Finding::sure(Cause::Lang, "functions call each other in a circle: BPF has no recursion")
                .because("every call chain must have an end that is known when the program is loaded")
                .fix("write it as a loop with a limit and a stack of your own in a map; or as tail calls (at most 33)"),
            "the call that closes the circle",
        ));
    }
    if f.has("infinite loop detected") || f.has("back-edge from insn") {
        return Some(endless(f));
    }
    let budget = f.has("too large")
        || f.has("too complex")
        || f.has("too many states")
        || f.has("too big")
        || f.has("Argument list too long");
    if budget && !f.has("stack") {
        return Some(complex(f));
    }
    None
}

/// Whether a back edge or too deep a chain of calls is a function that calls itself.
fn recursion(f: &Facts<'_>) -> bool {
    let calls = |n: u32| f.extra.text(n).is_some_and(|t| matches!(Op::parse(t), Op::Call { .. }));
    if let Some((_, rest)) = f.text.split_once("back-edge from insn ") {
        return rest.split_whitespace().next().and_then(|n| n.parse().ok()).is_some_and(calls);
    }
    if !f.has("frames is too deep") {
        return false;
    }
    circle(f)
}

/// Whether functions of the listing call each other in a circle.
fn circle(f: &Facts<'_>) -> bool {
    let calls: Vec<(u32, u32)> = (f.extra.listing.iter())
        .filter_map(|(n, text)| match Op::parse(text) {
            Op::Call { by } => Some((*n, (i64::from(*n) + 1 + i64::from(by)) as u32)),
            _ => None,
        })
        .collect();
    let function = |n: u32| calls.iter().map(|c| c.1).chain([0]).filter(|s| *s <= n).max().unwrap_or(0);
    let edges: Vec<(u32, u32)> = calls.iter().map(|c| (function(c.0), c.1)).collect();
    edges.iter().any(|(from, to)| {
        let mut reached = vec![*to];
        let mut at = 0;
        while at < reached.len() {
            let now = reached[at];
            let new: Vec<u32> = edges.iter().filter(|e| e.0 == now && !reached.contains(&e.1)).map(|e| e.1).collect();
            reached.extend(new);
            at += 1;
        }
        reached.contains(from)
    })
}

/// The back edge of the innermost loop that the path is in: the step that jumps back, and the loop's head.
fn back_edge(f: &Facts<'_>) -> Option<(usize, u32)> {
    let steps = &f.path.steps;
    let last = steps.last()?;
    // The newest jump backwards whose loop the refused instruction is in.
    (1..steps.len()).rev().take(100_000).find_map(|i| {
        let (from, to) = (steps[i - 1], steps[i]);
        let inside = to.insn <= last.insn && last.insn <= from.insn.max(last.insn);
        (to.frame == from.frame
            && to.insn <= from.insn
            && matches!(from.op, Op::Jump { .. } | Op::Goto { .. })
            && inside)
            .then_some((i - 1, to.insn))
    })
}

fn endless(f: &Facts<'_>) -> Finding {
    let old = f.has("back-edge");
    let mut found = if old {
        Finding::sure(Cause::Loop, "a loop, where this kernel or program allows none")
            .because("a jump backwards was found before any path was looked at: before Linux 5.3, and without privileges, loops are refused as such")
    } else {
        Finding::sure(Cause::Loop, "this loop may never end: a turn changes nothing that the verifier can see")
            .because("the state at the loop's head was the same after a turn as before it, so another turn would be the same again")
    };
    let head = f.number("detected at insn").map(|n| n as u32);
    let (from, to) = match f.text.split_once("back-edge from insn ") {
        Some((_, rest)) => {
            let mut n = rest.split(" to ").filter_map(|w| w.split_whitespace().next()?.parse::<u32>().ok());
            (n.next(), n.next())
        }
        None => (None, head),
    };
    let edge = back_edge(f);
    // The condition of the loop: the jump in it that leaves it or goes back.
    let turn: Vec<usize> = match (edge, to) {
        (Some((back, head)), _) => {
            (0..=back).rev().take_while(|i| f.path.steps[*i].insn != head || *i == back).take(4096).collect()
        }
        _ => Vec::new(),
    };
    match (edge, from, to) {
        (Some((back, head)), ..) => {
            found.marks.push(Mark {
                role: Role::Loop,
                spot: Spot::Insn(head, source_at(f, head)),
                label: "the loop begins here".into(),
            });
            if f.path.steps[back].insn != head {
                found = found.mark(Role::Rejected, back, "and goes back here");
            }
        }
        (None, from, Some(to)) => {
            found.marks.push(Mark {
                role: Role::Loop,
                spot: Spot::Insn(to, None),
                label: "the loop begins here".into(),
            });
            if let Some(from) = from.filter(|from| *from != to) {
                found.marks.push(Mark {
                    role: Role::Rejected,
                    spot: Spot::Insn(from, None),
                    label: "and goes back here".into(),
                });
            }
        }
        _ => found = f.rejected(found, "in this loop"),
    }
    // A number that the condition compares with: where the limit should come from.
    let limit = turn.iter().find_map(|i| match f.path.steps[*i].op {
        Op::Jump { left, right, .. } => Some((*i, left, right)),
        _ => None,
    });
    if let Some((i, left, right)) = limit
        && !old
    {
        let changes = turn.iter().any(|t| f.path.steps[*t].op.writes() == Some(left));
        if !changes {
            found = found.because(format!("R{left}, which the condition looks at, is not changed in the loop"));
        } else if let Rhs::Reg(r) = right {
            found = found.because(format!("the limit in R{r} is not a known number"));
        }
        let _ = i;
    }
    found
        .fix("give the loop a limit that is a constant: `for (int i = 0; i < 32; i++) { ...; if (done) break; }`")
        .fix("or leave the iterations to the kernel: bpf_loop() (Linux 5.17), bpf_for() (6.4), `can_loop` (6.9)")
}

fn source_at(f: &Facts<'_>, insn: u32) -> Option<crate::log::Source> {
    let step = f.path.steps.iter().position(|s| s.insn == insn)?;
    f.source(step).cloned()
}

fn complex(f: &Facts<'_>) -> Finding {
    let jumps = f.has("jumps is too complex") || f.has("8193") || f.has("8192");
    let small = f.has("at most 4096") || f.has("4096 insn");
    let title = if small {
        "the program has more instructions than this kernel takes (4,096 before Linux 5.2, and without privileges)"
    } else if jumps {
        "more than 8,192 branches wait to be looked at on one path"
    } else {
        "the verifier looked at a million instructions and had not seen all paths"
    };
    let mut found = Finding::sure(Cause::Complex, title)
        .because("what counts is not the program's size but how often its instructions are looked at: once per path and per turn of a loop, as long as states differ");
    // What was looked at most often.
    let hot: Vec<(u32, u64)> = if f.extra.hot.is_empty() { counted(f) } else { f.extra.hot.clone() };
    let total: u64 = hot.iter().map(|h| h.1).sum();
    let mut lines: Vec<(Option<crate::log::Source>, u32, u64)> = Vec::new();
    for (insn, n) in &hot {
        let source = source_at(f, *insn).or_else(|| f.extra.source(*insn).cloned());
        match lines.iter_mut().find(|l| source.is_some() && l.0 == source) {
            Some(l) => l.2 += n,
            None => lines.push((source, *insn, *n)),
        }
    }
    lines.sort_by_key(|l| std::cmp::Reverse(l.2));
    let edge = back_edge(f);
    if let Some((_, head)) = edge {
        found.marks.push(Mark {
            role: Role::Loop,
            spot: Spot::Insn(head, source_at(f, head)),
            label: "this loop was still going when the budget ran out".into(),
        });
    }
    // The loop that was gone through most often: its jump back.
    let back = hot.iter().filter_map(|(n, times)| match Op::parse(f.extra.text(*n)?) {
        Op::Jump { by, .. } | Op::Goto { by } if by < 0 => Some((*times, (i64::from(*n) + 1 + i64::from(by)) as u32)),
        _ => None,
    });
    if let Some((times, head)) = back.max()
        && edge.is_none()
    {
        let label = format!("the loop begins here: {} turns were looked at", words::grouped(times.into()));
        found.marks.push(Mark { role: Role::Loop, spot: Spot::Insn(head, None), label });
    }
    for (source, insn, n) in lines.into_iter().take(3).filter(|l| l.2 * 20 >= total && total > 0) {
        let label = format!("looked at {} times ({} %)", words::grouped(n.into()), n * 100 / total.max(1));
        if !found.marks.iter().any(|m| matches!(&m.spot, Spot::Insn(i, _) if *i == insn)) {
            found.marks.push(Mark { role: Role::Loop, spot: Spot::Insn(insn, source), label });
        }
    }
    if found.marks.is_empty() {
        found.certainty = Certainty::Likely;
        found = f.rejected(found, "the budget ran out here");
    }
    found
        .fix("turn loops into bpf_loop() (Linux 5.17) or bpf_for() (6.4): their body is looked at about twice, whatever the number of turns")
        .fix("put parts into global functions (not static): each is verified once, alone; or split the program with tail calls")
        .note("`bpfverdict verify --profile` shows which lines, loops and branches the instructions went to")
}

/// How often each instruction is in the log.
fn counted(f: &Facts<'_>) -> Vec<(u32, u64)> {
    let mut counts = std::collections::BTreeMap::new();
    for s in &f.path.refusal.steps {
        *counts.entry(s.insn).or_insert(0u64) += 1;
    }
    counts.into_iter().filter(|c| c.1 > 1).collect()
}
