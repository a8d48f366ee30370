//! Instructions for questions: a handful of constructors, named for what they do.

use isa::Insn;

const fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

/// `dst = imm`
pub const fn set(dst: u8, imm: i32) -> Insn {
    insn(0xb7, dst, 0, 0, imm)
}

/// `dst = src`
pub const fn copy(dst: u8, src: u8) -> Insn {
    insn(0xbf, dst, src, 0, 0)
}

/// `dst += imm`
pub const fn add(dst: u8, imm: i32) -> Insn {
    insn(0x07, dst, 0, 0, imm)
}

/// The two slots of `dst = map`
pub fn map(dst: u8, fd: i32) -> [Insn; 2] {
    [insn(0x18, dst, 1, 0, fd), insn(0, 0, 0, 0, 0)]
}

/// `call helper`
pub const fn call(helper: u32) -> Insn {
    insn(0x85, 0, 0, 0, helper as i32)
}

/// `call kfunc`
pub const fn call_kfunc(btf_id: u32) -> Insn {
    insn(0x85, 0, 2, 0, btf_id as i32)
}

/// `if dst != imm goto off`
pub const fn if_not(dst: u8, imm: i32, off: i16) -> Insn {
    insn(0x55, dst, 0, off, imm)
}

pub const fn exit() -> Insn {
    insn(0x95, 0, 0, 0, 0)
}

/// `r0 = value; exit`
pub const fn returning(value: i32) -> [Insn; 2] {
    [set(0, value), exit()]
}

/// Size bits of a memory instruction.
const fn size_bits(size: u32) -> u8 {
    match size {
        1 => 0x10,
        2 => 0x08,
        4 => 0x00,
        _ => 0x18,
    }
}

/// `dst = *(size *)(src + off)`
pub const fn load(size: u32, dst: u8, src: u8, off: i16) -> Insn {
    insn(0x61 & !0x18 | size_bits(size), dst, src, off, 0)
}

/// `dst = *(signed size *)(src + off)`
pub const fn load_sx(size: u32, dst: u8, src: u8, off: i16) -> Insn {
    insn(0x81 | size_bits(size), dst, src, off, 0)
}

/// `*(size *)(dst + off) = src`
pub const fn store(size: u32, dst: u8, off: i16, src: u8) -> Insn {
    insn(0x63 | size_bits(size), dst, src, off, 0)
}

/// `*(size *)(dst + off) = imm`
pub const fn store_imm(size: u32, dst: u8, off: i16, imm: i32) -> Insn {
    insn(0x62 | size_bits(size), dst, 0, off, imm)
}
