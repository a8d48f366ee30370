//! Convergence of loops that no counter bounds: iterators, may_goto and callbacks forget imprecise scalars that keep changing.

use super::equal::{self, IdMap};
use crate::env::Verifier;
use crate::reg::Reg;
use crate::reject::{R, Reject};
use crate::state::{FP, State, StateId};

/// `r` stops being followed unless it must be exact or did not change since `old`.
fn widen_reg(old: &Reg, r: &mut Reg, unknown: Reg, ids: &mut IdMap) {
    if !equal::is_plain_scalar(old) || !equal::is_plain_scalar(r) || old.precise || r.precise {
        return;
    }
    if !equal::exact(old, r, ids) {
        *r = unknown;
    }
}

/// Forgets in `state` what differs from `old`.
fn widen(old: &State, state: &mut State, unknown: Reg, last_id: u32) {
    let mut ids = IdMap::new(last_id);
    for (a, b) in old.frames.iter().zip(&mut state.frames) {
        for r in 0..=FP {
            widen_reg(&a.regs[r], &mut b.regs[r], unknown, &mut ids);
        }
        for (a, b) in a.stack.iter().zip(&mut b.stack) {
            if a.is_spill() && b.is_spill() {
                widen_reg(&a.reg, &mut b.reg, unknown, &mut ids);
            }
        }
    }
}

impl Verifier<'_> {
    /// The newest unfinished state at `insn` with the callsites of `of`, stored before it.
    fn previous_entry(&self, of: &State, insn: i32) -> Option<StateId> {
        let bucket = self.explored.bucket(insn, self.cur.frame().callsite);
        self.explored.buckets[bucket].iter().rev().copied().find(|id| {
            self.explored.get(*id).is_some_and(|s| {
                s.branches > 0
                    && s.state.insn == insn
                    && super::Explored::same_callsites(&s.state, of)
                    && s.state.dfs_depth < of.dfs_depth
            })
        })
    }

    /// may_goto: the queued fall-through against the state at the previous round.
    pub fn widen_against_previous(&mut self, queued: usize) {
        let entry = self
            .cur
            .parent
            .and_then(|p| self.explored.get(p))
            .and_then(|parent| self.previous_entry(&parent.state, self.insn_idx));
        self.widen_queued(queued, entry);
    }

    /// Iterator next: the queued active branch against the state at the previous round.
    pub fn widen_iter_next(&mut self, queued: usize) -> R {
        let bad = || Reject::bug("bad parent state for iter next call");
        let parent = self.cur.parent.and_then(|p| self.explored.get(p)).ok_or_else(bad)?;
        if parent.state.insn != self.insn_idx || !super::Explored::same_callsites(&parent.state, &self.cur) {
            return Err(bad());
        }
        let entry = self.previous_entry(&parent.state, self.insn_idx);
        self.widen_queued(queued, entry);
        Ok(())
    }

    /// Return from a synchronous callback: the path itself, back at the call (`self.insn_idx` is the call), against the previous round.
    pub fn widen_callback_return(&mut self, call: i32) {
        let Some(entry) = self.previous_entry(&self.cur, call) else { return };
        let (unknown, last) = (self.unknown(), self.last_id());
        if let Some(old) = self.explored.get(entry) {
            widen(&old.state, &mut self.cur, unknown, last);
        }
    }

    fn widen_queued(&mut self, queued: usize, entry: Option<StateId>) {
        let (unknown, last) = (self.unknown(), self.last_id());
        if let (Some(old), Some(q)) = (entry.and_then(|e| self.explored.get(e)), self.queue.get_mut(queued)) {
            widen(&old.state, &mut q.state, unknown, last);
        }
    }
}
