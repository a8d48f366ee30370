//! Where the work of a walk goes: per call chain and instruction how often it was looked at, per instruction how many states were kept and
//! how many branches queued. Counted only when asked for; the sums are the kernel's counters.

use std::collections::HashMap;

use crate::env::Verifier;

/// Work at one instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Times that it was looked at.
    pub insns: u64,
    /// States that were kept before it.
    pub states: u64,
    /// Branches that were queued at it.
    pub branches: u64,
}

/// The work of a walk.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// By instruction.
    pub by_insn: Vec<Spent>,
    /// By call chain (the instructions that called, outermost first) and instruction: times looked at.
    pub by_chain: HashMap<(Vec<u32>, u32), u64>,
}

impl Cost {
    pub(crate) fn new(insns: usize) -> Cost {
        Cost { by_insn: vec![Spent::default(); insns], by_chain: HashMap::new() }
    }

    pub fn total(&self) -> Spent {
        self.by_insn.iter().fold(Spent::default(), |a, b| Spent {
            insns: a.insns + b.insns,
            states: a.states + b.states,
            branches: a.branches + b.branches,
        })
    }
}

impl Verifier<'_> {
    /// The current instruction is looked at.
    pub fn spend_insn(&mut self) {
        let Some(cost) = &mut self.cost else { return };
        let insn = self.insn_idx.max(0) as u32;
        if let Some(s) = cost.by_insn.get_mut(insn as usize) {
            s.insns += 1;
        }
        let chain = self.cur.frames.iter().skip(1).map(|f| f.callsite.max(0) as u32).collect();
        *cost.by_chain.entry((chain, insn)).or_default() += 1;
    }

    pub fn spend_state(&mut self) {
        if let Some(s) = self.cost.as_mut().and_then(|c| c.by_insn.get_mut(self.insn_idx.max(0) as usize)) {
            s.states += 1;
        }
    }

    pub fn spend_branch(&mut self) {
        if let Some(s) = self.cost.as_mut().and_then(|c| c.by_insn.get_mut(self.insn_idx.max(0) as usize)) {
            s.branches += 1;
        }
    }
}
