//! The stack as seen by loads and stores: bounds and growth, spills and fills, data bytes, accesses at variable offsets. Stack memory
//! handed to helpers is in `arg`.

use crate::env::Verifier;
use crate::mem::{Access, Request};
use crate::reg::{Ext, Kind, Reg, RegType};
use crate::reject::errno::{EACCES, EFAULT, EINVAL};
use crate::reject::{R, Reject};
use crate::stack::{Byte, Slot};
use crate::state::{FP, HistFlags, STACK_LIMIT};
use crate::value::Tnum;
use isa::consts::*;

/// Offsets further than this are "unbounded".
const MAX_OFF: i64 = 1 << 29;

/// Slot that holds the byte at a (negative) offset, and the byte's index in it.
pub(super) fn place(off: i32) -> (usize, usize) {
    let at = (-off - 1) as usize;
    (at / 8, at % 8)
}

/// A stack access in bytes: the lowest offset and one past the highest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub frame: usize,
    pub min: i32,
    pub end: i32,
}

/// Kinds whose registers survive an 8-byte store.
fn is_spillable(ty: RegType) -> bool {
    !matches!(ty.kind, Kind::NotInit | Kind::Scalar | Kind::TpBuffer | Kind::DynptrPtr)
}

impl Verifier<'_> {
    /// Bounds of an access, growing the frame to it (but for memory given to helpers, where unallocated stack is told
    /// apart later). `by_call`: not the program's own load or store.
    pub(super) fn stack_span(
        &mut self,
        regno: u8,
        reg: &Reg,
        off: i32,
        size: u32,
        access: Access,
        by_call: bool,
    ) -> R<Span> {
        let words = access.stack_words();
        let var = reg.val.var_off;
        let (min, end) = if var.is_const() {
            let min = (var.value as i64).wrapping_add(i64::from(off));
            (min, min.wrapping_add(i64::from(size)))
        } else {
            if reg.val.smax >= MAX_OFF || reg.val.smin <= -MAX_OFF {
                return Err(Reject::StackUnbounded { words, reg: regno, by_call });
            }
            let (low, high) = (reg.val.smin + i64::from(off), reg.val.smax + i64::from(off));
            (low, high + i64::from(size))
        };
        let frame = reg.frameno as usize;
        let Some(f) = self.cur.frames.get(frame) else { return Err(Reject::bug("stack pointer into no frame")) };
        let grows = self.profile.changes.unallocated_readable || !by_call;
        let lowest = match access {
            Access::Read if !grows => STACK_LIMIT,
            Access::Read if !self.privs.uninit_stack || !self.profile.changes.unallocated_readable => f.allocated(),
            _ => STACK_LIMIT,
        };
        let errno = if min >= 0 || min < -i64::from(lowest) {
            EACCES
        } else if end > 0 {
            EINVAL
        } else if (size as i32) < 0 {
            EFAULT
        } else {
            let (min, end) = (min as i32, end as i32);
            let subprog = f.subprog as usize;
            if grows {
                self.cur.frames[frame].grow(-min);
            }
            let depth = &mut self.subprogs[subprog].stack_depth;
            *depth = (*depth).max((-min + 7) & !7);
            return Ok(Span { frame, min, end });
        };
        if var.is_const() {
            return Err(Reject::StackBounds { words, reg: regno, off, size, errno, by_call });
        }
        let Tnum { value, mask } = var;
        Err(Reject::StackBoundsVariable { words, reg: regno, value, mask, off, size, errno, by_call })
    }

    pub(super) fn stack_access(&mut self, q: &Request, reg: &Reg, off: i32) -> R {
        let span = self.stack_span(q.base, reg, off, q.size, q.access, false)?;
        let fixed = reg.val.var_off.is_const();
        match (q.access, fixed) {
            (Access::Write, true) => self.stack_store(q, span),
            (Access::Write, false) => self.stack_store_variable(q, span),
            (Access::Read, true) => self.stack_load(q, span),
            (Access::Read, false) => self.stack_load_variable(q, reg, span),
        }
    }

    fn slot(&self, frame: usize, k: usize) -> Slot {
        self.cur.frames[frame].stack.get(k).copied().unwrap_or(Slot::EMPTY)
    }
    fn slot_mut(&mut self, frame: usize, k: usize) -> &mut Slot {
        &mut self.cur.frames[frame].stack[k]
    }
    fn slot_history(&mut self, frame: usize, k: usize) {
        self.push_history(HistFlags { stack: Some((frame as u8, k as u8)), ..HistFlags::default() }, None);
    }

    // ---- stores --------------------------------------------------------------------------------------------------------

    fn stack_store(&mut self, q: &Request, span: Span) -> R {
        let (frame, off) = (span.frame, span.min);
        let (k, byte) = place(off);
        let old = self.slot(frame, k);
        if !self.privs.ptr_leaks && old.is_spill() && !old.reg.is_scalar() && q.size != 8 {
            return Err(Reject::CorruptsSpill);
        }
        let value = q.value.map(|v| self.reg(v));
        if !self.privs.bypass_v4 {
            let pointer = value.is_some_and(|v| is_spillable(v.ty));
            // The access starts at its lowest address, which has the highest index.
            let overwritten = (0..q.size as usize).filter_map(|i| old.bytes.get(byte.wrapping_sub(i)));
            let holds = overwritten.into_iter().any(|b| !matches!(b, Byte::Misc | Byte::Zero));
            if pointer || holds {
                self.aux[self.insn_idx as usize].nospec_result = true;
            }
        }
        self.destroy_dynptr_if_any(frame, k)?;
        let subprog = self.cur.frames[frame].subprog as usize;
        self.note_stack_access(subprog, off);
        self.log.scratch_slot(k);
        let insn = self.insns[self.insn_idx as usize];
        let is_st = class(insn.code) == BPF_ST;
        let bits = q.size * 8;
        let changes = self.profile.changes;
        let links = changes.partial_spills;
        match value {
            Some(v)
                if v.is_scalar()
                    && off % 8 == 0
                    && self.privs.bpf
                    && (links || !(v.is_null() || v.val.is_unbounded())) =>
            {
                if !links
                    && insn.dst as usize != FP
                    && let Some(r) = q.value
                {
                    self.mark_precise(r)?;
                }
                let fits = v.val.fits_unsigned(bits);
                if fits
                    && links
                    && let Some(r) = q.value
                {
                    self.ensure_id(r);
                }
                let mut image = q.value.map_or(v, |r| self.reg(r));
                if !fits {
                    image.id = 0;
                    if self.rules.clear_delta {
                        image.off = 0;
                    }
                }
                self.save(frame, k, q.size, image);
            }
            None if is_st
                && off % 8 == 0
                && self.privs.bpf
                && self.is_plain_store()
                && changes.st_imm_tracked
                && (links || insn.imm != 0) =>
            {
                let mut image = self.unknown();
                image.set_known(insn.imm as i64 as u64);
                self.save(frame, k, q.size, image);
            }
            Some(v) if is_spillable(v.ty) => {
                if q.size != 8 {
                    self.print_source_line(self.insn_idx as u32, "; ", true);
                    return Err(Reject::SpillSize);
                }
                if frame != self.cur.cur() && v.ty.kind == Kind::Stack {
                    return Err(Reject::SpillIntoCaller);
                }
                self.save(frame, k, q.size, v);
            }
            _ => {
                let zero = value.is_some_and(|v| v.is_null())
                    || (value.is_none() && is_st && insn.imm == 0 && self.is_plain_store() && changes.st_imm_tracked);
                self.store_data(
                    frame,
                    k,
                    byte,
                    q.size,
                    zero,
                    value.is_some_and(|v| v.is_null()).then_some(q.value).flatten(),
                )?;
            }
        }
        if q.size == 8 && off % 8 == 0 {
            self.live_write(frame, k);
        }
        Ok(())
    }

    /// The current instruction is itself a store, not a call or atomic that simulates one.
    fn is_plain_store(&self) -> bool {
        class(self.insns[self.insn_idx as usize].code) == BPF_ST
    }

    /// A register image goes into the slot from its lowest address up.
    fn save(&mut self, frame: usize, k: usize, size: u32, image: Reg) {
        let keep_zero = self.profile.changes.partial_spills;
        let slot = self.slot_mut(frame, k);
        slot.reg = image;
        let n = size as usize;
        for (i, b) in slot.bytes.iter_mut().enumerate() {
            if i >= 8 - n {
                *b = Byte::Spill;
            } else if b.is_stored() && !(keep_zero && *b == Byte::Zero) {
                *b = Byte::Misc;
            }
        }
        self.slot_history(frame, k);
    }

    fn store_data(&mut self, frame: usize, k: usize, byte: usize, size: u32, zero: bool, zero_reg: Option<u8>) -> R {
        let not_init = Reg { precise: !self.privs.bpf, ..Reg::NOT_INIT };
        let slot = self.slot_mut(frame, k);
        if slot.is_special() {
            slot.bytes.iter_mut().filter(|b| b.is_stored()).for_each(|b| *b = Byte::Misc);
        }
        slot.reg = not_init;
        if zero && let Some(r) = zero_reg {
            self.mark_precise(r)?;
        }
        let slot = self.slot_mut(frame, k);
        // The access starts at its lowest address, which has the highest index.
        for i in 0..size as usize {
            slot.bytes[byte - i] = if zero { Byte::Zero } else { Byte::Misc };
        }
        Ok(())
    }

    /// A store that may hit a dynptr: ring buffer dynptrs are protected, others are destroyed with their slices.
    pub fn destroy_dynptr_if_any(&mut self, frame: usize, k: usize) -> R {
        let slot = self.slot(frame, k);
        // Without ids a store leaves a dynptr that is none any more, and nobody asks what it held.
        if slot.kind() != Byte::Dynptr || !self.profile.changes.dynptr_ids {
            return Ok(());
        }
        let Ext::Dynptr { ty, first } = slot.reg.ext else { return Ok(()) };
        if ty.refcounted() {
            return Err(Reject::OverwritesDynptr);
        }
        // The slot with the lower address comes first.
        let low = if first { k } else { k + 1 };
        let id = self.slot(frame, low).reg.id;
        for s in [low, low - 1] {
            self.log.scratch_slot(s);
        }
        let gone = self.invalidated();
        self.cur.for_each_reg_mut(|r| {
            let mem = r.ty.kind == Kind::Mem && (r.ty.flags.is_empty() || r.ty.flags == crate::reg::Flags::MAYBE_NULL);
            if mem && r.dynptr_id() == id {
                *r = gone;
            }
        });
        self.clear_dynptr_slots(frame, low);
        Ok(())
    }

    fn stack_store_variable(&mut self, q: &Request, span: Span) -> R {
        let frame = span.frame;
        let subprog = self.cur.frames[frame].subprog as usize;
        self.note_stack_access(subprog, span.min);
        let insn = self.insns[self.insn_idx as usize];
        let zero_reg = q.value.filter(|v| self.reg(*v).is_null());
        let zero = zero_reg.is_some() || (q.value.is_none() && self.is_plain_store() && insn.imm == 0);
        for off in span.min..span.end {
            self.destroy_dynptr_if_any(frame, place(off).0)?;
        }
        let not_init = Reg { precise: !self.privs.bpf, ..Reg::NOT_INIT };
        let whole_slot = self.profile.changes.var_store_clears_slot;
        let mut zero_used = false;
        for off in span.min..span.end {
            let (k, byte) = place(off);
            self.log.scratch_slot(k);
            let old = self.slot(frame, k);
            if !self.privs.ptr_leaks && !matches!(old.bytes[byte], Byte::Misc | Byte::Zero) {
                return Err(Reject::VarStoreOverSpill { insn: self.insn_idx, off });
            }
            if zero && old.bytes[byte] == Byte::Spill && old.reg.is_null() {
                zero_used = true;
                continue;
            }
            let slot = self.slot_mut(frame, k);
            if whole_slot && slot.is_special() {
                slot.bytes.iter_mut().filter(|b| b.is_stored()).for_each(|b| *b = Byte::Misc);
            }
            slot.reg = not_init;
            let kept = zero && slot.bytes[byte] == Byte::Zero;
            zero_used |= kept;
            slot.bytes[byte] = if kept { Byte::Zero } else { Byte::Misc };
        }
        if zero_used && let Some(r) = zero_reg {
            self.mark_precise(r)?;
        }
        Ok(())
    }

    // ---- loads ---------------------------------------------------------------------------------------------------------

    fn stack_load(&mut self, q: &Request, span: Span) -> R {
        let (frame, off) = (span.frame, span.min);
        let (k, byte) = place(off);
        // The limit of the current function counts here, whatever frame is read.
        let subprog = self.cur.frame().subprog as usize;
        self.note_stack_access(subprog, off);
        self.live_read(frame, k);
        self.log.scratch_slot(k);
        let slot = self.slot(frame, k);
        if !slot.is_spill() {
            return self.load_bytes(q, &slot, off, byte);
        }
        let spilled = slot.bytes.iter().rev().take_while(|b| **b == Byte::Spill).count() as u32;
        let whole = q.size == 8 && spilled == 8;
        if whole {
            match q.value {
                Some(dst) => *self.reg_mut(dst) = self.filled(frame, k),
                None if !slot.reg.is_scalar() && !self.privs.ptr_leaks => return Err(Reject::LeakingSpill { off }),
                None => {}
            }
            self.slot_history(frame, k);
            return Ok(());
        }
        if !slot.reg.is_scalar() {
            self.print_source_line(self.insn_idx as u32, "; ", true);
            return Err(Reject::FillSize);
        }
        let Some(dst) = q.value else { return Ok(()) };
        if !self.profile.changes.partial_spills {
            return self.fill_part_early(q, &slot, span, spilled, dst);
        }
        if q.size <= spilled && off % 8 == 0 {
            let fits = slot.reg.val.fits_unsigned(q.size * 8);
            let mut image = if fits { self.filled(frame, k) } else { slot.reg };
            if !fits {
                image.id = 0;
                if self.rules.clear_delta {
                    image.off = 0;
                }
            }
            *self.reg_mut(dst) = image;
            self.slot_history(frame, k);
            return Ok(());
        }
        let (mut spills, mut zeros) = (0, 0);
        for i in 0..q.size {
            match slot.bytes[byte - i as usize] {
                Byte::Spill => spills += 1,
                Byte::Misc => {}
                Byte::Zero => zeros += 1,
                Byte::Invalid | Byte::Poison if self.privs.uninit_stack => {}
                _ => return Err(Reject::UninitRead { off, byte: i, size: q.size }),
            }
        }
        if spills == q.size && slot.reg.is_null() {
            self.mark_known(dst, 0);
            self.slot_history(frame, k);
        } else if zeros == q.size {
            self.mark_known(dst, 0);
        } else {
            self.mark_unknown(dst);
        }
        Ok(())
    }

    /// What is spilled in the slot; the register that gets it is linked to the slot.
    fn filled(&mut self, frame: usize, k: usize) -> Reg {
        let mut image = self.slot(frame, k).reg;
        if self.profile.changes.fills_give_ids {
            self.ensure_reg_id(&mut image);
            self.slot_mut(frame, k).reg = image;
        }
        image
    }

    /// A part of a spilled number, where only exactly what was spilled is known.
    fn fill_part_early(&mut self, q: &Request, slot: &Slot, span: Span, spilled: u32, dst: u8) -> R {
        let (k, byte) = place(span.min);
        if span.min % 8 == 0 && spilled == q.size {
            *self.reg_mut(dst) = slot.reg;
            self.slot_history(span.frame, k);
            return Ok(());
        }
        let uninit = self.privs.uninit_stack;
        let unreadable = |i: &u32| match slot.bytes[byte - *i as usize] {
            Byte::Spill | Byte::Misc => false,
            Byte::Invalid | Byte::Poison => !uninit,
            _ => true,
        };
        if let Some(byte) = (0..q.size).find(unreadable) {
            return Err(Reject::UninitRead { off: span.min, byte, size: q.size });
        }
        self.mark_unknown(dst);
        Ok(())
    }

    /// A slot without a spilled register.
    fn load_bytes(&mut self, q: &Request, slot: &Slot, off: i32, byte: usize) -> R {
        let mut zeros = 0;
        for i in 0..q.size {
            match slot.bytes[byte - i as usize] {
                Byte::Misc => {}
                Byte::Zero => zeros += 1,
                Byte::Invalid | Byte::Poison if self.privs.uninit_stack => {}
                _ => return Err(Reject::UninitRead { off, byte: i, size: q.size }),
            }
        }
        if let Some(dst) = q.value {
            self.load_zeros(dst, zeros == q.size);
        }
        Ok(())
    }

    /// What was read from bytes without a register: 0 or anything. Where zero bytes cannot be followed back the 0 is precise.
    fn load_zeros(&mut self, dst: u8, zero: bool) {
        if zero {
            self.mark_known(dst, 0);
            self.reg_mut(dst).precise |= !self.profile.changes.partial_spills;
        } else {
            self.mark_unknown(dst);
        }
    }

    fn stack_load_variable(&mut self, q: &Request, reg: &Reg, span: Span) -> R {
        let Some(dst) = q.value else {
            let var = reg.val.var_off;
            let off = q.off.wrapping_add(reg.off);
            return Err(Reject::VarStackHelper { value: var.value, mask: var.mask, off, size: q.size });
        };
        self.check_stack_initialised(q.base, reg, span, q.size, Access::Read, false)?;
        let subprog = self.cur.frames[span.frame].subprog as usize;
        self.note_stack_access(subprog, span.min);
        let mut zeros = true;
        for off in span.min..span.end {
            let (k, byte) = place(off);
            self.log.scratch_slot(k);
            if self.slot(span.frame, k).bytes[byte] != Byte::Zero {
                zeros = false;
                break;
            }
        }
        self.load_zeros(dst, zeros);
        Ok(())
    }
}
