//! Small random changes to a program, to get refusals near to what is accepted. Programs with loops are left alone: a loop whose
//! bound a mutation removed could crash the kernel that judges it.

use isa::Insn;
use isa::consts::*;

use crate::rng::Rng;

/// True when a jump goes backwards, or to itself.
pub fn has_loop(insns: &[Insn]) -> bool {
    let mut second_half = false;
    insns.iter().any(|i| {
        let plain = !second_half;
        second_half = plain && i.code == LDIMM64;
        let jumps = matches!(class(i.code), BPF_JMP | BPF_JMP32);
        let op = i.code & 0xf0;
        let wide_ja = i.code == BPF_JMP32 | BPF_JA;
        let back = if wide_ja { i.imm < 0 } else { i.off < 0 };
        plain && jumps && !matches!(op, BPF_CALL | BPF_EXIT) && back
            || plain && i.code == BPF_JMP | BPF_CALL && i.src == BPF_PSEUDO_CALL && i.imm < 0
            || plain && i.code == BPF_JMP | BPF_JCOND
    })
}

/// One change. Map references and calls stay what they are.
pub fn mutate(insns: &mut [Insn], rng: &mut Rng) {
    if insns.is_empty() || has_loop(insns) {
        return;
    }
    let at = rng.below(insns.len() as u64) as usize;
    let is_second_half = at > 0 && insns[at - 1].code == LDIMM64;
    let insn = &mut insns[at];
    if is_second_half || insn.code == LDIMM64 {
        return;
    }
    let jump = matches!(class(insn.code), BPF_JMP | BPF_JMP32);
    let calls = jump && matches!(insn.code & 0xf0, BPF_CALL | BPF_EXIT);
    match rng.below(6) {
        0 => insn.dst = rng.below(11) as u8,
        1 if !calls => insn.src = rng.below(11) as u8,
        2 if !calls => insn.imm = rng.interesting(),
        3 if jump && !calls => insn.off = rng.between(0, 6) as i16,
        3 if !jump => insn.off = insn.off.wrapping_add(rng.between(-9, 9) as i16),
        4 if !calls => insn.code ^= BPF_X,
        5 if !jump => {
            let op = rng.below(14) as u8;
            if matches!(class(insn.code), BPF_ALU | BPF_ALU64) {
                insn.code = (insn.code & 0x0f) | (op << 4);
            } else {
                // Another width.
                insn.code = (insn.code & !0x18) | rng.pick(&[BPF_B, BPF_H, BPF_W, BPF_DW]);
            }
        }
        _ => {}
    }
    // A mutated conditional jump must still not go backwards.
    if jump && insn.off < 0 {
        insn.off = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit;

    #[test]
    fn loops_are_seen() {
        assert!(has_loop(&[emit::mov_imm(0, 0), emit::jump_imm(true, BPF_JLT, 0, 3, -2), emit::exit()]));
        assert!(has_loop(&[emit::may_goto(0), emit::exit()]));
        assert!(!has_loop(&[emit::mov_imm(0, 0), emit::ja(0), emit::exit()]));
    }

    #[test]
    fn mutation_makes_no_loops() {
        let start: Vec<Insn> = (0..40).map(|i| emit::jump_imm(true, BPF_JEQ, 1, i, 1)).chain([emit::exit()]).collect();
        for seed in 0..500 {
            let mut p = start.clone();
            let mut rng = Rng::new(seed);
            for _ in 0..10 {
                mutate(&mut p, &mut rng);
            }
            assert!(!has_loop(&p), "seed {seed}");
        }
    }
}
