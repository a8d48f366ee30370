//! The form of one instruction: fields that must be zero, registers that exist. What the instruction does is not looked at.
//! Older kernels ask when a path reaches the instruction, newer ones before the walk.

use crate::reject::{R, Reject};
use isa::Insn;
use isa::consts::*;

/// R0 to R10.
const REGISTERS: u8 = 11;

/// Both register fields name a register, whether they are used or not.
pub fn registers(insn: Insn) -> R {
    match [insn.dst, insn.src].into_iter().find(|r| *r >= REGISTERS) {
        Some(reg) => Err(Reject::RegInvalid { reg }),
        None => Ok(()),
    }
}

/// Fields that the opcode does not use are zero, the others are in range.
pub fn fields(insn: Insn) -> R {
    match class(insn.code) {
        BPF_ALU | BPF_ALU64 => alu(insn),
        BPF_LDX if !matches!(mode(insn.code), BPF_MEM | BPF_MEMSX) || insn.imm != 0 => Err(Reject::LdxReservedFields),
        BPF_ST if mode(insn.code) != BPF_MEM || insn.src != 0 => Err(Reject::StReservedFields),
        BPF_STX if mode(insn.code) != BPF_ATOMIC && (mode(insn.code) != BPF_MEM || insn.imm != 0) => {
            Err(Reject::StxReservedFields)
        }
        BPF_JMP | BPF_JMP32 => jump(insn),
        BPF_LD if matches!(mode(insn.code), BPF_ABS | BPF_IND) => {
            let source = mode(insn.code) == BPF_ABS && insn.src != 0;
            let bad = insn.dst != 0 || insn.off != 0 || insn.code & 0x18 == BPF_DW || source;
            if bad { Err(Reject::LdAbsReserved) } else { Ok(()) }
        }
        BPF_LD if insn.off != 0 => Err(Reject::LdImm64Reserved),
        _ => Ok(()),
    }
}

fn alu(insn: Insn) -> R {
    let wide = class(insn.code) == BPF_ALU64;
    let reg_form = is_src_x(insn.code);
    let reserved = |bad: bool, what| if bad { Err(Reject::ReservedFields { what }) } else { Ok(()) };
    match op(insn.code) {
        BPF_NEG => reserved(reg_form || insn.src != 0 || insn.off != 0 || insn.imm != 0, "BPF_NEG"),
        BPF_END => {
            let bits = matches!(insn.imm, 16 | 32 | 64);
            reserved(insn.src != 0 || insn.off != 0 || !bits || wide && reg_form, "BPF_END")
        }
        BPF_MOV if !reg_form => reserved(insn.src != 0 || insn.off != 0, "BPF_MOV"),
        BPF_MOV if wide && insn.off == 1 => match insn.imm {
            1 | 0x1_0000 => Ok(()),
            _ => Err(Reject::AddrSpaceCastImm),
        },
        BPF_MOV => {
            let widest = if wide { 32 } else { 16 };
            reserved(!matches!(insn.off, 0 | 8 | 16 | 32) || insn.off > widest || insn.imm != 0, "BPF_MOV")
        }
        op if op > BPF_END => Err(Reject::InvalidAluOpcode { op }),
        op => {
            let off = insn.off == 0 || insn.off == 1 && matches!(op, BPF_DIV | BPF_MOD);
            reserved(!off || if reg_form { insn.imm != 0 } else { insn.src != 0 }, "BPF_ALU")
        }
    }
}

fn jump(insn: Insn) -> R {
    let wide = class(insn.code) == BPF_JMP;
    let reg_form = is_src_x(insn.code);
    match op(insn.code) {
        BPF_CALL => {
            let kfunc = insn.src == BPF_PSEUDO_KFUNC_CALL;
            let known = insn.src <= BPF_PSEUDO_KFUNC_CALL;
            let bad = reg_form || !wide || insn.dst != 0 || !known || !kfunc && insn.off != 0;
            if bad { Err(Reject::CallReserved) } else { Ok(()) }
        }
        BPF_EXIT => {
            let bad = reg_form || !wide || insn.imm != 0 || insn.src != 0 || insn.dst != 0;
            if bad { Err(Reject::ExitReserved) } else { Ok(()) }
        }
        BPF_JA => {
            let unused = if wide { insn.imm } else { insn.off.into() };
            if insn.src != 0 || insn.dst != 0 || unused != 0 { Err(Reject::JaReservedFields) } else { Ok(()) }
        }
        BPF_JCOND => {
            let bad = !wide || reg_form || insn.src != 0 || insn.dst != 0 || insn.imm != 0;
            if bad { Err(Reject::MayGotoFields { off: insn.off, imm: insn.imm }) } else { Ok(()) }
        }
        op if op > BPF_JCOND => Err(Reject::InvalidJumpOpcode { op }),
        _ if if reg_form { insn.imm != 0 } else { insn.src != 0 } => {
            Err(Reject::ReservedFields { what: "BPF_JMP/JMP32" })
        }
        _ => Ok(()),
    }
}
