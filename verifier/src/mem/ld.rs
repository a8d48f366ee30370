//! The LD class: 64-bit immediates, and the old packet loads LD_ABS and LD_IND, which are calls in disguise.

use crate::call::LD_ABS;
use crate::env::{LoadImm, Verifier};
use crate::pass::form;
use crate::reg::{Ext, Kind, Reg, RegType};
use crate::reject::{R, Reject};
use crate::subprog::Linkage;
use crate::walk::Flow;
use isa::Insn;
use isa::consts::*;
use spec::MapType;

/// The context must be in this register.
const CTX_REG: u8 = 6;

impl Verifier<'_> {
    pub fn check_ld_imm64(&mut self, insn: Insn) -> R {
        form::fields(insn)?;
        self.check_reg_write(insn.dst)?;
        let idx = self.insn_idx as usize;
        let high = self.insns.get(idx + 1).map_or(0, |i| i.imm);
        match self.aux[idx].load {
            LoadImm::Const => {
                let value = u64::from(insn.imm as u32) | u64::from(high as u32) << 32;
                self.mark_known(insn.dst, value);
            }
            LoadImm::Func { subprog_start } => {
                let Some(s) = self.subprog_at(subprog_start as i32) else {
                    return Err(Reject::bug("function reference without subprogram"));
                };
                if self.subprogs[s].func_id == 0 {
                    return Err(Reject::FuncRefNoInfo);
                }
                if self.subprogs[s].linkage != Some(Linkage::Static) {
                    return Err(Reject::FuncRefNotStatic);
                }
                let reg = Reg { ext: Ext::Subprog(s as u32), ..Reg::pointer(RegType::of(Kind::Func)) };
                *self.reg_mut(insn.dst) = reg;
            }
            LoadImm::Ksym(reg) => *self.reg_mut(insn.dst) = reg,
            LoadImm::MapPtr(map) => {
                let reg = Reg { ext: Ext::Map { map, uid: 0 }, ..Reg::pointer(RegType::of(Kind::MapPtr)) };
                *self.reg_mut(insn.dst) = reg;
            }
            LoadImm::MapValue { map, off } => {
                if self.map(map).ty == Some(MapType::Arena) {
                    self.mark_unknown(insn.dst);
                    return Ok(());
                }
                // Older kernels tell locks apart by the instruction that loaded their address.
                let own_id = !self.profile.changes.direct_value_one_lock && self.map(map).has_lock();
                let id = if own_id { self.new_id() } else { 0 };
                let ext = Ext::Map { map, uid: 0 };
                let reg = Reg { off: off as i32, id, ext, ..Reg::pointer(RegType::of(Kind::MapValue)) };
                *self.reg_mut(insn.dst) = reg;
            }
        }
        self.reg_mut(insn.dst).precise = !self.privs.bpf;
        Ok(())
    }

    pub fn check_ld_abs(&mut self, insn: Insn) -> R<Flow> {
        if !spec::prog::may_ld_abs(self.prog_type) {
            return Err(Reject::LdAbsProgType);
        }
        form::fields(insn)?;
        let indirect = mode(insn.code) == BPF_IND;
        self.check_reg_read(CTX_REG)?;
        self.check_resources(false, true, LD_ABS)?;
        let ctx = self.reg(CTX_REG);
        if !ctx.ty.is(Kind::Ctx) {
            return Err(Reject::LdAbsNoSkb);
        }
        if indirect {
            self.check_reg_read(insn.src)?;
        }
        self.check_ptr_off_reg(&ctx, CTX_REG, false)?;
        self.clear_caller_saved();
        self.mark_unknown(REG_0);
        if self.cur.frames.len() > 1 && self.profile.changes.ld_abs_returns {
            return self.ld_abs_may_return();
        }
        Ok(Flow::Next)
    }

    /// In a subprogram a load outside the packet returns 0 from the subprogram; inside, the next instruction follows (queued).
    fn ld_abs_may_return(&mut self) -> R<Flow> {
        self.push_branch(self.insn_idx + 1, self.insn_idx, false)
            .map_err(|full| full.reject(crate::reject::errno::ENOMEM))?;
        self.mark_known(REG_0, 0);
        self.prepare_func_exit().map(Flow::To)
    }
}
