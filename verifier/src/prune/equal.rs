//! When an earlier state covers a later one. `Normal` trusts precision marks; `Range` is for loops, where marks may still be missing;
//! `Exact` is for proving that a loop repeats itself. Which level applies is decided in the parent module.

use crate::env::Verifier;
use crate::held::Held;
use crate::reg::{ADD_CONST, Ext, Flags, Kind, Reg};
use crate::stack::{Byte, Slot};
use crate::state::{FP, Frame, REGS, Ref, State};
use smallvec::SmallVec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Normal,
    Range,
    Exact,
}

/// Pairs of ids that must stand for each other in one comparison.
pub struct IdMap {
    pairs: SmallVec<[(u32, u32); 32]>,
    next_temp: u32,
}

/// Pairs the kernel has room for.
const CAPACITY: usize = (11 + 64) * 8;

impl IdMap {
    /// Temporary ids follow the program's counter.
    pub fn new(last_id: u32) -> IdMap {
        IdMap { pairs: SmallVec::new(), next_temp: last_id }
    }
    pub fn same(&mut self, old: u32, new: u32) -> bool {
        if (old != 0) != (new != 0) {
            return false;
        }
        if old == 0 {
            return true;
        }
        for &(o, n) in &self.pairs {
            if o == old {
                return n == new;
            }
            if n == new {
                return false;
            }
        }
        if self.pairs.len() == CAPACITY {
            return false;
        }
        self.pairs.push((old, new));
        true
    }
    /// An old scalar without an id was tied to nothing: ties of the new one only narrow it. A new one without an id counts as having
    /// one of its own.
    pub fn same_scalar(&mut self, old: u32, new: u32) -> bool {
        if old == 0 {
            return true;
        }
        if new == 0 {
            self.next_temp += 1;
            return self.same(old, self.next_temp);
        }
        self.same(old, new)
    }
}

/// Is `new` covered by `old`?
pub fn states_equal(v: &Verifier<'_>, old: &State, new: &State, level: Level) -> bool {
    if old.frames.len() != new.frames.len() || (old.speculative && !new.speculative) || old.sleepable != new.sleepable {
        return false;
    }
    let mut ids = IdMap::new(v.last_id());
    if !refs_equal(old, new, &mut ids) {
        return false;
    }
    (0..old.frames.len()).all(|f| {
        let (a, b) = (&old.frames[f], &new.frames[f]);
        let live = v.aux[old.frame_insn(f) as usize].live_regs;
        let live = compared_regs(v, a, live, level);
        a.callsite == b.callsite
            && frames_equal(v, a, b, live, &mut ids, level)
            && held_equal(&a.held, &b.held, &mut ids)
    })
}

/// Registers of a stored frame that make a difference.
fn compared_regs(v: &Verifier<'_>, old: &Frame, live: u16, level: Level) -> u16 {
    let changes = &v.profile.changes;
    let known = if changes.static_live_regs { live } else { u16::MAX };
    if changes.static_live_slots || level != Level::Normal {
        return known;
    }
    (0..FP).filter(|r| old.marks.reg(*r).read).fold(0, |m, r| m | 1 << r) & known
}

fn refs_equal(old: &State, new: &State, ids: &mut IdMap) -> bool {
    if old.refs.len() != new.refs.len()
        || old.active_locks != new.active_locks
        || old.active_preempt != new.active_preempt
        || old.active_rcu != new.active_rcu
        || !ids.same(old.active_irq_id, new.active_irq_id)
        || !ids.same(old.active_lock_id, new.active_lock_id)
        || old.active_lock_obj != new.active_lock_obj
    {
        return false;
    }
    held_equal(&old.refs, &new.refs, ids)
}

fn held_equal(old: &Held, new: &Held, ids: &mut IdMap) -> bool {
    let same = |a: &Ref, b: &Ref, ids: &mut IdMap| {
        ids.same(a.id, b.id) && a.kind == b.kind && (!a.kind.is_lock() || a.lock == b.lock)
    };
    old.len() == new.len() && old.iter().zip(new.iter()).all(|(a, b)| same(a, b, ids))
}

fn frames_equal(v: &Verifier<'_>, a: &Frame, b: &Frame, live: u16, ids: &mut IdMap, level: Level) -> bool {
    if a.callback_depth > b.callback_depth {
        return false;
    }
    for r in 0..REGS {
        if live & (1 << r) != 0 && !regs_equal(v, &a.regs[r], &b.regs[r], ids, level) {
            return false;
        }
    }
    stacks_equal(v, a, b, ids, level)
}

/// Identical, ids mapped. Frame number, precision and the like are left out.
pub fn exact(a: &Reg, b: &Reg, ids: &mut IdMap) -> bool {
    a.same_facts(b) && ids.same(a.id, b.id) && ids.same(a.ref_obj_id, b.ref_obj_id)
}

/// The same facts under the same ids.
fn identical(a: &Reg, b: &Reg) -> bool {
    let ids = |r: &Reg| (r.id, r.ref_obj_id);
    a.same_facts(b) && ids(a) == ids(b) && (a.ty.kind != Kind::Stack || a.frameno == b.frameno)
}

fn scalars_exact(a: &Reg, b: &Reg, ids: &mut IdMap) -> bool {
    a.same_facts(b) && ids.same_scalar(a.id, b.id)
}

pub fn regs_equal(v: &Verifier<'_>, old: &Reg, new: &Reg, ids: &mut IdMap, level: Level) -> bool {
    if level == Level::Exact {
        return exact(old, new, ids);
    }
    if !old.is_init() {
        return level == Level::Normal || !new.is_init();
    }
    if old.ty != new.ty {
        return false;
    }
    if !v.profile.changes.same_registers_by_ids && identical(old, new) {
        return true;
    }
    match old.ty.kind {
        Kind::Scalar => {
            if v.deep_alu {
                return scalars_exact(old, new, ids);
            }
            if !old.precise && level == Level::Normal {
                return true;
            }
            if !v.profile.changes.scalar_ids_compared {
                return new.val.is_within(&old.val);
            }
            if old.id != 0 && (old.id & ADD_CONST) != (new.id & ADD_CONST) {
                return false;
            }
            if old.id & ADD_CONST != 0 && old.off != new.off {
                return false;
            }
            new.val.is_within(&old.val) && ids.same_scalar(old.base_id(), new.base_id())
        }
        Kind::MapKey | Kind::MapValue | Kind::Mem | Kind::Buf | Kind::TpBuffer => {
            old.ext == new.ext
                && offset_within(v, old, new)
                && ids.same(old.id, new.id)
                && ids.same(old.ref_obj_id, new.ref_obj_id)
        }
        Kind::Packet | Kind::PacketMeta => {
            covers_range(old.range(), new.range()) && ids.same(old.id, new.id) && offset_within(v, old, new)
        }
        Kind::Stack => exact(old, new, ids) && old.frameno == new.frameno,
        Kind::Arena => true,
        _ => exact(old, new, ids),
    }
}

/// Wherever the new pointer may point, the old one may.
fn offset_within(v: &Verifier<'_>, old: &Reg, new: &Reg) -> bool {
    if v.profile.changes.offset_in_one {
        new.offset().is_within(&old.offset())
    } else {
        old.off == new.off && new.val.is_within(&old.val)
    }
}

/// Bytes proven in the old state are proven in the new one; a pointer at or beyond the end equals only its like.
fn covers_range(old: i32, new: i32) -> bool {
    if old < 0 || new < 0 { old == new } else { old <= new }
}

/// The slot seen as a scalar: a fully spilled one, or eight bytes that may be anything.
fn scalar_view(v: &Verifier<'_>, s: &Slot) -> Option<Reg> {
    if s.is_full_spill() && s.reg.is_scalar() {
        return Some(s.reg);
    }
    let any = |b: &Byte| *b == Byte::Misc || (v.privs.uninit_stack && *b == Byte::Invalid);
    s.bytes.iter().all(any).then(|| Reg::unknown(false))
}

fn stacks_equal(v: &Verifier<'_>, a: &Frame, b: &Frame, ids: &mut IdMap, level: Level) -> bool {
    let all = v.profile.changes.static_live_slots || level != Level::Normal;
    let mut compared = (0..a.stack.len()).filter(|k| all || a.marks.slot(*k).read);
    compared.all(|k| slots_equal(v, &a.stack[k], b.stack.get(k), ids, level))
}

fn slots_equal(v: &Verifier<'_>, old: &Slot, new: Option<&Slot>, ids: &mut IdMap, level: Level) -> bool {
    for i in 0..8 {
        if level != Level::Normal && new.is_none_or(|n| n.bytes[i] != old.bytes[i]) {
            return false;
        }
        if !old.bytes[i].is_stored() || (v.privs.uninit_stack && old.bytes[i] == Byte::Misc) {
            continue;
        }
        let Some(new) = new else { return false };
        if let (Some(a), Some(b)) = (scalar_view(v, old), scalar_view(v, new)) {
            return regs_equal(v, &a, &b, ids, level);
        }
        if old.bytes[i] == Byte::Misc && new.bytes[i] == Byte::Zero {
            continue;
        }
        if old.bytes[i] != new.bytes[i] {
            return false;
        }
        if i == 7 && !contents_equal(v, old, new, ids, level) {
            return false;
        }
    }
    true
}

/// What a slot's lowest byte stands for.
fn contents_equal(v: &Verifier<'_>, old: &Slot, new: &Slot, ids: &mut IdMap, level: Level) -> bool {
    match (old.kind(), old.reg.ext, new.reg.ext) {
        (Byte::Spill, _, _) => regs_equal(v, &old.reg, &new.reg, ids, level),
        (Byte::Dynptr, a, b) => a == b && ids.same(old.reg.ref_obj_id, new.reg.ref_obj_id),
        (Byte::Iter, Ext::Iter { btf: ab, id: ai, state: a, .. }, Ext::Iter { btf: bb, id: bi, state: b, .. }) => {
            (ab, ai, a) == (bb, bi, b) && ids.same(old.reg.ref_obj_id, new.reg.ref_obj_id)
        }
        (Byte::Irq, a, b) => a == b && ids.same(old.reg.ref_obj_id, new.reg.ref_obj_id),
        (Byte::Iter, _, _) => false,
        _ => true,
    }
}

/// May stand for a socket or memory that a null check will reveal: kept out of numeric widening.
pub fn is_plain_scalar(r: &Reg) -> bool {
    r.is_scalar() && r.ty.flags == Flags::NONE
}
