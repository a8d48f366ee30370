//! The control-flow walk: everything is reachable, nothing jumps into an ldimm64, and the marks that the walk goes by. Summaries of
//! subprograms (changes packets, may sleep) fall out of it.

use crate::env::Verifier;
use crate::pass::graph::jump_target;
use crate::reject::{R, Reject};
use isa::Insn;
use isa::consts::*;
use spec::helper::Effects;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    No,
    OnPath,
    Done,
}

/// Kfuncs with callbacks, by base name.
const SYNC_CALLBACK_KFUNCS: [&str; 1] = ["bpf_rbtree_add"];
const ASYNC_CALLBACK_KFUNCS: [&str; 3] =
    ["bpf_wq_set_callback", "bpf_task_work_schedule_signal", "bpf_task_work_schedule_resume"];
const PACKET_KFUNC: &str = "bpf_xdp_pull_data";

impl Verifier<'_> {
    pub fn check_cfg(&mut self) -> R {
        let n = self.insns.len();
        let mut seen = vec![Seen::No; n];
        self.cfg_from(0, &mut seen)?;
        if let Some(s) = self.subprogs.iter().find(|s| s.is_exception_callback) {
            let start = s.start as usize;
            if seen[start] == Seen::No {
                self.cfg_from(start, &mut seen)?;
            }
        }
        let mut i = 0;
        while i < n {
            if seen[i] != Seen::Done {
                return Err(Reject::UnreachableInsn { insn: i });
            }
            if self.insns[i].code == LDIMM64 {
                if seen.get(i + 1) != Some(&Seen::No) {
                    return Err(Reject::JumpIntoLdImm64 { insn: i });
                }
                i += 1;
            }
            i += 1;
        }
        Ok(())
    }

    /// No function calls itself, be it through others. Older kernels notice when the frames run out.
    pub fn check_recursion(&self) -> R {
        if !self.profile.changes.recursion_refused {
            return Ok(());
        }
        let n = self.subprogs.len();
        let mut seen = vec![Seen::No; n];
        for root in 0..n {
            if seen[root] == Seen::No {
                self.calls_from(root, &mut seen)?;
            }
        }
        Ok(())
    }

    fn calls_from(&self, root: usize, seen: &mut [Seen]) -> R {
        let callees = |s: usize| -> Vec<usize> {
            let sub = &self.subprogs[s];
            let insns = (sub.start..sub.end).map(|i| (i, self.insns[i as usize]));
            insns.filter_map(|(i, insn)| self.called_subprog(i as i32, insn)).collect()
        };
        let mut stack = vec![(root, callees(root), 0)];
        seen[root] = Seen::OnPath;
        while let Some((s, called, next)) = stack.last_mut() {
            let Some(&callee) = called.get(*next) else {
                seen[*s] = Seen::Done;
                stack.pop();
                continue;
            };
            *next += 1;
            match seen[callee] {
                Seen::Done => {}
                Seen::No => {
                    seen[callee] = Seen::OnPath;
                    stack.push((callee, callees(callee), 0));
                }
                Seen::OnPath => {
                    let name = |s: usize| self.subprogs[s].name.clone();
                    return Err(Reject::Recursion { from: name(*s), to: name(callee) });
                }
            }
        }
        Ok(())
    }

    fn called_subprog(&self, i: i32, insn: Insn) -> Option<usize> {
        let call = insn.code == BPF_JMP | BPF_CALL && insn.src == BPF_PSEUDO_CALL;
        if call { self.subprog_at(i + insn.imm + 1) } else { None }
    }

    fn cfg_from(&mut self, start: usize, seen: &mut [Seen]) -> R {
        let mut stack = vec![(start, 0)];
        seen[start] = Seen::OnPath;
        while let Some(&(t, k)) = stack.last() {
            let edges = self.cfg_edges(t);
            if k == 0 {
                self.mark_insn(t);
            }
            let Some(&w) = edges.get(k) else {
                seen[t] = Seen::Done;
                self.summarise(t);
                stack.pop();
                continue;
            };
            if let Some(top) = stack.last_mut() {
                top.1 += 1;
            }
            if w >= self.insns.len() {
                return Err(Reject::JumpOutOfRange { from: t, to: w as i32 });
            }
            match seen[w] {
                Seen::No => {
                    seen[w] = Seen::OnPath;
                    stack.push((w, 0));
                }
                Seen::OnPath if !self.privs.bpf || self.is_strict_edge(t) => {
                    self.print_source_line(t as u32, &format!("{t}: "), true);
                    self.print_source_line(w as u32, &format!("{w}: "), true);
                    return Err(Reject::BackEdge { from: t, to: w });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Older kernels let only jumps (and references to functions) lead back to an instruction on the way to them.
    fn is_strict_edge(&self, t: usize) -> bool {
        let insn = self.insns[t];
        let jumps = matches!(class(insn.code), BPF_JMP | BPF_JMP32) && op(insn.code) != BPF_CALL;
        !self.profile.changes.any_back_edge && !jumps && !is_func_ref(insn)
    }

    fn cfg_edges(&self, t: usize) -> Vec<usize> {
        let insn = self.insns[t];
        let callee = || (t as i64 + 1 + i64::from(insn.imm)) as usize;
        match class(insn.code) {
            BPF_JMP | BPF_JMP32 => match op(insn.code) {
                BPF_EXIT => vec![],
                BPF_CALL if insn.src == BPF_PSEUDO_CALL => vec![t + 1, callee()],
                BPF_CALL => vec![t + 1],
                BPF_JA => vec![jump_target(t, insn)],
                _ => vec![t + 1, jump_target(t, insn)],
            },
            _ if is_func_ref(insn) => vec![t + 2, callee()],
            _ if insn.code == LDIMM64 => vec![t + 2],
            _ => vec![t + 1],
        }
    }

    fn mark_target(&mut self, i: usize) {
        if let Some(a) = self.aux.get_mut(i) {
            a.prune_point = true;
            a.jump_point = true;
        }
    }

    /// Marks of one reachable instruction.
    fn mark_insn(&mut self, t: usize) {
        let insn = self.insns[t];
        if is_func_ref(insn) {
            self.mark_target(t + 2);
            self.mark_target((t as i64 + 1 + i64::from(insn.imm)) as usize);
            self.aux[t].prune_point = true;
            return;
        }
        if !matches!(class(insn.code), BPF_JMP | BPF_JMP32) {
            return;
        }
        match op(insn.code) {
            BPF_EXIT => {}
            BPF_CALL => self.mark_call(t, insn),
            BPF_JA => self.mark_target(jump_target(t, insn)),
            o => {
                self.aux[t].prune_point = true;
                if o == BPF_JCOND && insn.src == 0 {
                    self.aux[t].force_checkpoint = true;
                }
                self.mark_target(jump_target(t, insn));
            }
        }
    }

    fn mark_call(&mut self, t: usize, insn: Insn) {
        let callbacks = match insn.src {
            0 => self
                .helper_facts(insn.imm)
                .map(|e| (e.contains(Effects::SYNC_CALLBACK), e.contains(Effects::ASYNC_CALLBACK))),
            BPF_PSEUDO_KFUNC_CALL => self
                .kfunc_name(insn.imm, 0)
                .map(crate::call::base_name)
                .map(|n| (SYNC_CALLBACK_KFUNCS.contains(&n), ASYNC_CALLBACK_KFUNCS.contains(&n))),
            _ => None,
        };
        let (sync, async_) = callbacks.unwrap_or_default();
        let iter_next = insn.src == BPF_PSEUDO_KFUNC_CALL
            && self.kfunc_allowed(insn).is_some_and(|k| k.flags.contains(spec::kfunc::Flags::ITER_NEXT));
        let aux = &mut self.aux[t];
        if async_ {
            aux.prune_point = true;
        }
        if sync && self.profile.changes.callbacks_unrolled {
            aux.prune_point = true;
            aux.jump_point = true;
            aux.force_checkpoint = true;
            aux.calls_callback = true;
        }
        if iter_next {
            aux.prune_point = true;
            aux.force_checkpoint = true;
        }
        if insn.src == BPF_PSEUDO_CALL {
            aux.prune_point = true;
            self.mark_target((t as i64 + 1 + i64::from(insn.imm)) as usize);
        }
        self.mark_target(t + 1);
    }

    /// What a finished instruction adds to its subprogram.
    fn summarise(&mut self, t: usize) {
        let insn = self.insns[t];
        let own = self.subprog_of(t as i32);
        let call = insn.code == BPF_JMP | BPF_CALL;
        let (mut pkt, mut sleep) = (false, false);
        if is_func_ref(insn) || (call && insn.src == BPF_PSEUDO_CALL) {
            let callee = self.subprog_of(t as i32 + insn.imm + 1);
            pkt = self.subprogs[callee].changes_pkt;
            sleep = self.subprogs[callee].might_sleep;
        } else if call && insn.src == 0 {
            pkt = self.helper_facts(insn.imm).is_some_and(|e| e.contains(Effects::CHANGES_PKT));
            sleep =
                self.helper_proto(insn.imm).is_some_and(|p| p.might_sleep(&self.prog_context(), &self.profile.changes));
        } else if call {
            pkt = self.kfunc_name(insn.imm, 0) == Some(PACKET_KFUNC);
            sleep = self.kfunc_allowed(insn).is_some_and(|k| k.flags.contains(spec::kfunc::Flags::SLEEPABLE));
        }
        self.subprogs[own].changes_pkt |= pkt;
        self.subprogs[own].might_sleep |= sleep;
    }

    /// Effects of a helper by number alone.
    fn helper_facts(&self, id: i32) -> Option<Effects> {
        spec::helper::protos_of(u32::try_from(id).ok()?).first().map(|p| p.effects)
    }
}

fn is_func_ref(insn: Insn) -> bool {
    insn.code == LDIMM64 && insn.src == BPF_PSEUDO_FUNC
}
