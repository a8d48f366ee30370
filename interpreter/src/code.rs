//! The interpreter's form of a program: one dense record per slot, operands resolved, so that a jump target is an index. Not here: execution.

use isa::{Kind, Op, Pseudo, Rhs};
use program::facts::Fact;
use runtime::{HelperFn, Image, Meaning};

/// One slot.
#[derive(Clone, Copy, Debug)]
pub struct Inst {
    /// `None`: reaching the slot is a fault, `imm` says which.
    pub op: Option<Op>,
    pub dst: u8,
    pub src: u8,
    pub flag: Flag,
    /// Offset of a memory access, or target slot of a jump or local call.
    pub off: i32,
    /// Operand, 64-bit immediate, or index into `Code::calls`.
    pub imm: u64,
}

/// What is special about a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    None,
    /// A load through a BTF pointer that may be stale: a fault reads 0.
    Probe,
    /// bpf_tail_call: on success the run goes on in another program.
    TailCall,
}

/// A lowered program.
#[derive(Debug)]
pub struct Code {
    pub insts: Vec<Inst>,
    pub calls: Vec<HelperFn>,
    /// Faults by the `imm` of slots without an operation.
    pub broken: Vec<Broken>,
}

/// Why a slot cannot be executed.
#[derive(Clone, Debug)]
pub enum Broken {
    Instruction(String),
    Unsupported(String),
}

impl Code {
    pub fn of(image: &Image) -> Self {
        let mut code = Self { insts: Vec::with_capacity(image.insns.len()), calls: Vec::new(), broken: Vec::new() };
        for slot in 0..image.insns.len() {
            let inst = code.lower(image, slot).unwrap_or_else(|broken| {
                code.broken.push(broken);
                Inst { op: None, dst: 0, src: 0, flag: Flag::None, off: 0, imm: code.broken.len() as u64 - 1 }
            });
            code.insts.push(inst);
        }
        code
    }

    fn lower(&mut self, image: &Image, slot: usize) -> Result<Inst, Broken> {
        let meaning = &image.meaning[slot];
        if let Meaning::Missing(what) = meaning {
            return Err(Broken::Unsupported(what.to_string()));
        }
        if let Meaning::SecondHalf = meaning {
            return Err(Broken::Instruction("second slot of a 64-bit immediate".into()));
        }
        let d = isa::decode(&image.insns, slot).map_err(|e| Broken::Instruction(e.to_string()))?;
        let mut inst =
            Inst { op: Some(d.op), dst: d.dst, src: d.src, flag: Flag::None, off: d.off.into(), imm: d.imm_u64() };
        match d.kind() {
            Kind::Ja | Kind::Gotol | Kind::MayGoto | Kind::Cond(..) | Kind::CallLocal => {
                // A target outside of the program becomes an index that is never valid.
                let target = d.target(slot).and_then(|t| i32::try_from(t).ok()).unwrap_or(-1);
                inst.off = target;
                if let Kind::Cond(_, _, Rhs::X) | Kind::CallLocal = d.kind() {
                    inst.imm = 0;
                }
            }
            Kind::LdImm64(pseudo) => {
                inst.imm = match meaning {
                    Meaning::Imm64(value) => *value,
                    _ => d.imm64(),
                };
                debug_assert!(pseudo != Pseudo::MapFd || inst.imm != 0);
            }
            Kind::CallHelper | Kind::CallKfunc => {
                let function = match meaning {
                    Meaning::Helper { id, function, .. } => {
                        if *id == 12 {
                            inst.flag = Flag::TailCall;
                        }
                        *function
                    }
                    Meaning::Kfunc { function, .. } => *function,
                    other => return Err(Broken::Unsupported(format!("call that means {other:?}"))),
                };
                inst.imm = self.calls.len() as u64;
                self.calls.push(function);
            }
            Kind::Ldx(_) | Kind::Ldsx(_) if matches!(image.fact(slot), Fact::Btf { .. }) => inst.flag = Flag::Probe,
            _ => {}
        }
        Ok(inst)
    }
}
