//! Which stack slots may still be read: sets per call chain and instruction, brought up to date whenever a path ends. Used only to
//! forget dead slots of stored states. Registers have a static answer instead (`InsnAux::live_regs`).

use super::precision::slots_mask;
use crate::env::Verifier;
use crate::state::{MAX_FRAMES, State};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::fmt::Write;

/// Sets of slots of one frame at one instruction.
#[derive(Clone, Copy, Debug, Default)]
struct Sets {
    may_read: u64,
    must_write: u64,
    live_before: u64,
    /// Written on every way from here to the exit.
    written_after: u64,
}

/// One subprogram in one call chain.
#[derive(Debug)]
struct Instance {
    callsites: SmallVec<[u32; 7]>,
    subprog: usize,
    start: u32,
    /// Per frame, per instruction of the subprogram; made when a frame's stack is first touched.
    frames: [Option<Vec<Sets>>; MAX_FRAMES],
    /// `must_write` of the instruction was set once.
    write_set: Vec<bool>,
    updated: bool,
    write_shrank: bool,
}

type Key = (SmallVec<[u32; 7]>, u32);

#[derive(Debug, Default)]
pub struct Liveness {
    by_chain: FxHashMap<Key, usize>,
    instances: Vec<Instance>,
    /// Instance that was asked for last.
    last: Option<usize>,
    /// Depth of the instruction being checked.
    depth: usize,
    /// Slots written by the instruction being checked.
    written: [u64; MAX_FRAMES],
}

impl Instance {
    fn sets(&mut self, frame: usize, insn: u32) -> Option<&mut Sets> {
        let n = self.write_set.len();
        self.frames[frame].get_or_insert_with(|| vec![Sets::default(); n]).get_mut((insn - self.start) as usize)
    }
    fn get(&self, frame: usize, insn: u32) -> Option<&Sets> {
        self.frames[frame].as_ref()?.get(insn.checked_sub(self.start)? as usize)
    }
    fn read(&mut self, frame: usize, insn: u32, mask: u64) {
        if mask == 0 {
            return;
        }
        let Some(s) = self.sets(frame, insn) else { return };
        let grown = s.may_read | mask;
        if grown != s.may_read {
            s.may_read = grown;
            if grown | s.live_before != s.live_before {
                self.updated = true;
            }
        }
    }
    /// Commits the slots that an instruction writes. Slots 32..63 keep what they had first: the kernel remembers the old set in 32 bits.
    fn commit(&mut self, depth: usize, insn: u32, written: &[u64; MAX_FRAMES]) {
        let Some(i) = insn.checked_sub(self.start).map(|i| i as usize).filter(|i| *i < self.write_set.len()) else {
            return;
        };
        let seen = self.write_set[i];
        for (frame, &mask) in written.iter().enumerate().take(depth + 1) {
            if mask == 0 && (!seen || self.frames[frame].is_none()) {
                continue;
            }
            let Some(s) = self.sets(frame, insn) else { continue };
            let old = s.must_write & u64::from(u32::MAX);
            let new = if seen { mask & old } else { mask };
            let changed = old != new;
            if changed {
                s.must_write = new;
            }
            self.updated |= changed;
            self.write_shrank |= old & !new != 0;
        }
        self.write_set[i] = true;
    }
    fn chain(&self) -> String {
        let mut out = String::from("(");
        for c in &self.callsites {
            let _ = write!(out, "{c},");
        }
        let _ = write!(out, "{})", self.start);
        out
    }
}

/// Successors inside the subprogram: fall-through first, then jump target.
fn successors(v: &Verifier<'_>, insn: u32) -> SmallVec<[u32; 2]> {
    crate::pass::graph::successors(&v.insns, insn as usize).iter().map(|s| *s as u32).collect()
}

impl Verifier<'_> {
    fn instance(&mut self, st_callsites: SmallVec<[u32; 7]>, subprog: usize) -> usize {
        let (start, end) = (self.subprogs[subprog].start, self.subprogs[subprog].end);
        let live = &mut self.live;
        *live.by_chain.entry((st_callsites.clone(), start)).or_insert_with(|| {
            live.instances.push(Instance {
                callsites: st_callsites,
                subprog,
                start,
                frames: Default::default(),
                write_set: vec![false; (end - start) as usize],
                updated: false,
                write_shrank: false,
            });
            live.instances.len() - 1
        })
    }

    fn instance_of(&mut self, f: usize) -> usize {
        let (frames, live) = (&self.cur.frames, &mut self.live);
        // Nearly every instruction belongs to the instance of the one before it.
        if let Some(i) = live.last {
            let inst = &live.instances[i];
            let same_chain = || frames[1..=f].iter().zip(&inst.callsites).all(|(f, c)| f.callsite as u32 == *c);
            if inst.subprog == frames[f].subprog as usize && inst.callsites.len() == f && same_chain() {
                return i;
            }
        }
        let callsites = frames[1..=f].iter().map(|f| f.callsite as u32).collect();
        let i = self.instance(callsites, self.cur.frames[f].subprog as usize);
        self.live.last = Some(i);
        i
    }

    /// Before an instruction is checked.
    pub fn live_begin(&mut self) {
        self.live.depth = self.cur.cur();
        self.live.written = [0; MAX_FRAMES];
    }

    /// The current instruction reads a slot of a frame.
    pub fn live_read(&mut self, frame: usize, slot: usize) {
        if !self.profile.changes.static_live_slots {
            return self.note_slot_read(frame, slot);
        }
        let i = self.instance_of(self.cur.cur());
        let insn = self.insn_idx as u32;
        self.live.instances[i].read(frame, insn, 1u64.checked_shl(slot as u32).unwrap_or(0));
    }

    /// The current instruction overwrites a slot of a frame.
    pub fn live_write(&mut self, frame: usize, slot: usize) {
        if !self.profile.changes.static_live_slots {
            return self.note_slot_written(frame, slot);
        }
        self.live.written[frame] |= 1u64.checked_shl(slot as u32).unwrap_or(0);
    }

    /// After an instruction that stayed in its frame was checked.
    pub fn live_commit(&mut self, insn: i32) {
        if self.live.depth != self.cur.cur() || !self.profile.changes.static_live_slots {
            return;
        }
        let (depth, written) = (self.live.depth, self.live.written);
        let i = self.instance_of(depth);
        self.live.instances[i].commit(depth, insn as u32, &written);
    }

    /// A path or a subprogram ended: brings the sets of all its frames up to date.
    pub fn live_update(&mut self) {
        if !self.profile.changes.static_live_slots {
            return;
        }
        for f in (0..self.cur.frames.len()).rev() {
            let i = self.instance_of(f);
            if !self.live.instances[i].updated {
                continue;
            }
            self.live_sweeps(i, f);
            self.live_pass_out(i, f);
            let inst = &mut self.live.instances[i];
            inst.updated = false;
            inst.write_shrank = false;
        }
    }

    fn live_sweeps(&mut self, i: usize, depth: usize) {
        let mut inst = std::mem::replace(&mut self.live.instances[i], Instance::hollow());
        if inst.write_shrank {
            inst.frames.iter_mut().flatten().flatten().for_each(|s| s.written_after = 0);
        }
        let order = self.subprogs[inst.subprog].postorder.clone();
        let chain = self.log.level.level2().then(|| inst.chain());
        let mut rounds = 0;
        loop {
            rounds += 1;
            let mut changed = false;
            for f in 0..=depth {
                if inst.frames[f].is_none() {
                    continue;
                }
                for &insn in &order {
                    changed |= self.live_transfer(&mut inst, f, insn, chain.as_deref());
                }
            }
            if !changed {
                break;
            }
        }
        if let Some(chain) = chain {
            self.log.l2(format_args!("{chain} live stack update done in {rounds} iterations\n"));
        }
        self.live.instances[i] = inst;
    }

    fn live_transfer(&mut self, inst: &mut Instance, f: usize, insn: u32, chain: Option<&str>) -> bool {
        let succ = successors(self, insn);
        if succ.is_empty() {
            return false;
        }
        let (mut live, mut written) = (0, u64::MAX);
        for s in succ {
            let next = inst.get(f, s).copied().unwrap_or_default();
            live |= next.live_before;
            written &= next.written_after;
        }
        let start = inst.start;
        let Some(s) = inst.sets(f, insn) else { return false };
        live = (live & !s.must_write) | s.may_read;
        written |= s.must_write;
        let (old_live, old_written) = (s.live_before, s.written_after);
        s.live_before = live;
        s.written_after = written;
        let shown = s.may_read != 0 || s.must_write != 0 || insn == start || self.aux[insn as usize].prune_point;
        if let (Some(chain), true) = (chain, shown) {
            self.live_change(chain, f, insn, "live", old_live, live);
            self.live_change(chain, f, insn, "written", old_written, written);
        }
        old_live != live || old_written != written
    }

    fn live_change(&mut self, chain: &str, f: usize, insn: u32, what: &str, old: u64, new: u64) {
        if old == new {
            return;
        }
        let mut line = format!("{chain} frame {f} insn {insn} ");
        if new & !old != 0 {
            let _ = write!(line, "+{what} {} ", slots_mask(new & !old));
        }
        if old & !new != 0 {
            let _ = write!(line, "-{what} {}", slots_mask(old & !new));
        }
        self.log.l2(format_args!("{line}\n"));
    }

    /// What the subprogram reads and surely writes of outer frames happens at the call instruction of the outer instance.
    fn live_pass_out(&mut self, i: usize, depth: usize) {
        if depth == 0 {
            return;
        }
        let inst = &self.live.instances[i];
        let start = inst.start;
        let mut reads = [0; MAX_FRAMES];
        let mut writes = [0; MAX_FRAMES];
        for f in 0..depth {
            if let Some(s) = inst.get(f, start) {
                reads[f] = s.live_before;
                writes[f] = s.written_after;
            }
        }
        let outer = self.instance_of(depth - 1);
        let call = self.cur.frames[depth].callsite as u32;
        // Committed even when it is empty: from then on the call surely writes nothing of the outer frames.
        self.live.instances[outer].commit(depth - 1, call, &writes);
        for (f, mask) in reads.iter().enumerate().take(depth) {
            self.live.instances[outer].read(f, call, *mask);
        }
    }

    /// May slot `k` of frame `f` of a stored state still be read?
    pub fn slot_alive(&self, st: &State, f: usize, k: usize) -> bool {
        let bit = 1u64.checked_shl(k as u32).unwrap_or(0);
        let live_at = |frame: usize, insn: i32| {
            let callsites: SmallVec<[u32; 7]> = st.frames[1..=frame].iter().map(|f| f.callsite as u32).collect();
            let start = self.subprogs[st.frames[frame].subprog as usize].start;
            let inst = self.live.by_chain.get(&(callsites, start)).map(|i| &self.live.instances[*i]);
            inst.and_then(|i| i.get(f, insn as u32)).is_some_and(|s| s.live_before & bit != 0)
        };
        let innermost = st.cur();
        if live_at(innermost, st.insn) {
            return true;
        }
        (f..innermost).any(|frame| {
            let call = st.frames[frame + 1].callsite;
            let calls_callback = self.aux[call as usize].calls_callback;
            live_at(frame, if calls_callback { call } else { call + 1 })
        })
    }
}

impl Instance {
    /// Stands in while the real one is worked on.
    fn hollow() -> Instance {
        Instance {
            callsites: SmallVec::new(),
            subprog: 0,
            start: 0,
            frames: Default::default(),
            write_set: Vec::new(),
            updated: false,
            write_shrank: false,
        }
    }
}
