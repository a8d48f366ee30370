//! Null checks: what a comparison with 0 makes of a pointer that may be null, and of all its copies.

use super::Jump;
use crate::env::Verifier;
use crate::reg::{Ext, Flags, Kind, Reg, RegType};
use crate::value::refine::Cmp;
use spec::MapType;
use spec::map::FieldKind;

impl Verifier<'_> {
    /// `if p == q`: where a pointer that may be null equals one that is not, it is not null. Only the operand learns it.
    pub(super) fn learn_non_null_pair(&mut self, jump: &Jump, queued: usize) {
        let (a, b) = (jump.dst.ty, jump.src.ty);
        let applies = jump.is_wide()
            && jump.reg_form()
            && a.is_pointer()
            && b.is_pointer()
            && a.maybe_null() != b.maybe_null()
            && a.kind != Kind::Btf
            && b.kind != Kind::Btf;
        if !applies {
            return;
        }
        let number = if a.maybe_null() { jump.insn.dst } else { jump.insn.src } as usize;
        let known = match jump.cmp {
            Cmp::Eq => self.queue[queued].state.frame().regs[number],
            Cmp::Ne => self.cur.frame().regs[number],
            _ => return,
        };
        let known = self.non_null(&known);
        match jump.cmp {
            Cmp::Eq => self.queue[queued].state.frame_mut().regs[number] = known,
            _ => self.cur.frame_mut().regs[number] = known,
        }
    }

    /// `if p == 0` and `if p != 0`. False when the jump is no null check.
    pub(super) fn learn_null_check(&mut self, jump: &Jump, queued: usize) -> bool {
        let applies = jump.is_wide()
            && !jump.reg_form()
            && jump.insn.imm == 0
            && matches!(jump.cmp, Cmp::Eq | Cmp::Ne)
            && jump.dst.ty.maybe_null();
        if !applies {
            return false;
        }
        let (id, ref_id) = (jump.dst.id, jump.dst.ref_obj_id);
        let null_is_target = jump.cmp == Cmp::Eq;
        let null = if null_is_target { &mut self.queue[queued].state } else { &mut self.cur };
        if ref_id != 0 && ref_id == id {
            null.drop_ref(id);
        }
        null.for_each_reg_mut(|reg| {
            if reg.ty.maybe_null() && reg.id == id {
                reg.ty = RegType::SCALAR;
                (reg.id, reg.ref_obj_id) = (0, 0);
            }
        });
        // Whether a type can hold a lock is asked of maps and BTF: look first, change afterwards.
        let mut frames =
            std::mem::take(if null_is_target { &mut self.cur.frames } else { &mut self.queue[queued].state.frames });
        for frame in &mut frames {
            let spills = frame.stack.iter_mut().filter(|s| s.is_spill()).map(|s| &mut s.reg);
            for reg in frame.regs.iter_mut().chain(spills) {
                if reg.ty.maybe_null() && reg.id == id {
                    *reg = self.non_null(reg);
                    // Locks are told apart by the id of the object they are in.
                    if !self.may_hold_lock(reg) && !self.profile.changes.null_check_keeps_id {
                        reg.id = 0;
                    }
                }
            }
        }
        *(if null_is_target { &mut self.cur.frames } else { &mut self.queue[queued].state.frames }) = frames;
        true
    }

    /// The register once it is known not to be null. What was looked up may be a map or socket instead of plain memory.
    pub(crate) fn non_null(&self, reg: &Reg) -> Reg {
        let mut out = Reg { ty: reg.ty.without(Flags::MAYBE_NULL), ..*reg };
        if reg.ty.kind != Kind::MapValue {
            return out;
        }
        let Some(map) = reg.map().map(|m| self.map(m)) else { return out };
        if let Some(inner) = map.inner {
            // Objects with callbacks remember which lookup their map came from.
            const CALLBACKS: [FieldKind; 3] = [FieldKind::Timer, FieldKind::Workqueue, FieldKind::TaskWork];
            let tells_maps_apart = CALLBACKS.into_iter().any(|f| self.map(inner).has(f));
            out.ty = RegType::of(Kind::MapPtr);
            out.ext = Ext::Map { map: inner, uid: if tells_maps_apart { reg.id } else { 0 } };
        } else {
            match map.ty {
                Some(MapType::Xskmap) => out.ty = RegType::of(Kind::XdpSock),
                Some(MapType::Sockmap | MapType::Sockhash) => out.ty = RegType::of(Kind::Sock),
                _ => {}
            }
        }
        out
    }

    /// The object may contain a lock. Lookups of such objects stay distinguishable by id.
    fn may_hold_lock(&self, reg: &Reg) -> bool {
        match reg.ty.kind {
            Kind::MapValue => reg.map().is_some_and(|m| self.map(m).has_lock()),
            Kind::Btf => {
                let locks = [FieldKind::SpinLock, FieldKind::ResSpinLock];
                self.record_of(reg).is_some_and(|record| locks.into_iter().any(|l| record.find(l).is_some()))
            }
            _ => false,
        }
    }
}
