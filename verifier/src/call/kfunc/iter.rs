//! Open-coded iterators: their state on the stack, and the two ways that `next` can go.

use super::KfuncCall;
use crate::call::dynptr::Place;
use crate::env::Verifier;
use crate::mem::Access;
use crate::reg::{BtfId, Ext, Flags as RegFlags, IterState, Kind, Reg, RegType};
use crate::reject::errno::ENOMEM;
use crate::reject::{R, Reject};
use crate::stack::{Byte, Slot};
use btf::Kind as BtfKind;
use spec::kfunc::Flags;
use spec::{AttachType, ProgType};

/// The iterator type of an argument.
struct IterType {
    id: u32,
    /// Without `bpf_iter_`.
    name: String,
    slots: usize,
}

impl Verifier<'_> {
    pub(super) fn check_iter(&mut self, i: usize, pointee: u32, call: &mut KfuncCall) -> R {
        let regno = i as u8 + 1;
        let reg = self.reg(regno);
        if call.is("bpf_iter_css_task_new") && !self.css_task_allowed() {
            return Err(Reject::IterCssTask);
        }
        if !reg.ty.is(Kind::Stack) {
            return Err(Reject::IterPointer { arg: i });
        }
        let size = call.btf.resolve_size(pointee).unwrap_or(0);
        let name = match call.btf.name(pointee).strip_prefix("bpf_iter_") {
            Some(name) if call.btf.kind(pointee) == Some(BtfKind::Struct) && size >= 8 => name.to_owned(),
            _ => return Err(Reject::IterType { arg: i }),
        };
        let ty = IterType { id: pointee, name, slots: size as usize / 8 };
        if call.has(Flags::ITER_NEW) {
            return self.create_iter(i, &reg, &ty, call);
        }
        let place = match self.iter_at(&reg, &ty) {
            Ok(place) => place,
            Err(true) => return Err(Reject::IterNeedsRcu { name: call.name.clone() }),
            Err(false) => return Err(Reject::IterExpected { name: ty.name, arg: i }),
        };
        for slot in (0..ty.slots).map(|k| place.slot - k) {
            self.live_read(place.frame, slot);
            self.log.scratch_slot(slot);
        }
        call.iter = Some(place);
        call.ref_obj_id = self.slot_at(place).reg.ref_obj_id;
        if call.has(Flags::ITER_DESTROY) {
            self.destroy_iter(place, ty.slots);
        }
        Ok(())
    }

    fn slot_at(&self, p: Place) -> &Slot {
        &self.cur.frames[p.frame].stack[p.slot]
    }

    fn css_task_allowed(&self) -> bool {
        self.prog_type == ProgType::Lsm || self.attaches_as(AttachType::TraceIter) || self.cur.can_sleep()
    }

    /// An initialised iterator of this type. `Err(true)`: its RCU section is over.
    fn iter_at(&mut self, reg: &Reg, ty: &IterType) -> Result<Place, bool> {
        let place = match self.object_place(reg, "iter", ty.slots) {
            Ok(Some(place)) => place,
            Ok(None) => return Err(false),
            Err(r) => {
                self.note(&r);
                return Err(false);
            }
        };
        for k in 0..ty.slots {
            let slot = self.slot_at(Place { slot: place.slot - k, ..place });
            if slot.reg.ty.flags.has(RegFlags::UNTRUSTED) {
                return Err(true);
            }
            let of_type = matches!(slot.reg.ext, Ext::Iter { btf: BtfId::KERNEL, id, .. } if id == ty.id);
            let first = (k == 0) == (slot.reg.ref_obj_id != 0);
            if !first || !of_type || slot.bytes != [Byte::Iter; 8] {
                return Err(false);
            }
        }
        Ok(place)
    }

    fn create_iter(&mut self, i: usize, reg: &Reg, ty: &IterType, call: &KfuncCall) -> R {
        let regno = i as u8 + 1;
        let free = match self.object_place(reg, "iter", ty.slots) {
            Ok(None) => true,
            Ok(Some(p)) => {
                let frame = &self.cur.frames[p.frame];
                (0..ty.slots).all(|k| !frame.stack[p.slot - k].bytes.contains(&Byte::Iter))
            }
            Err(r) => {
                self.note(&r);
                false
            }
        };
        if !free {
            return Err(Reject::IterNotUninit { name: ty.name.clone(), arg: i });
        }
        for k in 0..ty.slots {
            self.check_mem_access(regno, k as i32 * 8, 8, Access::Write, None, false, false)?;
        }
        let Ok(Some(place)) = self.object_place(reg, "iter", ty.slots) else {
            return Err(Reject::bug("iterator without stack"));
        };
        let id = self.acquire_reference();
        let mark = match (call.has(Flags::RCU_PROTECTED), self.cur.in_rcu_section()) {
            (false, _) => RegFlags::NONE,
            (true, true) => RegFlags::RCU,
            (true, false) => RegFlags::UNTRUSTED,
        };
        for k in 0..ty.slots {
            let slot = place.slot - k;
            let mut image = Reg::pointer(RegType::of(Kind::Stack).with(mark));
            image.ref_obj_id = if k == 0 { id } else { 0 };
            image.ext = Ext::Iter { btf: BtfId::KERNEL, id: ty.id, state: IterState::Active, depth: 0 };
            self.cur.frames[place.frame].stack[slot] = Slot { bytes: [Byte::Iter; 8], reg: image };
            self.live_write(place.frame, slot);
            self.log.scratch_slot(slot);
        }
        Ok(())
    }

    fn destroy_iter(&mut self, place: Place, slots: usize) {
        let reference = self.slot_at(place).reg.ref_obj_id;
        self.release_reference(reference);
        for slot in (0..slots).map(|k| place.slot - k) {
            self.cur.frames[place.frame].stack[slot] = Slot::EMPTY;
            self.live_write(place.frame, slot);
            self.log.scratch_slot(slot);
        }
    }

    /// `next` of an active iterator: this path sees its end, a queued one another element.
    pub(super) fn fork_iter_next(&mut self, call: &KfuncCall) -> R {
        let Some(Place { frame, slot }) = call.iter else { return Err(Reject::bug("iterator next without iterator")) };
        let Ext::Iter { btf, id, state, depth } = self.cur.frames[frame].stack[slot].reg.ext else {
            return Err(Reject::bug("iterator next without iterator"));
        };
        if state == IterState::Active {
            let at = self.push_branch(self.insn_idx + 1, self.insn_idx, false).map_err(|e| e.reject(ENOMEM))?;
            let next = Ext::Iter { btf, id, state, depth: depth + 1 };
            self.queue[at].state.frames[frame].stack[slot].reg.ext = next;
            self.widen_iter_next(at)?;
            let r0 = self.non_null(&self.queue[at].state.frame().regs[0]);
            self.queue[at].state.frame_mut().regs[0] = r0;
        }
        self.cur.frames[frame].stack[slot].reg.ext = Ext::Iter { btf, id, state: IterState::Drained, depth };
        self.mark_known(0, 0);
        Ok(())
    }
}
