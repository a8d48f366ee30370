//! How kernels before 6.18 learn what of a stored state was needed: read marks that climb from child to parent. Every register and
//! stack slot of a path knows the item of a stored state that it began as. A read climbs from there to older states until a state whose
//! own straight-line code wrote the item (what was there before did not matter), or until a mark that has been there before. A path that
//! is covered by a stored state will read what that one's continuations read, so their marks are handed to it as reads.
//!
//! Newer kernels answer the same question before the walk for registers (`InsnAux::live_regs`) and in `liveness` for stack slots.

use super::Explored;
use crate::env::Verifier;
use crate::state::{FP, StateId};

/// The item of a stored state that a register or slot began as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin {
    state: StateId,
    frame: u8,
    item: u8,
}

/// What is known of one register or slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// A continuation of this state reads it.
    pub read: bool,
    /// It was written since the state began, as a whole.
    pub written: bool,
    origin: Option<Origin>,
}

impl Mark {
    /// As the log shows it behind the name of the register or slot.
    pub fn suffix(self) -> &'static str {
        match (self.read, self.written) {
            (false, false) => "",
            (true, false) => "_r",
            (false, true) => "_w",
            (true, true) => "_rw",
        }
    }
}

/// Marks of one frame: registers, then slots. Empty in kernels that need none; what is missing at the end was not touched.
#[derive(Clone, Debug, Default)]
pub struct Marks(Vec<Mark>);

/// Registers R0..R9 come first; R10 is never written and needs no mark.
const SLOTS: usize = FP;

impl Marks {
    pub fn reg(&self, r: usize) -> Mark {
        if r < FP { self.item(r) } else { Mark::default() }
    }
    pub fn slot(&self, k: usize) -> Mark {
        self.item(SLOTS + k)
    }
    /// The register comes from another frame (an argument, a result) and keeps its past.
    pub fn take_over(&mut self, from: &Marks, r: usize) {
        if !from.0.is_empty() || !self.0.is_empty() {
            *self.item_mut(r) = from.item(r);
        }
    }
    fn item(&self, item: usize) -> Mark {
        self.0.get(item).copied().unwrap_or_default()
    }
    fn item_mut(&mut self, item: usize) -> &mut Mark {
        if item >= self.0.len() {
            self.0.resize(item + 1, Mark::default());
        }
        &mut self.0[item]
    }
}

impl Explored {
    /// A read that no write screened off climbs.
    fn climb(&mut self, mut from: Option<Origin>) {
        while let Some(o) = from {
            let Some(s) = self.get_mut(o.state) else { return };
            let Some(frame) = s.state.frames.get_mut(o.frame as usize) else { return };
            let mark = frame.marks.item_mut(o.item as usize);
            if mark.read {
                return;
            }
            mark.read = true;
            if mark.written {
                return;
            }
            from = mark.origin;
        }
    }
}

impl Verifier<'_> {
    fn has_parentage(&self) -> bool {
        !self.profile.changes.static_live_slots
    }

    fn item_read(&mut self, frame: usize, item: usize) {
        let mark = self.cur.frames[frame].marks.item(item);
        if !mark.written {
            self.explored.climb(mark.origin);
        }
    }

    /// The current instruction needs a register of its frame.
    pub fn note_reg_read(&mut self, r: u8) {
        if self.has_parentage() && (r as usize) < FP {
            self.item_read(self.cur.cur(), r as usize);
        }
    }

    /// The current instruction replaces a register of its frame.
    pub fn note_reg_written(&mut self, r: u8) {
        if self.has_parentage() && (r as usize) < FP {
            self.cur.frame_mut().marks.item_mut(r as usize).written = true;
        }
    }

    pub(super) fn note_slot_read(&mut self, frame: usize, slot: usize) {
        self.item_read(frame, SLOTS + slot);
    }

    pub(super) fn note_slot_written(&mut self, frame: usize, slot: usize) {
        self.cur.frames[frame].marks.item_mut(SLOTS + slot).written = true;
    }

    /// The path was stored: from here on it is a child of that state, and has written nothing.
    pub(super) fn link_to_stored(&mut self, id: StateId) {
        if !self.has_parentage() {
            return;
        }
        let innermost = self.cur.cur();
        for (f, frame) in self.cur.frames.iter_mut().enumerate() {
            let items = SLOTS + frame.stack.len();
            let mut old = std::mem::take(&mut frame.marks);
            for item in 0..items {
                // What a call clobbers in outer frames has no child.
                let linked = f == innermost || item >= 6;
                let origin = if linked {
                    Some(Origin { state: id, frame: f as u8, item: item as u8 })
                } else {
                    old.item(item).origin
                };
                *old.item_mut(item) = Mark { origin, read: false, written: false };
            }
            frame.marks = old;
        }
    }

    /// The path is covered by a stored state: what that one's continuations read, this one's would.
    pub(super) fn inherit_reads(&mut self, id: StateId) {
        if !self.has_parentage() {
            return;
        }
        let Some(old) = self.explored.get(id) else { return };
        let mut reads = Vec::new();
        for (f, frame) in old.state.frames.iter().enumerate() {
            let first = if f == old.state.cur() { 0 } else { 6 };
            let slots = frame.stack.len().min(self.cur.frames[f].stack.len());
            let items = (first..SLOTS + slots).filter(|i| frame.marks.item(*i).read);
            reads.extend(items.map(|i| (f, i)));
        }
        for (f, item) in reads {
            self.item_read(f, item);
        }
    }
}
