//! What ALU, byte-order, jump and atomic instructions compute, as pure functions: the interpreter calls them, the JIT and the
//! verifier's abstract numbers are tested against them. Memory, calls and control flow are not here.
//!
//! Results of 32-bit operations are the low half of the register; the upper half becomes zero.

use crate::{AluOp, AtomicOp, ByteOrder, Cast, JumpOp, Size, Width};

/// `a op b` on 64 bits. Division by zero yields 0, modulo by zero the dividend, the overflowing signed division wraps, and
/// only the low 6 bits of a shift count.
#[inline(always)]
pub fn alu64(op: AluOp, a: u64, b: u64) -> u64 {
    let (sa, sb) = (a as i64, b as i64);
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Sdiv if b == 0 => 0,
        AluOp::Sdiv => sa.wrapping_div(sb) as u64,
        AluOp::Smod if b == 0 => a,
        AluOp::Smod => sa.wrapping_rem(sb) as u64,
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
        AluOp::Lsh => a.wrapping_shl(b as u32),
        AluOp::Rsh => a.wrapping_shr(b as u32),
        AluOp::Arsh => sa.wrapping_shr(b as u32) as u64,
    }
}

/// `a op b` on 32 bits; as `alu64`, with 5 bits of a shift.
#[inline(always)]
pub fn alu32(op: AluOp, a: u32, b: u32) -> u32 {
    let (sa, sb) = (a as i32, b as i32);
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Sdiv if b == 0 => 0,
        AluOp::Sdiv => sa.wrapping_div(sb) as u32,
        AluOp::Smod if b == 0 => a,
        AluOp::Smod => sa.wrapping_rem(sb) as u32,
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
        AluOp::Lsh => a.wrapping_shl(b),
        AluOp::Rsh => a.wrapping_shr(b),
        AluOp::Arsh => sa.wrapping_shr(b) as u32,
    }
}

/// A whole-register result for either width.
#[inline(always)]
pub fn alu(width: Width, op: AluOp, a: u64, b: u64) -> u64 {
    match width {
        Width::W64 => alu64(op, a, b),
        Width::W32 => alu32(op, a as u32, b as u32).into(),
    }
}

/// `-a`.
#[inline(always)]
pub fn neg(width: Width, a: u64) -> u64 {
    match width {
        Width::W64 => a.wrapping_neg(),
        Width::W32 => (a as u32).wrapping_neg().into(),
    }
}

/// Sign extension of the low `size` bits of a 64-bit value.
#[inline(always)]
pub fn sign_extend(size: Size, v: u64) -> u64 {
    match size {
        Size::B8 => v as i8 as u64,
        Size::B16 => v as i16 as u64,
        Size::B32 => v as i32 as u64,
        Size::B64 => v,
    }
}

/// Sign-extending move: to 32 bits (upper half zero) or to 64.
#[inline(always)]
pub fn movsx(width: Width, from: Size, v: u64) -> u64 {
    match width {
        Width::W64 => sign_extend(from, v),
        Width::W32 => (sign_extend(from, v) as u32).into(),
    }
}

/// Byte-order conversion on a little-endian machine: keeps (`Le`) or swaps the low `size` bits, the rest becomes zero.
#[inline(always)]
pub fn endian(order: ByteOrder, size: Size, v: u64) -> u64 {
    match (order, size) {
        (ByteOrder::Le, _) | (_, Size::B8) => v & size.mask(),
        (_, Size::B16) => (v as u16).swap_bytes().into(),
        (_, Size::B32) => (v as u32).swap_bytes().into(),
        (_, Size::B64) => v.swap_bytes(),
    }
}

/// Whether a jump on 64 bits is taken.
#[inline(always)]
pub fn jump(op: JumpOp, a: u64, b: u64) -> bool {
    let (sa, sb) = (a as i64, b as i64);
    match op {
        JumpOp::Eq => a == b,
        JumpOp::Ne => a != b,
        JumpOp::Gt => a > b,
        JumpOp::Ge => a >= b,
        JumpOp::Lt => a < b,
        JumpOp::Le => a <= b,
        JumpOp::Set => a & b != 0,
        JumpOp::Sgt => sa > sb,
        JumpOp::Sge => sa >= sb,
        JumpOp::Slt => sa < sb,
        JumpOp::Sle => sa <= sb,
    }
}

/// Whether a jump on 32 bits is taken. Sign extension of both keeps every order, signed or not, and common bits below 32.
#[inline(always)]
pub fn jump32(op: JumpOp, a: u32, b: u32) -> bool {
    match op {
        JumpOp::Set => a & b != 0,
        _ => jump(op, a as i32 as u64, b as i32 as u64),
    }
}

/// Either width, on whole registers.
#[inline(always)]
pub fn jump_width(width: Width, op: JumpOp, a: u64, b: u64) -> bool {
    match width {
        Width::W64 => jump(op, a, b),
        Width::W32 => jump32(op, a as u32, b as u32),
    }
}

/// What an atomic leaves behind. Values are zero-extended from the access size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtomicResult {
    /// New contents of memory; `None` if it is not written.
    pub memory: Option<u64>,
    /// Value for the register that is written (see `Decoded::defines`); `None` if none is.
    pub register: Option<u64>,
}

/// An atomic on memory that holds `old`, with the values of src and r0.
#[inline(always)]
pub fn atomic(op: AtomicOp, size: Size, old: u64, src: u64, r0: u64) -> AtomicResult {
    let mask = size.mask();
    let (old, src, r0) = (old & mask, src & mask, r0 & mask);
    let new = match op {
        AtomicOp::Add | AtomicOp::FetchAdd => Some(old.wrapping_add(src) & mask),
        AtomicOp::Or | AtomicOp::FetchOr => Some(old | src),
        AtomicOp::And | AtomicOp::FetchAnd => Some(old & src),
        AtomicOp::Xor | AtomicOp::FetchXor => Some(old ^ src),
        AtomicOp::Xchg | AtomicOp::StoreRelease => Some(src),
        AtomicOp::Cmpxchg => Some(if old == r0 { src } else { old }),
        AtomicOp::LoadAcquire => None,
    };
    let register = (op.fetches() || op == AtomicOp::LoadAcquire).then_some(old);
    AtomicResult { memory: new, register }
}

/// Address-space cast of an arena pointer; `user_base` is the address at which user space sees the arena.
#[inline(always)]
pub fn cast(cast: Cast, user_base: u64, v: u64) -> u64 {
    let low = v & 0xffff_ffff;
    match cast {
        Cast::Kernel => low,
        Cast::User if low == 0 => 0,
        Cast::User => (user_base & !0xffff_ffff) | low,
    }
}
