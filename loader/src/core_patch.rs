//! Putting the answer of a CO-RE relocation into an instruction. The answer itself comes from `btf::core`.

use btf::core::Resolution;
use isa::Insn;
use isa::consts::*;

/// The call that takes the place of an instruction that must not be reached; `invalid func unknown#195896080` in the kernel's log.
pub(crate) const POISON_CORE: i32 = 0x0bad_2310;

/// A call of a helper that does not exist.
pub(crate) const fn poisoned(imm: i32) -> Insn {
    Insn { code: BPF_JMP | BPF_CALL, dst: 0, src: 0, off: 0, imm }
}

const fn access_bytes(code: u8) -> u32 {
    match code & 0x18 {
        BPF_W => 4,
        BPF_H => 2,
        BPF_B => 1,
        _ => 8,
    }
}

const fn access_code(bytes: u32) -> Option<u8> {
    Some(match bytes {
        8 => BPF_DW,
        4 => BPF_W,
        2 => BPF_H,
        1 => BPF_B,
        _ => return None,
    })
}

/// Patches the instruction at `at`.
pub(crate) fn apply(insns: &mut [Insn], at: usize, answer: &Resolution) -> Result<(), String> {
    let Some(&insn) = insns.get(at) else { return Err("is past the end of the function".into()) };
    if answer.poison {
        poison(insns, at);
        return Ok(());
    }
    let check = |found: u64| match answer.validate && found != answer.orig {
        true => Err(format!("holds {found:#x}, expected {:#x}", answer.orig)),
        false => Ok(()),
    };
    match insn.code & 0x07 {
        BPF_ALU | BPF_ALU64 => {
            if insn.code & BPF_X != 0 {
                return Err(format!("opcode {:#04x} has no immediate", insn.code));
            }
            check(i64::from(insn.imm) as u64)?;
            insns[at].imm = answer.new as i32;
        }
        BPF_LDX | BPF_ST | BPF_STX => {
            check(i64::from(insn.off) as u64)?;
            let Ok(off) = i16::try_from(answer.new) else {
                return Err(format!("the field is at offset {}, too far for a load or store", answer.new));
            };
            if let Some(resize) = answer.resize {
                if !resize.allowed {
                    poison(insns, at);
                    return Ok(());
                }
                if access_bytes(insn.code) != resize.orig {
                    return Err(format!("accesses {} bytes of a field of {}", access_bytes(insn.code), resize.orig));
                }
                let Some(size) = access_code(resize.new) else {
                    return Err(format!("the field has {} bytes in the kernel", resize.new));
                };
                insns[at].code = insn.code & !0x18 | size;
            }
            insns[at].off = off;
        }
        BPF_LD => {
            let second = insns.get(at + 1).copied();
            let whole = second.is_some_and(|s| s == Insn { imm: s.imm, ..Insn::default() });
            if insn.code != LDIMM64 || insn.src != 0 || insn.off != 0 || !whole {
                return Err(format!("opcode {:#04x} is not a plain 64-bit immediate load", insn.code));
            }
            let high = second.map_or(0, |s| s.imm);
            check(u64::from(insn.imm as u32) | u64::from(high as u32) << 32)?;
            insns[at].imm = answer.new as i32;
            insns[at + 1].imm = (answer.new >> 32) as i32;
        }
        _ => return Err(format!("opcode {:#04x} takes no CO-RE relocation", insn.code)),
    }
    Ok(())
}

fn poison(insns: &mut [Insn], at: usize) {
    let slots = if insns[at].code == LDIMM64 { 2 } else { 1 };
    for insn in insns.iter_mut().skip(at).take(slots) {
        *insn = poisoned(POISON_CORE);
    }
}
