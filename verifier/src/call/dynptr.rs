//! Dynptrs as call arguments: where they are on the stack, how they are made, used, cloned and released. What loads and stores do to
//! their slots is in `mem::stack`.

use super::helper::HelperCall;
use crate::env::Verifier;
use crate::mem::Access;
use crate::reg::{DynptrType, Ext, Flags, Kind, Reg, RegType};
use crate::reject::{R, Reject};
use crate::stack::{Byte, Slot};
use spec::helper::DynptrKind;

/// Place of a stack object: frame and the slot with its lowest address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub frame: usize,
    pub slot: usize,
}

/// How an argument uses a dynptr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DynptrUse {
    /// The call makes one; a clone shares this reference.
    Create { ty: DynptrType, shares: u32 },
    /// The call needs one, of this kind if said.
    Use { ty: Option<DynptrType>, rdonly: bool },
}

impl Verifier<'_> {
    /// Where an object of `slots` slots lies that the register points to. `None`: beyond what the frame has allocated so far.
    pub(super) fn object_place(&self, reg: &Reg, what: &'static str, slots: usize) -> R<Option<Place>> {
        let Some(var) = reg.val.const_value() else {
            return Err(Reject::ObjectOffsetVariable { what });
        };
        let off = reg.off.wrapping_add(var as i32);
        // Division towards zero: the frame's very top counts as its first slot, as in the kernel.
        let slot = off.wrapping_neg().wrapping_sub(1) / 8;
        if off % 8 != 0 || slot + 1 < slots as i32 {
            return Err(Reject::ObjectOffset { what, off });
        }
        let slot = slot as usize;
        let frame = reg.frameno as usize;
        if slot >= self.cur.frames[frame].stack.len() {
            return Ok(None);
        }
        Ok(Some(Place { frame, slot }))
    }

    /// The slot of the dynptr argument `regno`; its own complaints are printed, not returned.
    pub(super) fn dynptr_slot(&mut self, reg: &Reg, _regno: u8) -> R<Option<Place>> {
        match self.object_place(reg, "dynptr", 2) {
            Ok(place) => Ok(place),
            Err(r) => {
                self.note(&r);
                Ok(None)
            }
        }
    }

    pub(super) fn check_helper_dynptr(
        &mut self,
        regno: u8,
        kind: DynptrKind,
        uninit: bool,
        rdonly: bool,
        call: &mut HelperCall,
    ) -> R {
        let ty = match kind {
            DynptrKind::Any => None,
            DynptrKind::Local => Some(DynptrType::Local),
            DynptrKind::Ringbuf => Some(DynptrType::Ringbuf),
        };
        if uninit {
            let ty = ty.unwrap_or(DynptrType::Local);
            return self.check_dynptr(regno, DynptrUse::Create { ty, shares: 0 });
        }
        self.check_dynptr(regno, DynptrUse::Use { ty, rdonly })?;
        let found = self.dynptr_of(&self.reg(regno));
        call.dynptr = found.map(|(ty, _, _)| ty);
        if let Some((_, id, reference)) = found {
            call.dynptr_id = id;
            if call.proto.effects.contains(spec::helper::Effects::DYNPTR_REF) {
                call.ref_obj_id = reference;
            }
        }
        Ok(())
    }

    pub(super) fn check_dynptr(&mut self, regno: u8, how: DynptrUse) -> R {
        let reg = self.reg(regno);
        if !reg.ty.is(Kind::Stack) && !reg.ty.is(Kind::DynptrPtr) {
            return Err(Reject::DynptrPointer { arg: regno - 1 });
        }
        match how {
            DynptrUse::Create { ty, shares } => self.create_dynptr(regno, &reg, ty, shares),
            DynptrUse::Use { ty, rdonly } => self.use_dynptr(regno, &reg, ty, rdonly),
        }
    }

    fn create_dynptr(&mut self, regno: u8, reg: &Reg, ty: DynptrType, shares: u32) -> R {
        // Only the place is judged here: there may be no stack yet.
        let placed = reg.ty.is(Kind::Stack)
            && match self.object_place(reg, "dynptr", 2) {
                Ok(_) => true,
                Err(r) => {
                    self.note(&r);
                    false
                }
            };
        if !placed {
            return Err(Reject::DynptrNotUninit);
        }
        if !self.profile.changes.dynptr_ids
            && let Ok(Some(Place { frame, slot })) = self.object_place(reg, "dynptr", 2)
            && [slot, slot - 1]
                .iter()
                .any(|s| self.cur.frames[frame].stack.get(*s).is_some_and(|s| s.bytes.contains(&Byte::Dynptr)))
        {
            return Err(Reject::DynptrNotUninit);
        }
        for off in [0, 8] {
            self.check_mem_access(regno, off, 8, Access::Write, None, false, false)?;
        }
        let Ok(Some(Place { frame, slot })) = self.object_place(reg, "dynptr", 2) else {
            return Err(Reject::bug("dynptr without stack"));
        };
        self.destroy_dynptr_if_any(frame, slot)?;
        self.destroy_dynptr_if_any(frame, slot - 1)?;
        let early = self.profile.changes.dynptr_reference_first;
        let mut own_id = if self.profile.changes.dynptr_ids && !early { self.new_id() } else { 0 };
        let reference = match ty.refcounted() {
            true if shares != 0 => shares,
            true => self.acquire_reference(),
            false => 0,
        };
        if early {
            own_id = self.new_id();
        }
        let id = if self.profile.changes.dynptr_ids { own_id } else { reference };
        for (slot, first) in [(slot, true), (slot - 1, false)] {
            let mut image = Reg::pointer(RegType::of(Kind::DynptrPtr));
            image.id = id;
            image.ref_obj_id = reference;
            image.ext = Ext::Dynptr { ty, first };
            self.cur.frames[frame].stack[slot] = Slot { bytes: [Byte::Dynptr; 8], reg: image };
            self.live_write(frame, slot);
        }
        Ok(())
    }

    fn use_dynptr(&mut self, regno: u8, reg: &Reg, ty: Option<DynptrType>, rdonly: bool) -> R {
        let constant = reg.ty.is(Kind::DynptrPtr);
        if constant && !rdonly {
            return Err(Reject::DynptrConst);
        }
        let place = if constant { None } else { self.dynptr_slot(reg, regno)? };
        let initialised = constant || place.is_some_and(|p| self.is_dynptr_at(p));
        if !initialised {
            return Err(Reject::DynptrExpected { arg: regno - 1 });
        }
        if let Some(want) = ty
            && self.dynptr_of(reg).is_none_or(|(have, _, _)| have != want)
        {
            return Err(Reject::DynptrKind { kind: want.name(), arg: regno - 1 });
        }
        if let Some(Place { frame, slot }) = place {
            for slot in [slot, slot - 1] {
                self.live_read(frame, slot);
                self.log.scratch_slot(slot);
            }
        }
        Ok(())
    }

    /// Both slots of one dynptr, the first one at the place.
    fn is_dynptr_at(&self, p: Place) -> bool {
        let stack = &self.cur.frames[p.frame].stack;
        let whole = |slot: usize| stack[slot].bytes == [Byte::Dynptr; 8];
        matches!(stack[p.slot].reg.ext, Ext::Dynptr { first: true, .. }) && whole(p.slot) && whole(p.slot - 1)
    }

    /// Kind, id and reference of the dynptr that an argument points to.
    pub(super) fn dynptr_of(&self, reg: &Reg) -> Option<(DynptrType, u32, u32)> {
        let image = match reg.ty.kind {
            Kind::DynptrPtr => *reg,
            _ => {
                let p = self.object_place(reg, "dynptr", 2).ok()??;
                self.cur.frames[p.frame].stack[p.slot].reg
            }
        };
        match image.ext {
            Ext::Dynptr { ty, .. } => Some((ty, image.id, image.ref_obj_id)),
            _ => None,
        }
    }

    /// Gives back a dynptr: its slots and those of its clones become unusable, so do its slices. False when nothing is held.
    pub(super) fn release_dynptr(&mut self, reg: &Reg) -> bool {
        let Ok(Some(Place { frame, slot })) = self.object_place(reg, "dynptr", 2) else { return false };
        let reference = self.cur.frames[frame].stack[slot].reg.ref_obj_id;
        if !self.release_reference(reference) {
            return false;
        }
        for slot in 1..self.cur.frames[frame].stack.len() {
            let s = &self.cur.frames[frame].stack[slot];
            let clone = s.kind() == Byte::Dynptr
                && s.reg.ref_obj_id == reference
                && matches!(s.reg.ext, Ext::Dynptr { first: true, .. });
            if clone {
                self.clear_dynptr_slots(frame, slot);
            }
        }
        true
    }

    /// The two slots of a dynptr become uninitialised stack.
    pub(crate) fn clear_dynptr_slots(&mut self, frame: usize, first: usize) {
        for slot in [first, first - 1] {
            self.cur.frames[frame].stack[slot] = Slot::EMPTY;
            self.live_write(frame, slot);
        }
    }

    /// The argument of a callback or of a global function: a dynptr that lives elsewhere.
    pub(super) fn const_dynptr(&mut self) -> Reg {
        let mut reg = Reg { precise: !self.privs.bpf, ..Reg::pointer(RegType::of(Kind::DynptrPtr)) };
        reg.id = self.new_id();
        reg.ext = Ext::Dynptr { ty: DynptrType::Local, first: true };
        reg
    }

    /// The flag that memory slices of a dynptr kind carry.
    pub(super) const fn slice_flag(ty: DynptrType) -> Flags {
        match ty {
            DynptrType::Local => Flags::DYNPTR_LOCAL,
            DynptrType::Ringbuf => Flags::DYNPTR_RINGBUF,
            DynptrType::Skb => Flags::DYNPTR_SKB,
            DynptrType::Xdp => Flags::DYNPTR_XDP,
            DynptrType::SkbMeta => Flags::DYNPTR_SKB_META,
        }
    }
}
