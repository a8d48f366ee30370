//! Numbers of the encoding, named as in the UAPI header. What they mean is in `ops`.

/// Bits of the opcode byte: class 0..2, then either size 3..4 and mode 5..7, or source 3 and operation 4..7.
pub const BPF_LD: u8 = 0x00;
pub const BPF_LDX: u8 = 0x01;
pub const BPF_ST: u8 = 0x02;
pub const BPF_STX: u8 = 0x03;
pub const BPF_ALU: u8 = 0x04;
pub const BPF_JMP: u8 = 0x05;
pub const BPF_JMP32: u8 = 0x06;
pub const BPF_ALU64: u8 = 0x07;

pub const BPF_W: u8 = 0x00;
pub const BPF_H: u8 = 0x08;
pub const BPF_B: u8 = 0x10;
pub const BPF_DW: u8 = 0x18;

pub const BPF_IMM: u8 = 0x00;
pub const BPF_ABS: u8 = 0x20;
pub const BPF_IND: u8 = 0x40;
pub const BPF_MEM: u8 = 0x60;
pub const BPF_MEMSX: u8 = 0x80;
pub const BPF_ATOMIC: u8 = 0xc0;

pub const BPF_K: u8 = 0x00;
pub const BPF_X: u8 = 0x08;

pub const BPF_ADD: u8 = 0x00;
pub const BPF_SUB: u8 = 0x10;
pub const BPF_MUL: u8 = 0x20;
pub const BPF_DIV: u8 = 0x30;
pub const BPF_OR: u8 = 0x40;
pub const BPF_AND: u8 = 0x50;
pub const BPF_LSH: u8 = 0x60;
pub const BPF_RSH: u8 = 0x70;
pub const BPF_NEG: u8 = 0x80;
pub const BPF_MOD: u8 = 0x90;
pub const BPF_XOR: u8 = 0xa0;
pub const BPF_MOV: u8 = 0xb0;
pub const BPF_ARSH: u8 = 0xc0;
pub const BPF_END: u8 = 0xd0;

pub const BPF_JA: u8 = 0x00;
pub const BPF_JEQ: u8 = 0x10;
pub const BPF_JGT: u8 = 0x20;
pub const BPF_JGE: u8 = 0x30;
pub const BPF_JSET: u8 = 0x40;
pub const BPF_JNE: u8 = 0x50;
pub const BPF_JSGT: u8 = 0x60;
pub const BPF_JSGE: u8 = 0x70;
pub const BPF_CALL: u8 = 0x80;
pub const BPF_EXIT: u8 = 0x90;
pub const BPF_JLT: u8 = 0xa0;
pub const BPF_JLE: u8 = 0xb0;
pub const BPF_JSLT: u8 = 0xc0;
pub const BPF_JSLE: u8 = 0xd0;
pub const BPF_JCOND: u8 = 0xe0;

/// Opcode of the two-slot 64-bit immediate.
pub const LDIMM64: u8 = BPF_LD | BPF_DW | BPF_IMM;

pub const BPF_FETCH: i32 = 0x01;
pub const BPF_XCHG: i32 = 0xe1;
pub const BPF_CMPXCHG: i32 = 0xf1;
pub const BPF_LOAD_ACQ: i32 = 0x100;
pub const BPF_STORE_REL: i32 = 0x110;

pub const BPF_PSEUDO_MAP_FD: u8 = 1;
pub const BPF_PSEUDO_MAP_VALUE: u8 = 2;
pub const BPF_PSEUDO_BTF_ID: u8 = 3;
pub const BPF_PSEUDO_FUNC: u8 = 4;
pub const BPF_PSEUDO_MAP_IDX: u8 = 5;
pub const BPF_PSEUDO_MAP_IDX_VALUE: u8 = 6;

/// src of a call instruction.
pub const BPF_PSEUDO_CALL: u8 = 1;
pub const BPF_PSEUDO_KFUNC_CALL: u8 = 2;

pub const REG_0: u8 = 0;
/// Frame pointer.
pub const REG_FP: u8 = 10;
/// Registers of the instruction set, r0 to r10.
pub const REG_COUNT: usize = 11;

/// Bytes of stack a function may use.
pub const MAX_STACK: usize = 512;
/// Instructions of a program loaded with CAP_BPF.
pub const MAX_INSNS: usize = 1_000_000;

/// The class bits of an opcode.
pub const fn class(code: u8) -> u8 {
    code & 0x07
}

/// The mode bits of a load or store.
pub const fn mode(code: u8) -> u8 {
    code & 0xe0
}

/// The operation bits of an ALU or jump.
pub const fn op(code: u8) -> u8 {
    code & 0xf0
}

/// Whether the second operand is a register.
pub const fn is_src_x(code: u8) -> bool {
    code & BPF_X != 0
}

/// Opcode of `may_goto`.
pub const MAY_GOTO: u8 = BPF_JMP | BPF_JCOND;
