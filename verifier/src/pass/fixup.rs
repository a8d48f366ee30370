//! What comes behind the stack check: dead code goes, calls are inlined. Here only its visible effects: a few late refusals and
//! the stack depths that the statistics show.

use crate::env::Verifier;
use crate::pass::fastcall::NOP;
use crate::reject::{R, Reject};
use isa::consts::*;

/// Stack that an inlined bpf_loop and a timed may_goto take.
const LOOP_STACK: i32 = 24;
const MAY_GOTO_STACK: i32 = 16;

impl Verifier<'_> {
    pub fn fixups(&mut self) -> R {
        let (mut depths, live) = self.surviving_subprogs();
        for (d, s) in depths.iter_mut().zip(&live) {
            let range = self.subprogs[*s].start as usize..self.subprogs[*s].end as usize;
            let inlined = range.clone().any(|i| self.aux[i].seen && self.aux[i].loop_inline.fit);
            if inlined {
                *d = ((*d + 7) & !7) + LOOP_STACK;
            }
            if range.clone().any(|i| self.keeps_may_goto(i)) {
                *d += MAY_GOTO_STACK;
            }
        }
        self.final_depths = Some(depths);
        self.check_removed_targets(&live)?;
        for i in 0..self.insns.len() {
            let insn = self.insns[i];
            if !self.aux[i].seen || insn.code != BPF_JMP | BPF_CALL {
                continue;
            }
            if insn.src == BPF_PSEUDO_KFUNC_CALL {
                if insn.imm == 0 {
                    return Err(Reject::KfuncNotEliminated);
                }
            } else if insn.src == 0
                && insn.imm == crate::call::id::TAIL_CALL as i32
                && self.aux[i].map_poison
                && self.aux[i].map_unpriv
            {
                return Err(Reject::TailCallPoisoned);
            }
        }
        if self.throws
            && !self.subprogs.iter().any(|s| s.is_exception_callback)
            && let Some(d) = &mut self.final_depths
        {
            // The default exception callback is an extra, hidden subprogram.
            d.push(0);
        }
        self.check_late_context()?;
        self.check_arena_loads()
    }

    /// Loads that the JIT of older kernels has not.
    fn check_arena_loads(&self) -> R {
        let sign_extends = |(insn, aux): (&isa::Insn, &crate::env::InsnAux)| {
            class(insn.code) == BPF_LDX
                && mode(insn.code) == BPF_MEMSX
                && aux.ptr_type.is_some_and(|t| t.kind == crate::reg::Kind::Arena)
        };
        if !self.profile.changes.arena_ldsx && self.insns.iter().zip(&self.aux).any(sign_extends) {
            return Err(Reject::ArenaSignExtends);
        }
        Ok(())
    }

    /// Depths and numbers of the subprograms that are left when dead code is removed.
    fn surviving_subprogs(&self) -> (Vec<i32>, Vec<usize>) {
        let kept = |s: usize| {
            !self.privs.bpf || (self.subprogs[s].start..self.subprogs[s].end).any(|i| self.aux[i as usize].seen)
        };
        let live: Vec<usize> = (0..self.subprogs.len()).filter(|s| kept(*s)).collect();
        (live.iter().map(|s| self.subprogs[*s].stack_depth).collect(), live)
    }

    /// A callback that is referenced but never entered (`bpf_loop` with no rounds) is dead code and removed. What referred to it then
    /// refers to the next function, and there may be none.
    fn check_removed_targets(&self, live: &[usize]) -> R {
        // A program that is down to one function is not compiled function by function, and nobody looks.
        let hidden = self.throws && !self.subprogs.iter().any(|s| s.is_exception_callback);
        if live.len() + usize::from(hidden) <= 1 {
            return Ok(());
        }
        let last = live.last().copied().unwrap_or(0);
        for (i, insn) in self.insns.iter().enumerate() {
            let refers = (insn.code == LDIMM64 && insn.src == BPF_PSEUDO_FUNC)
                || (insn.code == BPF_JMP | BPF_CALL && insn.src == BPF_PSEUDO_CALL);
            if !refers || !self.aux[i].seen {
                continue;
            }
            if self.subprog_at(i as i32 + insn.imm + 1).is_some_and(|s| s > last) {
                // The kernel's index is that of the rewritten program, which is not made here.
                let end = self.aux.iter().filter(|a| a.seen).count();
                return Err(Reject::bug(format!("No program to jit at insn {end} (subprog < 0)")));
            }
        }
        Ok(())
    }

    /// A may_goto that is walked and does not jump to what becomes its next instruction. When a may_goto goes, the one before it is
    /// looked at again; when a `goto +0` goes it is not.
    fn keeps_may_goto(&self, i: usize) -> bool {
        let insn = self.insns[i];
        if insn.code != MAY_GOTO || !self.aux[i].seen {
            return false;
        }
        let target = crate::pass::graph::jump_target(i, insn);
        let gone = |k: usize| {
            let x = self.insns[k];
            !self.aux[k].seen || x == NOP || (x.code == MAY_GOTO && !self.keeps_may_goto(k))
        };
        let last = (i + 1..target).rev().find(|k| self.aux[*k].seen);
        !(target > i && (i + 1..target).all(gone) && last.is_none_or(|k| self.insns[k] != NOP))
    }

    /// Context and socket accesses that pass the walk and fail when they are converted.
    fn check_late_context(&self) -> R {
        if self.late_ctx_failure {
            return Err(match self.profile.changes.conversion_reported {
                true => Reject::bug("error during ctx access conversion (0)"),
                false => Reject::ContextNotConverted,
            });
        }
        Ok(())
    }
}
