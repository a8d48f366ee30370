//! Puts instructions into a program: jumps, calls and the tables of functions and lines move along. What to put in is not decided here.

use isa::Insn;
use isa::consts::{BPF_CALL, BPF_EXIT, BPF_JA, BPF_JMP, BPF_JMP32, LDIMM64, class, op};
use program::{InfoTable, Program};

/// `src_reg` of a call to a function of the program, and of a 64-bit load of a function's address.
const PSEUDO_CALL: u8 = 1;
const PSEUDO_FUNC: u8 = 4;

/// The program with `added` in front of instruction `at`. Jumps to `at` go to what was added. `None` if a jump cannot reach any more.
pub fn insert(program: &Program, at: usize, added: &[Insn]) -> Option<Program> {
    let shift = added.len() as i64;
    // Where an instruction ends up, and where a jump to it goes.
    let moved = |i: i64| if i >= at as i64 { i + shift } else { i };
    let target = |i: i64| if i > at as i64 { i + shift } else { i };
    let mut out = program.clone();
    let mut insns = Vec::with_capacity(program.insns.len() + added.len());
    let mut wide = false;
    for (i, insn) in program.insns.iter().enumerate() {
        if i == at {
            insns.extend_from_slice(added);
        }
        let mut insn = *insn;
        let here = i as i64;
        let relative = |by: i64| target(here + 1 + by) - moved(here) - 1;
        if std::mem::take(&mut wide) {
            insns.push(insn);
            continue;
        }
        wide = insn.code == LDIMM64;
        match class(insn.code) {
            BPF_JMP | BPF_JMP32 => match op(insn.code) {
                BPF_CALL if insn.src == PSEUDO_CALL => insn.imm = relative(insn.imm.into()).try_into().ok()?,
                BPF_CALL | BPF_EXIT => {}
                BPF_JA if class(insn.code) == BPF_JMP32 => insn.imm = relative(insn.imm.into()).try_into().ok()?,
                _ => insn.off = relative(insn.off.into()).try_into().ok()?,
            },
            _ if wide && insn.src == PSEUDO_FUNC => insn.imm = relative(insn.imm.into()).try_into().ok()?,
            _ => {}
        }
        insns.push(insn);
    }
    out.insns = insns;
    out.raw_fd_insns.iter_mut().for_each(|i| *i = moved((*i).into()) as u32);
    shift_rows(&mut out.func_info, at, added.len());
    shift_rows(&mut out.line_info, at, added.len());
    Some(out)
}

/// Rows about what lies behind `at`; a row about `at` itself covers what was added.
fn shift_rows(table: &mut InfoTable, at: usize, by: usize) {
    let size = table.rec_size.max(4) as usize;
    for row in table.bytes.chunks_exact_mut(size) {
        let Some(first) = row.first_chunk_mut::<4>() else { continue };
        let insn = u32::from_le_bytes(*first);
        if insn as usize > at {
            *first = (insn + by as u32).to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(text: &str) -> Program {
        Program { insns: isa::asm::assemble(text).unwrap(), ..Program::default() }
    }

    #[test]
    fn jumps_over_the_place_grow_and_jumps_to_it_find_what_was_added() {
        let p = program("if r1 == 0 goto +2\nr0 = 1\nexit\nr0 = 2\nexit\n");
        let added = isa::asm::assemble("r3 = 7\n").unwrap();
        assert_eq!(insert(&p, 1, &added).unwrap().insns[0].off, 3);
        let before = insert(&p, 3, &added).unwrap();
        assert_eq!(before.insns[0].off, 2);
        assert_eq!(before.insns[3], added[0]);
    }

    #[test]
    fn backward_jumps_keep_their_target() {
        let p = program("r0 = 1\nr0 += 1\nif r0 < 5 goto -2\nexit\n");
        let added = isa::asm::assemble("r3 = 7\n").unwrap();
        assert_eq!(insert(&p, 2, &added).unwrap().insns[3].off, -3);
        assert_eq!(insert(&p, 0, &added).unwrap().insns[3].off, -2);
    }
}
