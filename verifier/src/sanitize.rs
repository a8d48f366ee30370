//! Spectre v1 without CAP_PERFMON: arithmetic whose operands the processor might guess is limited at run time, so every
//! visit of an instruction must agree on the limit; and paths that only speculation takes are walked too.

use crate::alu::is_reg_form;
use crate::env::Verifier;
use crate::reg::{Kind, Reg};
use crate::reject::errno::{EFAULT, ENOMEM};
use crate::reject::{R, Reject, TnumText};
use crate::state::STACK_LIMIT;
use isa::Insn;
use isa::consts::*;

/// Bits of [`crate::env::InsnAux::alu_state`].
mod mark {
    pub const DST_IS_SCALAR: u32 = 1 << 0;
    pub const SRC_IS_SCALAR: u32 = 1 << 1;
    pub const NEGATIVE: u32 = 1 << 2;
    pub const NON_POINTER: u32 = 1 << 3;
    pub const IMMEDIATE: u32 = 1 << 4;
}

/// What the first look at a pointer addition found: to be confirmed by the pointer's place afterwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sanitized {
    left: bool,
    state: u32,
    limit: u32,
}

fn verb(insn: Insn) -> &'static str {
    if insn.code & 0xf0 == BPF_ADD { "add" } else { "sub" }
}

impl Verifier<'_> {
    fn skips_sanitation(&self, insn: Insn) -> bool {
        self.privs.bypass_v1 || !is_reg_form(insn) || self.aux[self.insn_idx as usize].nospec
    }

    /// Records state and limit of the current instruction; an earlier visit must have found the same.
    fn agree_on(&mut self, insn: Insn, state: u32, limit: u32) -> R {
        let aux = &mut self.aux[self.insn_idx as usize];
        if aux.alu_state != 0 && (aux.alu_state != state || aux.alu_limit != limit) {
            return Err(Reject::SanitizePaths { reg: insn.dst, verb: verb(insn) });
        }
        (aux.alu_state, aux.alu_limit) = (state, limit);
        Ok(())
    }

    /// Scalar plus or minus scalar.
    pub(crate) fn sanitize_scalar(&mut self, insn: Insn) -> R {
        if self.skips_sanitation(insn) {
            return Ok(());
        }
        self.agree_on(insn, mark::NON_POINTER, 0)
    }

    /// First look, before the pointer moves. `None`: nothing to confirm.
    pub(crate) fn sanitize_pointer(&mut self, insn: Insn, p_reg: u8, p: &Reg, x: &Reg) -> R<Option<Sanitized>> {
        if self.skips_sanitation(insn) {
            return Ok(None);
        }
        let constant = x.val.is_const();
        let mut found = None;
        if !self.cur.speculative {
            let x_reg = if p_reg == insn.dst { insn.src } else { insn.dst };
            if !constant && (x.val.smin < 0) != (x.val.smax < 0) {
                return Err(Reject::SanitizeBounds { reg: x_reg });
            }
            let negative = x.val.smin < 0;
            let left = negative == (insn.code & 0xf0 == BPF_ADD);
            let limit = self.pointer_limit(insn, p_reg, p, left)?;
            let operand = if p_reg == insn.dst { mark::SRC_IS_SCALAR } else { mark::DST_IS_SCALAR };
            let state =
                operand | if negative { mark::NEGATIVE } else { 0 } | if constant { mark::IMMEDIATE } else { 0 };
            self.deep_alu |= !constant;
            found = Some(Sanitized { left, state, limit });
        }
        if !constant {
            self.push_unmoved(insn, p_reg, p)?;
        }
        Ok(found)
    }

    /// Queues the path on which the processor guesses wrong and the pointer does not move at all.
    fn push_unmoved(&mut self, insn: Insn, p_reg: u8, p: &Reg) -> R {
        match self.push_branch(self.insn_idx + 1, self.insn_idx, true) {
            Ok(queued) => {
                if p_reg != insn.dst {
                    self.queue[queued].state.frame_mut().regs[insn.dst as usize] = *p;
                }
                Ok(())
            }
            Err(full) => {
                self.note(&full.reject(ENOMEM));
                Err(Reject::SanitizeStack { reg: insn.dst })
            }
        }
    }

    /// Second look, at the pointer in its new place.
    pub(crate) fn sanitize_moved(&mut self, insn: Insn, p_reg: u8, first: Sanitized) -> R {
        let moved = self.reg(insn.dst);
        let limit = self.pointer_limit(insn, p_reg, &moved, first.left)?;
        self.agree_on(insn, first.state, first.limit.abs_diff(limit))
    }

    /// How far the pointer is from the end it moves towards.
    fn pointer_limit(&self, insn: Insn, p_reg: u8, p: &Reg, left: bool) -> R<u32> {
        let (limit, max) = if p.ty.is(Kind::Stack) {
            let limit = (p.val.var_off.value as u32).wrapping_add(p.off as u32).wrapping_neg();
            (limit, STACK_LIMIT as u32 + left as u32)
        } else if p.ty.is(Kind::MapValue) {
            let from = if left { p.val.smin as u64 } else { p.val.umax };
            let size = p.map().map_or(0, |m| self.map(m).def.value_size);
            ((from as u32).wrapping_add(p.off as u32), size)
        } else {
            return Err(Reject::SanitizeType { reg: p_reg });
        };
        if limit >= max {
            return Err(Reject::SanitizeLimit { reg: insn.dst, verb: verb(insn) });
        }
        Ok(limit)
    }

    /// Where a moved pointer may point even if it is never used.
    pub(crate) fn check_moved_pointer(&mut self, r: u8) -> R {
        let p = self.reg(r);
        if p.ty.is(Kind::Stack) {
            let off = (p.off as i64).wrapping_add(p.val.var_off.value as i64);
            if !p.val.is_const() {
                return Err(Reject::StackPointerVariable { reg: r, var_off: TnumText(p.val.var_off), off: off as i32 });
            }
            if off >= 0 || off < -STACK_LIMIT as i64 {
                return Err(Reject::StackPointerRange { reg: r, off: off as i32 });
            }
        } else if p.ty.is(Kind::MapValue)
            && let Err(refusal) = self.check_value_access(r, p.off, 1, false, true)
        {
            if matches!(refusal, Reject::Unsupported { .. }) {
                return Err(refusal);
            }
            self.note(&refusal);
            return Err(Reject::MapPointerRange { reg: r });
        }
        Ok(())
    }

    /// A jump is decided: speculation may still take the other side, with operands of any value.
    pub(crate) fn sanitize_jump(&mut self, insn: Insn, other: i32) -> R {
        if self.privs.bypass_v1 {
            return Ok(());
        }
        let queued = self.push_branch(other, self.insn_idx, true).map_err(|full| full.reject(EFAULT))?;
        let unknown = self.unknown();
        let regs = &mut self.queue[queued].state.frame_mut().regs;
        regs[insn.dst as usize] = unknown;
        if is_reg_form(insn) {
            regs[insn.src as usize] = unknown;
        }
        Ok(())
    }
}
