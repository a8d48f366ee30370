//! Random valid instructions, derived from the table: the hook for fuzzing and property tests. Whole programs that make sense
//! are not here.

use crate::consts::REG_COUNT;
use crate::{Decoded, Kind, Op, Pseudo};

/// An instruction of form `op` whose operands come from `random`, a source of 32-bit words. Registers are r0 to r10, the
/// immediate leans towards values at which things change; jump distances are arbitrary.
pub fn generate(op: Op, random: &mut impl FnMut() -> u32) -> Decoded {
    let free = op.free_fields();
    let base = op.insn(0, 0, 0, 0);
    let mut reg = |used: bool, fixed: u8| if used { (random() % REG_COUNT as u32) as u8 } else { fixed };
    let (dst, src) = (reg(free.dst, base.dst), reg(free.src, base.src));
    let off = if free.off && op.kind() != Kind::CallKfunc { interesting(random) as i16 } else { base.off };
    let imm = if free.imm { interesting(random) } else { base.imm };
    let imm2 = if free.imm2 && op.kind() != Kind::LdImm64(Pseudo::Func) { interesting(random) } else { 0 };
    Decoded { op, dst, src, off, imm, imm2 }
}

/// A 32-bit value that is often small, a power of two or beside one.
pub fn interesting(random: &mut impl FnMut() -> u32) -> i32 {
    let r = random();
    let value = random();
    match r % 4 {
        0 => (value % 32) as i32 - 16,
        1 => (1u32 << (value % 32)).wrapping_add((value >> 8) % 3).wrapping_sub(1) as i32,
        2 => ((1u32 << (value % 32)).wrapping_add((value >> 8) % 3).wrapping_sub(1) as i32).wrapping_neg(),
        _ => value as i32,
    }
}
