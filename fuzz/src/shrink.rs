//! Making a program smaller while a property holds. Knows how to take slots out of a program with its jumps and calls mended;
//! what the property is, is the caller's.

use isa::Insn;
use isa::consts::*;
use program::Program;

use crate::mutate::has_loop;

/// Takes slots `from..to` out. `None` when a `lddw` would be torn, or nothing would be left.
pub fn without(program: &Program, from: usize, to: usize) -> Option<Program> {
    let insns = &program.insns;
    let starts = starts(insns);
    let torn = |at: usize| at < insns.len() && !starts[at];
    if from >= to || to > insns.len() || to - from >= insns.len() || torn(from) || torn(to) {
        return None;
    }
    let place = |old: i64| -> i64 {
        if old <= from as i64 {
            old
        } else if old < to as i64 {
            from as i64
        } else {
            old - (to - from) as i64
        }
    };
    let mut out = program.clone();
    out.insns.clear();
    out.line_info = Default::default();
    mend_functions(&mut out.func_info, place);
    for (slot, insn) in insns.iter().enumerate() {
        if (from..to).contains(&slot) {
            continue;
        }
        let mut insn = *insn;
        if starts[slot] {
            let here = place(slot as i64);
            let moved = |distance: i64| place(slot as i64 + 1 + distance) - here - 1;
            match reach(&insn) {
                Reach::Off => insn.off = i16::try_from(moved(insn.off.into())).ok()?,
                Reach::Imm => insn.imm = i32::try_from(moved(insn.imm.into())).ok()?,
                Reach::None => {}
            }
        }
        out.insns.push(insn);
    }
    Some(out)
}

/// Moves the starts of functions; of functions that fell together the last stays.
fn mend_functions(table: &mut program::InfoTable, place: impl Fn(i64) -> i64) {
    let mut rows: Vec<Vec<u32>> = table.rows().collect();
    for row in &mut rows {
        row[0] = place(row[0].into()) as u32;
    }
    let kept = (0..rows.len()).filter(|i| rows.get(i + 1).is_none_or(|next| next[0] != rows[*i][0]));
    table.bytes = kept.flat_map(|i| rows[i].iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>()).collect();
}

/// Which slots begin an instruction.
fn starts(insns: &[Insn]) -> Vec<bool> {
    let mut out = vec![true; insns.len()];
    for i in 1..insns.len() {
        out[i] = !(out[i - 1] && insns[i - 1].code == LDIMM64);
    }
    out
}

/// Which field of an instruction counts slots.
enum Reach {
    None,
    Off,
    Imm,
}

fn reach(insn: &Insn) -> Reach {
    match (class(insn.code), insn.code & 0xf0) {
        (BPF_JMP, BPF_EXIT) => Reach::None,
        (BPF_JMP, BPF_CALL) if insn.src == BPF_PSEUDO_CALL => Reach::Imm,
        (BPF_JMP, BPF_CALL) => Reach::None,
        (BPF_JMP32, BPF_JA) => Reach::Imm,
        (BPF_JMP | BPF_JMP32, _) => Reach::Off,
        _ if insn.code == LDIMM64 && insn.src == BPF_PSEUDO_FUNC => Reach::Imm,
        _ => Reach::None,
    }
}

/// The smallest program found for which `holds`; tries at most `tries` candidates.
pub fn shrink(program: &Program, tries: usize, mut holds: impl FnMut(&Program) -> bool) -> Program {
    let mut best = program.clone();
    let mut left = tries;
    let mut chunk = best.insns.len() / 2;
    while chunk > 0 && left > 0 {
        let mut at = best.insns.len();
        let mut progress = false;
        while at > 0 && left > 0 {
            let from = at.saturating_sub(chunk);
            if let Some(candidate) = without(&best, from, at)
                && !unbounds_a_loop(&best, from, at, &candidate)
            {
                left -= 1;
                if holds(&candidate) {
                    best = candidate;
                    progress = true;
                }
            }
            at = from.min(best.insns.len());
        }
        if !progress || chunk > 1 {
            chunk = if chunk == 1 { 0 } else { chunk / 2 };
        }
    }
    best
}

/// Without a step or a start of its counter a loop may not end. Where each round can also fork (AND and OR do), that is how a kernel is
/// crashed, so such a candidate must leave everything that looks like a loop or a counter alone.
fn unbounds_a_loop(before: &Program, from: usize, to: usize, candidate: &Program) -> bool {
    if !has_loop(&candidate.insns) || !candidate.insns.iter().any(forks) {
        return false;
    }
    let insns = &before.insns;
    let in_a_loop = |slot: usize| {
        insns.iter().enumerate().any(|(at, i)| {
            let back = matches!(reach(i), Reach::Off) && i.off < 0;
            back && slot <= at && slot as i64 > at as i64 + i64::from(i.off)
        })
    };
    (from..to).any(|slot| counts(&insns[slot]) || in_a_loop(slot))
}

fn forks(insn: &Insn) -> bool {
    matches!(class(insn.code), BPF_ALU | BPF_ALU64) && matches!(insn.code & 0xf0, BPF_AND | BPF_OR)
}

/// Writes what the generator counts rounds in: r7-r9, or stack below its ordinary slots.
fn counts(insn: &Insn) -> bool {
    match class(insn.code) {
        BPF_ALU | BPF_ALU64 | BPF_LDX | BPF_LD => (7..=9).contains(&insn.dst),
        BPF_ST | BPF_STX => insn.dst == REG_FP && insn.off <= -96,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit;

    fn program(insns: Vec<Insn>) -> Program {
        Program { insns, ..Program::default() }
    }

    #[test]
    fn jumps_are_mended() {
        let [lo, hi] = emit::lddw(3, 5);
        let p = program(vec![
            emit::jump_imm(true, BPF_JEQ, 1, 0, 4),
            emit::mov_imm(2, 1),
            lo,
            hi,
            emit::mov_imm(4, 1),
            emit::exit(),
        ]);
        assert_eq!(without(&p, 1, 2).unwrap().insns[0].off, 3);
        assert_eq!(without(&p, 2, 4).unwrap().insns[0].off, 2);
        assert!(without(&p, 2, 3).is_none());
        assert!(without(&p, 3, 5).is_none());
    }

    #[test]
    fn calls_are_mended() {
        let p =
            program(vec![emit::call_local(2), emit::mov_imm(0, 0), emit::exit(), emit::mov_imm(0, 1), emit::exit()]);
        assert_eq!(without(&p, 1, 2).unwrap().insns[0].imm, 1);
    }

    #[test]
    fn loops_that_fork_keep_their_counters() {
        let p = program(vec![
            emit::mov_imm(7, 0),
            emit::alu_imm(true, BPF_AND, 3, 1),
            emit::alu_imm(true, BPF_ADD, 7, 1),
            emit::jump_imm(true, BPF_JLT, 7, 5, -3),
            emit::exit(),
        ]);
        let mut offered = Vec::new();
        shrink(&p, 100, |c| {
            offered.push(c.insns.clone());
            false
        });
        let endless =
            |c: &Vec<Insn>| has_loop(c) && c.iter().any(forks) && !(c.contains(&p.insns[0]) && c.contains(&p.insns[2]));
        assert!(!offered.is_empty() && !offered.iter().any(endless));
    }

    #[test]
    fn only_what_matters_stays() {
        let mut insns: Vec<Insn> = (0..50).map(|i| emit::mov_imm(1, i)).collect();
        insns.push(emit::exit());
        let small = shrink(&program(insns), 1000, |p| p.insns.iter().any(|i| i.imm == 17));
        assert_eq!(small.insns, [emit::mov_imm(1, 17)]);
    }
}
