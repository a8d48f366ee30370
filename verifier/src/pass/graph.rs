//! The control-flow graph of a subprogram: successors, postorder, loop components, registers that are live. No judgement.

use crate::env::Verifier;
use isa::Insn;
use isa::consts::*;
use smallvec::{SmallVec, smallvec};

pub type Edges = SmallVec<[usize; 2]>;

/// Fall-through first, then the jump target. Calls only fall through; exits have none.
pub fn successors(insns: &[Insn], i: usize) -> Edges {
    let insn = insns[i];
    match class(insn.code) {
        BPF_JMP | BPF_JMP32 => match op(insn.code) {
            BPF_EXIT => smallvec![],
            BPF_CALL => smallvec![i + 1],
            BPF_JA => smallvec![jump_target(i, insn)],
            _ => smallvec![i + 1, jump_target(i, insn)],
        },
        _ if insn.code == LDIMM64 => smallvec![i + 2],
        _ => smallvec![i + 1],
    }
}

/// Where a jump goes; callers know that it stays inside the program.
pub fn jump_target(i: usize, insn: Insn) -> usize {
    let by = if insn.code == BPF_JMP32 | BPF_JA { insn.imm } else { insn.off as i32 };
    (i as i64 + 1 + by as i64) as usize
}

impl Verifier<'_> {
    /// Per subprogram the order in which liveness is swept: of two new successors both are taken at once, the target is finished first.
    pub fn compute_postorder(&mut self) {
        let n = self.insns.len();
        let mut seen = vec![false; n];
        let mut expanded = vec![false; n];
        for s in 0..self.subprogs.len() {
            let mut order = Vec::new();
            let mut stack = vec![self.subprogs[s].start as usize];
            while let Some(&top) = stack.last() {
                if expanded[top] {
                    order.push(top as u32);
                    stack.pop();
                    continue;
                }
                expanded[top] = true;
                seen[top] = true;
                for next in successors(&self.insns, top) {
                    if next < n && !seen[next] {
                        seen[next] = true;
                        stack.push(next);
                    }
                }
            }
            self.subprogs[s].postorder = order;
        }
    }

    /// Strongly connected components with a cycle get a number each, in the order in which Tarjan's algorithm closes them.
    pub fn compute_components(&mut self) {
        let n = self.insns.len();
        let mut t = Tarjan { pre: vec![0; n], low: vec![0; n], on_stack: vec![false; n], stack: Vec::new(), next: 1 };
        let mut scc = 0;
        for root in 0..n {
            if t.pre[root] == 0 {
                t.visit(&self.insns, root, &mut |members, cyclic| {
                    // A callback comes back to the instruction that calls it.
                    let again = self.profile.changes.callbacks_are_loops && self.aux[members[0]].calls_callback;
                    if cyclic || again {
                        scc += 1;
                        for m in members {
                            self.aux[*m].scc = scc;
                        }
                    }
                });
            }
        }
        self.has_loops = scc > 0;
    }

    /// Registers that may still be read before each instruction.
    pub fn compute_live_regs(&mut self) {
        let n = self.insns.len();
        let usage: Vec<(u16, u16)> = (0..n).map(|i| self.use_def(i)).collect();
        let order: Vec<u32> = self.subprogs.iter().flat_map(|s| s.postorder.iter().copied()).collect();
        loop {
            let mut changed = false;
            for &i in &order {
                let i = i as usize;
                let out = successors(&self.insns, i).iter().fold(0, |m, s| m | self.aux[*s].live_regs);
                let (used, defined) = usage[i];
                let live = (out & !defined) | used;
                changed |= live != self.aux[i].live_regs;
                self.aux[i].live_regs = live;
            }
            if !changed {
                break;
            }
        }
    }

    /// Registers an instruction reads and writes, for liveness.
    fn use_def(&self, i: usize) -> (u16, u16) {
        const ALL: u16 = u16::MAX;
        const CALL_DEF: u16 = 0x3f;
        let insn = self.insns[i];
        let (dst, src) = (1u16 << (insn.dst & 15), 1u16 << (insn.src & 15));
        match class(insn.code) {
            BPF_LD if insn.code == LDIMM64 => (0, dst),
            BPF_LD => (ALL, 0),
            BPF_LDX => (src, dst),
            BPF_ST => (dst, 0),
            BPF_STX if mode(insn.code) == BPF_ATOMIC => match insn.imm {
                BPF_CMPXCHG => (dst | src | 1, 1),
                BPF_LOAD_ACQ => (src, dst),
                BPF_STORE_REL => (dst | src, 0),
                imm if imm & BPF_FETCH != 0 => (dst | src, src),
                _ => (dst | src, 0),
            },
            BPF_STX => (dst | src, 0),
            BPF_ALU | BPF_ALU64 => match op(insn.code) {
                BPF_END => (dst, dst),
                BPF_MOV => (if is_src_x(insn.code) { src } else { 0 }, dst),
                _ => (if is_src_x(insn.code) { dst | src } else { dst }, dst),
            },
            _ => match op(insn.code) {
                BPF_JA | BPF_JCOND => (0, 0),
                BPF_EXIT => (1, 0),
                BPF_CALL => {
                    let args = self.call_params(insn).map_or(5, |n| n.min(14));
                    (((1u32 << (args + 1)) - 2) as u16, CALL_DEF)
                }
                _ => (if is_src_x(insn.code) { dst | src } else { dst }, 0),
            },
        }
    }

    /// Number of parameters of a helper or kfunc that this program may call.
    pub fn call_params(&self, insn: Insn) -> Option<u32> {
        match insn.src {
            0 => {
                let proto = self.helper_proto(insn.imm)?;
                let declared = proto.args.iter().take_while(|a| a.kind != spec::helper::ArgKind::None);
                Some(declared.count() as u32)
            }
            BPF_PSEUDO_KFUNC_CALL if insn.imm != 0 => self.kfunc_allowed(insn).map(|k| k.params),
            _ => None,
        }
    }

    pub fn print_live_regs(&mut self) {
        if !self.log.level.level2() || !self.profile.changes.static_live_regs {
            return;
        }
        self.log.l2(format_args!("Live regs before insn:\n"));
        let mut i = 0;
        while i < self.insns.len() {
            let (scc, live) = (self.aux[i].scc, self.aux[i].live_regs);
            match scc {
                _ if !self.profile.changes.loop_components => {}
                0 => self.log.l2(format_args!("    ")),
                _ => self.log.l2(format_args!("{scc:3} ")),
            }
            let regs: String =
                (0..10).map(|r| if live & (1 << r) != 0 { (b'0' + r as u8) as char } else { '.' }).collect();
            let text = self.insn_text(i);
            self.log.l2(format_args!("{i:3}: {regs} "));
            self.log.l2(format_args!("{text}\n"));
            i += if self.insns[i].code == LDIMM64 { 2 } else { 1 };
        }
    }
}

/// Tarjan's algorithm without recursion.
struct Tarjan {
    pre: Vec<u32>,
    low: Vec<u32>,
    on_stack: Vec<bool>,
    stack: Vec<usize>,
    next: u32,
}

impl Tarjan {
    fn visit(&mut self, insns: &[Insn], root: usize, closed: &mut impl FnMut(&[usize], bool)) {
        let edges = |i: usize| -> Edges { successors(insns, i).into_iter().filter(|s| *s < insns.len()).collect() };
        let mut path = vec![(root, 0)];
        self.open(root);
        while let Some(&mut (v, ref mut e)) = path.last_mut() {
            let succ = edges(v);
            if *e < succ.len() {
                let w = succ[*e];
                *e += 1;
                if self.pre[w] == 0 {
                    self.open(w);
                    path.push((w, 0));
                } else if self.on_stack[w] {
                    self.low[v] = self.low[v].min(self.low[w]);
                }
                continue;
            }
            path.pop();
            if let Some((u, _)) = path.last() {
                self.low[*u] = self.low[*u].min(self.low[v]);
            }
            if self.low[v] == self.pre[v] {
                let at = self.stack.iter().rposition(|x| *x == v).unwrap_or(0);
                let members = self.stack.split_off(at);
                members.iter().for_each(|m| self.on_stack[*m] = false);
                let cyclic = members.len() > 1 || edges(v).contains(&v);
                closed(&members, cyclic);
            }
        }
    }
    fn open(&mut self, v: usize) {
        self.pre[v] = self.next;
        self.low[v] = self.next;
        self.next += 1;
        self.stack.push(v);
        self.on_stack[v] = true;
    }
}
