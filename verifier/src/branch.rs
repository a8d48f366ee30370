//! Conditional jumps: order of events, outcome known in advance or not, what each side learns. Numbers are compared in
//! `value::refine`; what a comparison says about pointers is in `null` and `packet`; links in `links`.

mod null;
mod packet;

use crate::alu::is_reg_form;
use crate::env::Verifier;
use crate::links;
use crate::pass::form;
use crate::reg::{Flags, Kind, Reg};
use crate::reject::errno::{EFAULT, ENOMEM};
use crate::reject::{R, Reject};
use crate::state::HistFlags;
use crate::value::refine::{self, Cmp};
use crate::value::{Rules, Scalar, Width, early};
use crate::walk::Flow;
use isa::Insn;
use isa::consts::*;
use std::cell::Cell;

/// One conditional jump with the operands as they are before it.
#[derive(Clone, Copy)]
struct Jump {
    insn: Insn,
    cmp: Cmp,
    width: Width,
    dst: Reg,
    src: Reg,
}

impl Jump {
    fn reg_form(&self) -> bool {
        is_reg_form(self.insn)
    }

    /// Number of the source register, if there is one.
    fn src_reg(&self) -> Option<u8> {
        self.reg_form().then_some(self.insn.src)
    }

    fn is_wide(&self) -> bool {
        self.width == Width::W64
    }
}

/// The comparison that a jump opcode makes; `None` for jumps that are none.
pub(crate) fn condition(code: u8) -> Option<Cmp> {
    Some(match code & 0xf0 {
        BPF_JEQ => Cmp::Eq,
        BPF_JNE => Cmp::Ne,
        BPF_JSET => Cmp::Set,
        BPF_JGT => Cmp::Gt,
        BPF_JGE => Cmp::Ge,
        BPF_JLT => Cmp::Lt,
        BPF_JLE => Cmp::Le,
        BPF_JSGT => Cmp::Sgt,
        BPF_JSGE => Cmp::Sge,
        BPF_JSLT => Cmp::Slt,
        BPF_JSLE => Cmp::Sle,
        _ => return None,
    })
}

impl Verifier<'_> {
    /// One conditional jump (JMP or JMP32). The current path follows one side; the other, if possible, is queued.
    pub fn check_cond_jump(&mut self, insn: Insn) -> R<Flow> {
        if insn.code & 0xf0 == BPF_JCOND {
            return self.check_may_goto(insn);
        }
        let Some(cmp) = condition(insn.code) else {
            return Err(Reject::InvalidJumpOpcode { op: insn.code & 0xf0 });
        };
        let jump = self.jump_operands(insn, cmp)?;
        let next = self.insn_idx + 1;
        let target = next + insn.off as i32;

        let stack_operands = HistFlags {
            dst_is_stack: jump.dst.ty.is(Kind::Stack),
            src_is_stack: jump.reg_form() && jump.src.ty.is(Kind::Stack),
            ..HistFlags::default()
        };
        if stack_operands.dst_is_stack || stack_operands.src_is_stack {
            self.push_history(stack_operands, None);
        }

        if let Some(taken) = self.decide_jump(&jump) {
            for r in [Some(insn.dst), jump.src_reg()].into_iter().flatten() {
                if !self.is_pointer(r) {
                    self.mark_precise(r)?;
                }
            }
            let (follow, other) = if taken { (target, next) } else { (next, target) };
            self.sanitize_jump(insn, other)?;
            self.print_insn_state();
            return Ok(Flow::To(follow));
        }
        self.walk_both(&jump, target)?;
        self.print_insn_state();
        Ok(Flow::To(next))
    }

    fn decide_jump(&self, jump: &Jump) -> Option<bool> {
        if self.rules.widths_apart { decide_early(jump) } else { decide(jump, &self.rules) }
    }

    /// `may_goto`: leaves its loop after a number of rounds that no register holds. The current path leaves at once; another
    /// round is queued, with what changes from round to round forgotten.
    fn check_may_goto(&mut self, insn: Insn) -> R<Flow> {
        if insn.off == 0 && !self.profile.changes.may_goto_nowhere {
            return Err(Reject::MayGotoFields { off: insn.off, imm: insn.imm });
        }
        form::fields(insn)?;
        let next = self.insn_idx + 1;
        let queued = self.push_branch(next, self.insn_idx, false).map_err(|full| full.reject(ENOMEM))?;
        self.queue[queued].state.may_goto_depth += 1;
        self.widen_against_previous(queued);
        Ok(Flow::To(next + insn.off as i32))
    }

    /// Checks the form and reads the operands.
    fn jump_operands(&mut self, insn: Insn, cmp: Cmp) -> R<Jump> {
        let in_order = self.profile.changes.jumps_read_in_order;
        if in_order {
            self.check_reg_read(insn.dst)?;
        }
        form::fields(insn)?;
        let reg_form = is_reg_form(insn);
        if reg_form {
            self.check_reg_read(insn.src)?;
        }
        if !in_order {
            self.check_reg_read(insn.dst)?;
        }
        let dst = self.reg(insn.dst);
        let src = if reg_form { self.reg(insn.src) } else { self.immediate(insn.imm) };
        let packet_pair = dst.ty.is_packet_any() && src.ty.is_packet_any();
        if reg_form && !packet_pair && src.ty.is_pointer() && !self.privs.ptr_leaks {
            return Err(Reject::PointerComparison { reg: insn.src });
        }
        let width = if insn.code & 7 == BPF_JMP { Width::W64 } else { Width::W32 };
        Ok(Jump { insn, cmp, width, dst, src })
    }

    /// The outcome is open: queues the target, and lets both sides learn from the comparison.
    fn walk_both(&mut self, jump: &Jump, target: i32) -> R {
        let rules = self.rules;
        let (dst, src) = (jump.insn.dst, jump.src_reg());
        let linked = self.collect_linked(dst, src);
        if linked.as_slice().len() > 1 {
            self.push_history(HistFlags::default(), Some(linked));
        }
        let queued = self.push_branch(target, self.insn_idx, false).map_err(|full| full.reject(EFAULT))?;

        if jump.dst.is_scalar() && jump.src.is_scalar() {
            self.refine_both(jump, queued)?;
        }
        for r in src.into_iter().chain([dst]) {
            links::propagate(&mut self.cur, r, &linked, &rules);
            links::propagate(&mut self.queue[queued].state, r, &linked, &rules);
        }

        if self.profile.changes.non_null_pairs {
            self.learn_non_null_pair(jump, queued);
        }
        if !self.learn_null_check(jump, queued)
            && !self.learn_packet_range(jump, queued)
            && jump.dst.ty.is_pointer()
            && !self.privs.ptr_leaks
        {
            return Err(Reject::PointerComparison { reg: dst });
        }
        Ok(())
    }

    /// Narrows the operands on both sides and checks the results.
    fn refine_both(&mut self, jump: &Jump, queued: usize) -> R {
        let rules = self.rules;
        let operands = |regs: &[Reg]| (regs[jump.insn.dst as usize].val, jump.src_reg().map(|s| regs[s as usize].val));
        let narrow = |cmp: Cmp, (dst, src): (Scalar, Option<Scalar>)| {
            let (a, b) = (Cell::new(dst), Cell::new(src.unwrap_or(jump.src.val)));
            if jump.src_reg() == Some(jump.insn.dst) {
                refine::refine(cmp, jump.width, &a, &a, &rules);
                b.set(a.get());
            } else {
                refine::refine(cmp, jump.width, &a, &b, &rules);
            }
            (a.get(), b.get())
        };
        let mut stay = narrow(jump.cmp.negate(), operands(&self.cur.frame().regs));
        let mut taken = narrow(jump.cmp, operands(&self.queue[queued].state.frame().regs));

        self.check_pair(jump, &mut taken, ["true_reg1", "true_reg2"])?;
        self.check_pair(jump, &mut stay, ["false_reg1", "false_reg2"])?;
        let store = |regs: &mut [Reg], (dst, src): (Scalar, Scalar)| {
            if let Some(s) = jump.src_reg() {
                regs[s as usize].val = src;
            }
            regs[jump.insn.dst as usize].val = dst;
        };
        store(&mut self.cur.frame_mut().regs, stay);
        store(&mut self.queue[queued].state.frame_mut().regs, taken);
        Ok(())
    }

    fn check_pair(&mut self, jump: &Jump, (a, b): &mut (Scalar, Scalar), names: [&str; 2]) -> R {
        self.check_scalar_invariants(a, names[0])?;
        if jump.src_reg() == Some(jump.insn.dst) {
            *b = *a;
        }
        self.check_scalar_invariants(b, names[1])
    }
}

/// Whether the jump is certainly taken (`Some(true)`), certainly not, or open.
fn decide(jump: &Jump, rules: &Rules) -> Option<bool> {
    let Jump { cmp, width, dst, src, .. } = jump;
    if dst.ty.is_packet_any() && src.ty.is_packet_any() && jump.is_wide() {
        return packet::decide(*cmp, dst, src);
    }
    if dst.ty.is_pointer() || src.ty.is_pointer() {
        let const_of = |r: &Reg| if r.is_scalar() { refine::const_in(&r.val, *width) } else { None };
        let (pointer, other) = match const_of(src) {
            Some(c) => (dst, c),
            None => (src, const_of(dst)?),
        };
        if other != 0 || !is_surely_non_null(pointer) {
            return None;
        }
        return match cmp {
            Cmp::Eq => Some(false),
            Cmp::Ne => Some(true),
            _ => None,
        };
    }
    refine::decide(*cmp, *width, &dst.val, &src.val, rules)
}

/// The same where only a known right operand decides.
fn decide_early(jump: &Jump) -> Option<bool> {
    let Jump { cmp, width, dst, src, .. } = jump;
    if !src.is_scalar() {
        let packets = dst.ty.is_packet_any() && src.ty.is_packet_any() && jump.is_wide();
        return packets.then(|| packet::decide(*cmp, dst, src)).flatten();
    }
    if !dst.ty.is_pointer() {
        return early::decide(*cmp, *width, &dst.val, &src.val);
    }
    let non_null = dst.ty.flags.is_empty()
        && matches!(dst.ty.kind, Kind::Sock | Kind::TcpSock | Kind::SockCommon | Kind::MapValue | Kind::MapKey);
    match (cmp, refine::const_in(&src.val, *width)) {
        (Cmp::Eq, Some(0)) if non_null => Some(false),
        (Cmp::Ne, Some(0)) if non_null => Some(true),
        _ => None,
    }
}

/// Pointers that are known not to be null by their type alone.
fn is_surely_non_null(r: &Reg) -> bool {
    if r.ty.maybe_null() {
        return false;
    }
    match r.ty.kind {
        Kind::Sock | Kind::TcpSock | Kind::SockCommon | Kind::MapValue | Kind::MapKey | Kind::MapPtr => true,
        Kind::Mem => !r.ty.flags.has(Flags::UNTRUSTED),
        Kind::Btf => {
            const TRUST: Flags = Flags(Flags::ALLOC.0 | Flags::TRUSTED.0 | Flags::NON_OWNING.0);
            r.ref_obj_id != 0 || r.ty.flags.any(TRUST) && r.ty.flags.without(TRUST).is_empty()
        }
        _ => false,
    }
}
