//! Maximum stack depth over call chains, private stacks, and what only the whole chain shows: throwing out of callbacks, tail calls
//! under exception callbacks.

use crate::env::Verifier;
use crate::reject::{R, Reject};
use crate::state::STACK_LIMIT;
use isa::consts::*;
use spec::{AttachType, ProgType};

/// Deepest stack above a subprogram that tail calls.
const TAIL_CALL_LIMIT: i32 = 256;
/// Longest chain of calls, global functions included.
const CHAIN_LIMIT: usize = 8;
/// Frames smaller than this stay on the common stack.
const PRIVATE_MIN: i32 = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Undecided,
    None,
    Adaptive,
}

struct Walk {
    mode: Vec<Mode>,
    private: bool,
    depth: i32,
    frames: Vec<usize>,
    tail_call_seen: bool,
    root: usize,
    deepest: i32,
}

impl Verifier<'_> {
    pub fn check_stack_depth(&mut self) -> R {
        let possible = self.private_stack_possible();
        let mut mode = vec![if possible { Mode::Undecided } else { Mode::None }; self.subprogs.len()];
        for s in (0..self.subprogs.len()).rev() {
            if s != 0 && !self.subprogs[s].is_async_callback {
                continue;
            }
            let private = possible && s == 0;
            let deepest = self.count.max_stack_depth;
            let mut w = Walk { mode, private, depth: 0, frames: Vec::new(), tail_call_seen: false, root: s, deepest };
            let descended = self.descend(&mut w, s);
            self.count.max_stack_depth = w.deepest;
            descended?;
            mode = w.mode;
        }
        Ok(())
    }

    fn private_stack_possible(&self) -> bool {
        if !self.profile.changes.private_stack || self.subprogs.iter().any(|s| s.has_tail_call) {
            return false;
        }
        match self.prog_type {
            ProgType::Kprobe | ProgType::Tracepoint | ProgType::PerfEvent | ProgType::RawTracepoint => true,
            ProgType::Tracing => self.attach_type != AttachType::TraceIter.raw(),
            _ => false,
        }
    }

    /// One subprogram and, at each call, what it calls. `w.frames` are the callers.
    fn descend(&self, w: &mut Walk, s: usize) -> R {
        let entered = self.enter_subprog(w, s)?;
        w.frames.push(s);
        let range = self.subprogs[s].start as usize..self.subprogs[s].end as usize;
        for i in range {
            let insn = self.insns[i];
            let call = insn.code == BPF_JMP | BPF_CALL;
            if call && insn.src == BPF_PSEUDO_KFUNC_CALL && self.kfunc_name(insn.imm, insn.off) == Some("bpf_throw") {
                let inner = w.frames.iter().rev().any(|f| self.subprogs[*f].is_callback);
                if inner {
                    return Err(Reject::ThrowFromCallback { insn: i, subprog: s });
                }
            }
            let func_ref = insn.code == LDIMM64 && insn.src == BPF_PSEUDO_FUNC;
            if !(func_ref || (call && insn.src == BPF_PSEUDO_CALL)) {
                continue;
            }
            let Some(callee) = self.subprog_at(i as i32 + insn.imm + 1) else { continue };
            if self.subprogs[callee].is_async_callback {
                if self.subprogs[callee].has_tail_call {
                    return Err(Reject::bug("subprog has tail_call and async cb"));
                }
                if func_ref {
                    continue;
                }
                if self.subprogs[callee].is_exception_callback {
                    return Err(Reject::CallsExceptionCallback { insn: i });
                }
            }
            // Newer kernels look at the stack alone: the walk has counted frames.
            if w.frames.len() >= CHAIN_LIMIT && !self.profile.changes.long_chains {
                return Err(Reject::CallChainTooDeep { frames: w.frames.len() });
            }
            self.descend(w, callee)?;
        }
        if w.tail_call_seen && w.frames[..w.frames.len() - 1].iter().any(|f| self.subprogs[*f].is_exception_callback) {
            return Err(Reject::TailCallInExceptionCallback);
        }
        w.frames.pop();
        w.depth -= entered;
        Ok(())
    }

    /// Accounts for a frame; says how much it added to the common stack.
    fn enter_subprog(&self, w: &mut Walk, s: usize) -> R<i32> {
        let sub = &self.subprogs[s];
        if s != 0 && sub.has_tail_call && w.depth >= TAIL_CALL_LIMIT {
            return Err(Reject::TailCallStack { depth: w.depth });
        }
        if s != w.root && sub.has_tail_call {
            w.tail_call_seen = true;
        }
        let rounded = match self.profile.changes.stack_rounded_16 {
            true => (sub.stack_depth + 15) & !15,
            false => (sub.stack_depth.max(1) + 31) & !31,
        };
        if !w.private {
            w.mode[s] = Mode::None;
        } else if w.mode[s] == Mode::Undecided && rounded >= PRIVATE_MIN {
            w.mode[s] = Mode::Adaptive;
        }
        if w.mode[s] == Mode::Adaptive {
            if rounded > STACK_LIMIT {
                return Err(Reject::SubprogStack { subprog: s, size: rounded });
            }
            w.deepest = w.deepest.max(rounded);
            return Ok(0);
        }
        w.depth += rounded;
        w.deepest = w.deepest.max(w.depth);
        if w.depth > STACK_LIMIT {
            return Err(Reject::CombinedStack { calls: w.frames.len() + 1, size: w.depth });
        }
        Ok(rounded)
    }
}
