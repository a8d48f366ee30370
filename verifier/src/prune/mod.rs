//! When a path may stop because an earlier one covers it: stored states, the check at prune points, eviction, counters.
//! When two states are equal is in `equal`, loops in `loops`, what may be forgotten in `dead_slots` and `liveness`, what must be exact in `precision`.

mod dead_slots;
mod entries;
pub mod equal;
mod liveness;
mod loops;
mod parentage;
pub mod precision;
mod widen;

pub use dead_slots::LiveStacks;
pub use liveness::Liveness;
pub use loops::Visits;
pub use parentage::Marks;

use crate::env::Verifier;
use crate::reg::{Ext, IterState, Reg};
use crate::reject::{R, Reject};
use crate::stack::{Byte, Slot};
use crate::state::{FP, Frame, HistFlags, State, StateId};
use equal::Level;
use smallvec::SmallVec;

/// A state kept at a prune point.
#[derive(Debug)]
pub struct Stored {
    pub state: State,
    /// Unfinished paths that go on from here.
    pub branches: u32,
    hits: u32,
    misses: u32,
    cleaned: bool,
    evicted: bool,
    /// A loop comes back to it (before 6.17).
    is_entry: bool,
}

/// All stored states, in buckets by instruction and callsite.
#[derive(Debug, Default)]
pub struct Explored {
    len: u32,
    /// Oldest first.
    buckets: Vec<Vec<StateId>>,
    states: Vec<Option<Box<Stored>>>,
    free: Vec<StateId>,
    /// States in buckets, evicted but not freed, and attached back edges, never reset.
    live: u32,
    pub visits: Visits,
}

/// What the check at a prune point says.
pub enum Visit {
    Pruned,
    Continue,
}

impl Explored {
    pub fn new(insns: usize) -> Explored {
        Explored { len: insns.max(1) as u32, buckets: vec![Vec::new(); insns.max(1)], ..Explored::default() }
    }
    pub fn get(&self, id: StateId) -> Option<&Stored> {
        self.states.get(id.0 as usize)?.as_deref()
    }
    pub fn get_mut(&mut self, id: StateId) -> Option<&mut Stored> {
        self.states.get_mut(id.0 as usize)?.as_deref_mut()
    }
    pub fn add_branch(&mut self, parent: Option<StateId>) {
        if let Some(s) = parent.and_then(|p| self.get_mut(p)) {
            s.branches += 1;
        }
    }
    fn bucket(&self, insn: i32, callsite: i32) -> usize {
        ((insn ^ callsite) as u32 % self.len) as usize
    }
    fn store(&mut self, state: State) -> StateId {
        let bucket = self.bucket(state.insn, state.frame().callsite);
        let stored = Some(Box::new(Stored {
            state,
            branches: 1,
            hits: 0,
            misses: 0,
            cleaned: false,
            evicted: false,
            is_entry: false,
        }));
        let id = match self.free.pop() {
            Some(id) => {
                self.states[id.0 as usize] = stored;
                id
            }
            None => {
                self.states.push(stored);
                StateId(self.states.len() as u32 - 1)
            }
        };
        self.buckets[bucket].push(id);
        id
    }
    fn free(&mut self, id: StateId) {
        self.states[id.0 as usize] = None;
        self.free.push(id);
        self.live -= 1;
    }
    /// A function walk is over: states go, numbers stay.
    pub fn forget_states(&mut self) {
        self.buckets.iter_mut().for_each(Vec::clear);
        self.states.clear();
        self.free.clear();
        self.visits = Visits::default();
    }
    fn same_callsites(a: &State, b: &State) -> bool {
        a.frames.len() == b.frames.len() && a.frames.iter().zip(&b.frames).all(|(a, b)| a.callsite == b.callsite)
    }
}

/// Program-wide thresholds of the decision to store.
const STORE_JUMPS: u32 = 2;
const STORE_INSNS: u32 = 8;
const LONG_HISTORY: usize = 40;
const BUSY_JUMPS: u32 = 20;
const BUSY_INSNS: u32 = 100;
/// Without CAP_BPF no more states than this are kept in a bucket.
const UNPRIV_STATES: u32 = 64;

/// What the kernel keeps for one reference of a state.
const KERNEL_REFERENCE: u64 = 24;

impl Verifier<'_> {
    fn jumps_since_store(&self) -> u32 {
        self.count.jumps - self.count.last_store.1
    }
    fn insns_since_store(&self) -> u32 {
        self.count.insns - self.count.last_store.0
    }

    /// The check at a prune point: is this path covered, and if not, is it worth storing?
    pub fn visit(&mut self) -> R<Visit> {
        let idx = self.insn_idx;
        let aux = &self.aux[idx as usize];
        let forced_here = aux.force_checkpoint;
        let force = self.test_state_freq || forced_here || self.cur.history.len() > LONG_HISTORY;
        let mut store = force || (self.jumps_since_store() >= STORE_JUMPS && self.insns_since_store() >= STORE_INSNS);

        let bucket = self.explored.bucket(idx, self.cur.frame().callsite);
        if self.profile.changes.forgets_at_once {
            self.forget_dead();
        }
        self.clean_bucket(bucket);

        let mut count = 0;
        let mut loop_flag = false;
        let mut pos = self.explored.buckets[bucket].len();
        while pos > 0 {
            pos -= 1;
            let id = self.explored.buckets[bucket][pos];
            count += 1;
            let Some(old) = self.explored.get(id) else { continue };
            if old.state.insn != idx {
                continue;
            }
            let open = old.branches > 0;
            let (hit, busy) = if open {
                self.compare_open(id, &mut loop_flag)?
            } else {
                loop_flag = self.marks_may_grow(id);
                let level = if loop_flag { Level::Range } else { Level::Normal };
                (self.equal_to_cur(id, level), false)
            };
            if hit {
                self.hit(id, loop_flag)?;
                return Ok(Visit::Pruned);
            }
            let kept = force && self.profile.changes.forced_stores_stay;
            if busy && !kept && self.jumps_since_store() < BUSY_JUMPS && self.insns_since_store() < BUSY_INSNS {
                store = false;
            }
            if store {
                self.miss(id, bucket, pos, forced_here);
            }
        }

        self.count.max_states_per_insn = self.count.max_states_per_insn.max(count);
        if (!self.privs.bpf && count > UNPRIV_STATES) || !store {
            return Ok(Visit::Continue);
        }
        self.store_current();
        Ok(Visit::Continue)
    }

    /// An unfinished candidate: (hit, busy miss). Sets the loop flag on a hit that closes a loop.
    fn compare_open(&mut self, id: StateId, loop_flag: &mut bool) -> R<(bool, bool)> {
        let Some(old) = self.explored.get(id) else { return Ok((false, true)) };
        let aux = &self.aux[self.insn_idx as usize];
        let (old_frame, frame) = (old.state.frame(), self.cur.frame());
        if old_frame.in_async && old_frame.async_entry != frame.async_entry {
            return Ok((false, true));
        }
        if aux.iter_next {
            let hit = self.equal_to_cur(id, Level::Range) && self.iter_arg_active();
            *loop_flag |= hit;
            return Ok((hit, true));
        }
        if aux.is_may_goto(&self.insns[self.insn_idx as usize])
            && old.state.may_goto_depth != self.cur.may_goto_depth
            && self.equal_to_cur(id, Level::Range)
        {
            *loop_flag = true;
            return Ok((true, true));
        }
        if aux.calls_callback {
            let hit = self.equal_to_cur(id, Level::Range);
            // Where a callback is no loop, the flag keeps what the last finished candidate left.
            *loop_flag &= self.profile.changes.loop_components;
            *loop_flag |= hit && self.profile.changes.callbacks_are_loops;
            return Ok((hit, true));
        }
        if self.infinite_loop(id) {
            return Err(self.infinite_loop_reject(id));
        }
        Ok((false, true))
    }

    /// The iterator that R1 points to is active in the current path.
    fn iter_arg_active(&self) -> bool {
        let r1 = self.reg(1);
        let Some(frame) = self.cur.frames.get(r1.frameno as usize) else { return false };
        let at = (r1.off as i64).wrapping_add(r1.val.var_off.value as i64);
        let slot = usize::try_from((-at - 1) / 8).ok().and_then(|k| frame.stack.get(k));
        matches!(slot.map(|s| s.reg.ext), Some(Ext::Iter { state: IterState::Active, .. }))
    }

    fn infinite_loop(&self, id: StateId) -> bool {
        let Some(old) = self.explored.get(id) else { return false };
        let (old, new) = (&old.state, &self.cur);
        if old.frames.len() != new.frames.len() {
            return false;
        }
        let same = |a: &Reg, b: &Reg| a.same_facts(b) && a.id == b.id && a.ref_obj_id == b.ref_obj_id;
        if !old.frame().regs.iter().zip(&new.frame().regs).all(|(a, b)| same(a, b)) {
            return false;
        }
        let level = if self.profile.changes.loops_proven_exactly { Level::Exact } else { Level::Normal };
        self.equal_to_cur(id, level)
            && !iter_depths_differ(old, new)
            && old.may_goto_depth == new.may_goto_depth
            && old.callback_unroll == new.callback_unroll
    }

    fn infinite_loop_reject(&mut self, id: StateId) -> Reject {
        self.print_source_line(self.insn_idx as u32, "; ", true);
        let cur = self.state_text(&self.cur, self.cur.cur(), true);
        let old = match self.explored.get(id) {
            Some(old) => self.state_text(&old.state, self.cur.cur(), true),
            None => String::new(),
        };
        let insn = self.insn_idx;
        Reject::InfiniteLoop { insn, cur, old }
    }

    pub fn equal_to_cur(&self, id: StateId, level: Level) -> bool {
        self.explored.get(id).is_some_and(|old| equal::states_equal(self, &old.state, &self.cur, level))
    }

    fn hit(&mut self, id: StateId, loop_flag: bool) -> R {
        if let Some(s) = self.explored.get_mut(id) {
            s.hits += 1;
        }
        if self.aux[self.insn_idx as usize].jump_point {
            self.push_history(HistFlags::default(), None);
        }
        self.inherit_reads(id);
        precision::propagate_to_cur(self, id)?;
        if loop_flag && self.profile.changes.loop_components {
            self.add_backedge(id)?;
        } else if loop_flag {
            self.join_loop(id);
        }
        Ok(())
    }

    /// The state belongs to a loop that is not walked to its end.
    fn marks_may_grow(&self, id: StateId) -> bool {
        if self.profile.changes.loop_components { self.incomplete_marks(id) } else { self.in_open_loop(id) }
    }

    fn miss(&mut self, id: StateId, bucket: usize, pos: usize, forced_here: bool) {
        let Some(s) = self.explored.get_mut(id) else { return };
        s.misses += 1;
        let n = if forced_here && s.branches > 0 { 64 } else { 3 };
        if s.misses <= s.hits * n + n {
            return;
        }
        s.evicted = true;
        let closed = s.branches == 0;
        let forgotten = s.cleaned && !s.is_entry;
        self.explored.buckets[bucket].remove(pos);
        let free = if self.profile.changes.evicted_freed { closed && !self.marks_may_grow(id) } else { forgotten };
        if free {
            self.explored.free(id);
            self.update_peak();
        }
    }

    fn store_current(&mut self) {
        self.count.total_states += 1;
        self.spend_state();
        self.explored.live += 1;
        self.update_peak();
        self.count.last_store = (self.count.insns, self.count.jumps);
        self.count.reference_bytes += self.cur.refs.len() as u64 * KERNEL_REFERENCE;
        if self.privs.bpf {
            for frame in &mut self.cur.frames {
                frame.regs[..FP].iter_mut().filter(|r| r.is_scalar()).for_each(|r| r.precise = false);
                let spilled = frame.stack.iter_mut().filter(|s| s.is_scalar_spill());
                spilled.for_each(|s| s.reg.precise = false);
            }
        }
        if self.profile.changes.forgets_at_once {
            forget_single_ids(&mut self.cur);
        }
        let history = std::mem::take(&mut self.cur.history);
        self.cur_hist = None;
        let mut copy = self.cur.clone();
        copy.history = history;
        let id = self.explored.store(copy);
        self.enter_visit(id);
        self.link_to_stored(id);
        self.cur.parent = Some(id);
        self.cur.first_insn = self.insn_idx;
        self.cur.dfs_depth += 1;
    }

    /// Called when the number of states changed.
    pub fn update_peak(&mut self) {
        let most = if self.profile.changes.peak_is_maximum { self.count.peak_states } else { 0 };
        self.count.peak_states = most.max(self.explored.live);
    }

    /// Finished states of this instruction forget what nobody will read any more, so that more paths equal them.
    fn clean_bucket(&mut self, bucket: usize) {
        for pos in (0..self.explored.buckets[bucket].len()).rev() {
            let id = self.explored.buckets[bucket][pos];
            let Some(s) = self.explored.get(id) else { continue };
            if s.branches > 0
                || s.cleaned
                || s.state.insn != self.insn_idx
                || !Explored::same_callsites(&s.state, &self.cur)
                || self.marks_may_grow(id)
            {
                continue;
            }
            let Some(mut s) = self.explored.states[id.0 as usize].take() else { continue };
            if !self.profile.changes.forgets_at_once {
                self.clean(&mut s.state);
            }
            s.cleaned = true;
            self.explored.states[id.0 as usize] = Some(s);
        }
    }

    /// The current path forgets registers and slots that nobody will read any more.
    fn forget_dead(&mut self) {
        let mut st = std::mem::replace(&mut self.cur, State::new(Frame::new(-1, 0, 0)));
        for f in 0..st.frames.len() {
            self.clean_regs(&mut st, f);
        }
        self.forget_dead_slots(&mut st);
        self.cur = st;
    }

    fn clean_regs(&self, st: &mut State, f: usize) {
        let live = self.aux[st.frame_insn(f) as usize].live_regs;
        for r in 0..FP {
            let alive = match self.profile.changes.static_live_slots {
                true => live & (1 << r) != 0,
                false => st.frames[f].marks.reg(r).read,
            };
            if !alive {
                st.frames[f].regs[r] = Reg { precise: !self.privs.bpf, ..Reg::NOT_INIT };
            }
        }
    }

    fn clean(&mut self, st: &mut State) {
        for f in 0..st.frames.len() {
            self.clean_regs(st, f);
            for k in 0..st.frames[f].stack.len() {
                let alive = match self.profile.changes.static_live_slots {
                    true => self.slot_alive(st, f, k),
                    false => st.frames[f].marks.slot(k).read,
                };
                if !alive {
                    self.forget_slot(Byte::Invalid, &mut st.frames[f].stack[k]);
                }
            }
        }
    }

    /// Nothing of the slot will be read; `dead` is what its bytes become.
    fn forget_slot(&self, dead: Byte, slot: &mut Slot) {
        let reg = Reg { precise: !self.privs.bpf, ..Reg::NOT_INIT };
        *slot = Slot { bytes: [dead; 8], reg };
    }

    /// Only the lower half, or only the upper half of the slot may still be read.
    fn forget_half(&self, lower_lives: bool, slot: &mut Slot) {
        let (upper, lower) = slot.bytes.split_at_mut(4);
        if lower_lives {
            upper.fill(Byte::Poison);
            return;
        }
        if lower[3] == Byte::Spill {
            // The upper half of a spilled 0 is 0, that of another number unknown.
            if slot.reg.is_null() {
                return;
            }
            upper.iter_mut().filter(|b| **b == Byte::Spill).for_each(|b| *b = Byte::Misc);
            slot.reg = Reg { precise: !self.privs.bpf, ..Reg::NOT_INIT };
        }
        lower.fill(Byte::Poison);
    }

    /// A path ended: its branch counter and those of finished ancestors go down.
    pub fn finish_path(&mut self) -> R {
        self.exit_visit_of_cur()?;
        if !self.profile.changes.loop_components {
            self.pass_entry_on(None);
        }
        let mut at = self.cur.parent;
        while let Some(id) = at {
            let Some(s) = self.explored.get_mut(id) else { break };
            s.branches -= 1;
            if s.branches > 0 {
                break;
            }
            let parent = s.state.parent;
            self.exit_visit_of(id)?;
            let changes = &self.profile.changes;
            if !changes.loop_components {
                self.pass_entry_on(Some(id));
            }
            let evicted = self.explored.get(id).is_some_and(|s| s.evicted);
            if evicted && changes.evicted_freed && !self.marks_may_grow(id) {
                self.explored.free(id);
            }
            at = parent;
        }
        Ok(())
    }
}

/// A scalar whose id no other has is linked to nothing.
fn forget_single_ids(st: &mut State) {
    let mut seen: SmallVec<[(u32, u32); 16]> = SmallVec::new();
    st.for_each_reg_mut(|r| {
        if r.is_scalar() && r.id != 0 {
            match seen.iter_mut().find(|(id, _)| *id == r.base_id()) {
                Some((_, count)) => *count += 1,
                None => seen.push((r.base_id(), 1)),
            }
        }
    });
    st.for_each_reg_mut(|r| {
        if r.is_scalar() && r.id != 0 && seen.contains(&(r.base_id(), 1)) {
            (r.id, r.off) = (0, 0);
        }
    });
}

/// An active iterator is at another round in the two states.
fn iter_depths_differ(old: &State, new: &State) -> bool {
    old.frames.iter().zip(&new.frames).any(|(a, b)| {
        a.stack.iter().zip(&b.stack).any(|(a, b)| match (a.kind(), a.reg.ext, b.reg.ext) {
            (Byte::Iter, Ext::Iter { state: IterState::Active, depth: old, .. }, Ext::Iter { depth: new, .. }) => {
                old != new
            }
            _ => false,
        })
    })
}

impl crate::env::InsnAux {
    fn is_may_goto(&self, insn: &isa::Insn) -> bool {
        insn.code == isa::consts::MAY_GOTO && insn.src == 0
    }
}
