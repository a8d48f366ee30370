//! Loop components during the walk: which visit of a loop a state belongs to, the back edges that closed it, and the marks
//! that become complete only when the visit ends.

use super::precision;
use crate::env::Verifier;
use crate::reject::{R, Reject};
use crate::state::{State, StateId};
use rustc_hash::FxHashMap;
use std::fmt::Write;

/// Call instructions leading to the frame that is in a loop, and the loop's component.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    callsites: Vec<u32>,
    scc: u32,
}

impl std::fmt::Display for Chain {
    /// The list stops at a call at instruction 0, as the kernel's does.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_char('(')?;
        for c in self.callsites.iter().take_while(|c| **c != 0) {
            write!(f, "{c},")?;
        }
        write!(f, "{})", self.scc)
    }
}

#[derive(Debug)]
pub struct BackEdge {
    pub state: State,
    /// The stored state it was equal to.
    pub equal: StateId,
}

#[derive(Debug, Default)]
struct LoopVisit {
    entry: Option<StateId>,
    backedges: Vec<BackEdge>,
}

#[derive(Debug, Default)]
pub struct Visits {
    by_chain: FxHashMap<Chain, LoopVisit>,
}

/// Rounds of propagation before everything is forced precise.
const MAX_ROUNDS: u32 = 64;

impl Verifier<'_> {
    fn has_components(&self) -> bool {
        self.has_loops && self.profile.changes.loop_components
    }

    fn chain_of(&self, st: &State) -> Option<Chain> {
        let mut callsites = Vec::new();
        for f in 0..st.frames.len() {
            let insn = st.frame_insn(f);
            let scc = self.aux.get(insn as usize).map_or(0, |a| a.scc);
            if scc != 0 {
                return Some(Chain { callsites, scc });
            }
            callsites.push(insn as u32);
        }
        None
    }

    /// The state's loop still has open back edges: its precision marks may be missing some.
    pub fn incomplete_marks(&self, id: StateId) -> bool {
        if !self.has_components() || self.explored.visits.by_chain.is_empty() {
            return false;
        }
        let Some(chain) = self.explored.get(id).and_then(|s| self.chain_of(&s.state)) else { return false };
        self.explored.visits.by_chain.get(&chain).is_some_and(|v| !v.backedges.is_empty())
    }

    /// A state was stored: it may be the first of its loop.
    pub fn enter_visit(&mut self, id: StateId) {
        if !self.has_components() {
            return;
        }
        let Some(chain) = self.explored.get(id).and_then(|s| self.chain_of(&s.state)) else { return };
        let visit = self.explored.visits.by_chain.entry(chain.clone()).or_default();
        if visit.entry.is_none() {
            visit.entry = Some(id);
            self.log.l2(format_args!("SCC enter {chain}\n"));
        }
    }

    /// The current path closed a loop at stored state `id`.
    pub fn add_backedge(&mut self, id: StateId) -> R {
        let chain = self.explored.get(id).and_then(|s| self.chain_of(&s.state));
        let Some(chain) = chain else {
            return Err(Reject::bug(format!("add backedge: no SCC in verification path, insn_idx {}", self.insn_idx)));
        };
        self.log.l2(format_args!("SCC backedge {chain}\n"));
        let mut state = self.cur.clone();
        state.insn = self.insn_idx;
        let Some(visit) = self.explored.visits.by_chain.get_mut(&chain) else {
            return Err(Reject::bug(format!("add backedge: no visit info for call chain {chain}")));
        };
        visit.backedges.push(BackEdge { state, equal: id });
        self.explored.live += 1;
        self.update_peak();
        Ok(())
    }

    pub fn exit_visit_of_cur(&mut self) -> R {
        if !self.has_components() {
            return Ok(());
        }
        match self.chain_of(&self.cur) {
            Some(chain) => self.exit_visit(&chain, self.cur.speculative, None),
            None => Ok(()),
        }
    }

    pub fn exit_visit_of(&mut self, id: StateId) -> R {
        if !self.has_components() {
            return Ok(());
        }
        let Some(s) = self.explored.get(id) else { return Ok(()) };
        let speculative = s.state.speculative;
        match self.chain_of(&s.state) {
            Some(chain) => self.exit_visit(&chain, speculative, Some(id)),
            None => Ok(()),
        }
    }

    fn exit_visit(&mut self, chain: &Chain, speculative: bool, id: Option<StateId>) -> R {
        let Some(visit) = self.explored.visits.by_chain.get_mut(chain) else {
            if speculative {
                return Ok(());
            }
            return Err(Reject::bug(format!("scc exit: no visit info for call chain {chain}")));
        };
        if id.is_none() || visit.entry != id {
            return Ok(());
        }
        visit.entry = None;
        let edges = std::mem::take(&mut visit.backedges);
        self.log.l2(format_args!("SCC exit {chain}\n"));
        self.explored.live -= edges.len() as u32;
        let mut rounds = 0;
        loop {
            if rounds > MAX_ROUNDS {
                self.log.l2(format_args!("propagate_backedges: too many iterations\n"));
                for e in edges.iter().rev() {
                    precision::force_ancestors(self, &e.state);
                }
                break;
            }
            rounds += 1;
            let mut changed = false;
            for e in edges.iter().rev() {
                changed |= precision::propagate_to(self, e.equal, &e.state)?;
            }
            if !changed {
                break;
            }
        }
        Ok(())
    }
}
