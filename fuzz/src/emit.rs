//! One small constructor per instruction form, so that generators read like assembly. No choice is made here.

use isa::Insn;
use isa::consts::*;

pub const FP: u8 = 10;

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

/// Widths of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    B,
    H,
    W,
    Dw,
}

impl Size {
    pub const ALL: [Self; 4] = [Self::B, Self::H, Self::W, Self::Dw];

    pub fn bytes(self) -> i64 {
        match self {
            Self::B => 1,
            Self::H => 2,
            Self::W => 4,
            Self::Dw => 8,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::B => BPF_B,
            Self::H => BPF_H,
            Self::W => BPF_W,
            Self::Dw => BPF_DW,
        }
    }
}

/// `op` is one of `BPF_ADD`..`BPF_ARSH`; `off` is 1 for signed division and modulo.
pub fn alu_imm(wide: bool, op: u8, dst: u8, imm: i32) -> Insn {
    insn(if wide { BPF_ALU64 } else { BPF_ALU } | op | BPF_K, dst, 0, 0, imm)
}

pub fn alu_reg(wide: bool, op: u8, dst: u8, src: u8) -> Insn {
    insn(if wide { BPF_ALU64 } else { BPF_ALU } | op | BPF_X, dst, src, 0, 0)
}

pub fn mov(dst: u8, src: u8) -> Insn {
    alu_reg(true, BPF_MOV, dst, src)
}

pub fn mov_imm(dst: u8, imm: i32) -> Insn {
    alu_imm(true, BPF_MOV, dst, imm)
}

/// Sign-extending move of 8, 16 or 32 bits.
pub fn movsx(wide: bool, dst: u8, src: u8, bits: i16) -> Insn {
    Insn { off: bits, ..alu_reg(wide, BPF_MOV, dst, src) }
}

pub fn neg(wide: bool, dst: u8) -> Insn {
    insn(if wide { BPF_ALU64 } else { BPF_ALU } | BPF_NEG, dst, 0, 0, 0)
}

/// `kind` 0 = to little endian, 1 = to big endian, 2 = unconditional swap.
pub fn end(kind: u8, dst: u8, bits: i32) -> Insn {
    let code = match kind {
        0 => BPF_ALU | BPF_END | BPF_K,
        1 => BPF_ALU | BPF_END | BPF_X,
        _ => BPF_ALU64 | BPF_END | BPF_K,
    };
    insn(code, dst, 0, 0, bits)
}

/// A two-slot load of 64 bits.
pub fn lddw(dst: u8, value: u64) -> [Insn; 2] {
    lddw_src(dst, 0, value as u32 as i32, (value >> 32) as u32 as i32)
}

/// Address of map `index` of the program.
pub fn lddw_map(dst: u8, index: i32) -> [Insn; 2] {
    lddw_src(dst, 1, index, 0)
}

/// Address of byte `offset` of element 0 of map `index`.
pub fn lddw_map_value(dst: u8, index: i32, offset: i32) -> [Insn; 2] {
    lddw_src(dst, 2, index, offset)
}

/// Address of the function at `pc + delta` (a callback).
pub fn lddw_func(dst: u8, delta: i32) -> [Insn; 2] {
    lddw_src(dst, 4, delta, 0)
}

fn lddw_src(dst: u8, src: u8, low: i32, high: i32) -> [Insn; 2] {
    [insn(LDIMM64, dst, src, 0, low), insn(0, 0, 0, 0, high)]
}

pub fn load(size: Size, dst: u8, src: u8, off: i16) -> Insn {
    insn(BPF_LDX | BPF_MEM | size.code(), dst, src, off, 0)
}

pub fn load_sx(size: Size, dst: u8, src: u8, off: i16) -> Insn {
    insn(BPF_LDX | BPF_MEMSX | size.code(), dst, src, off, 0)
}

pub fn store(size: Size, dst: u8, off: i16, src: u8) -> Insn {
    insn(BPF_STX | BPF_MEM | size.code(), dst, src, off, 0)
}

pub fn store_imm(size: Size, dst: u8, off: i16, imm: i32) -> Insn {
    insn(BPF_ST | BPF_MEM | size.code(), dst, 0, off, imm)
}

/// `op` is the immediate of an atomic: `BPF_ADD`, `BPF_ADD | BPF_FETCH`, `BPF_XCHG`, ...
pub fn atomic(size: Size, op: i32, dst: u8, off: i16, src: u8) -> Insn {
    insn(BPF_STX | BPF_ATOMIC | size.code(), dst, src, off, op)
}

pub fn jump_imm(wide: bool, op: u8, dst: u8, imm: i32, off: i16) -> Insn {
    insn(if wide { BPF_JMP } else { BPF_JMP32 } | op | BPF_K, dst, 0, off, imm)
}

pub fn jump_reg(wide: bool, op: u8, dst: u8, src: u8, off: i16) -> Insn {
    insn(if wide { BPF_JMP } else { BPF_JMP32 } | op | BPF_X, dst, src, off, 0)
}

pub fn ja(off: i16) -> Insn {
    insn(BPF_JMP | BPF_JA, 0, 0, off, 0)
}

/// Jumps at most some millions of times.
pub fn may_goto(off: i16) -> Insn {
    insn(BPF_JMP | BPF_JCOND, 0, 0, off, 0)
}

pub fn call(helper: i32) -> Insn {
    insn(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
}

/// Call of the function at `pc + delta + 1`.
pub fn call_local(delta: i32) -> Insn {
    insn(BPF_JMP | BPF_CALL, 0, 1, 0, delta)
}

pub fn exit() -> Insn {
    insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
}
