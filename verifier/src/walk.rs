//! The path explorer: one instruction after the other, queued branches when a path ends, functions one by one. What an instruction does is
//! decided in `alu`, `branch`, `mem` and `call`; when a path is covered by an earlier one in `prune`.

use crate::env::Verifier;
use crate::pass::form;
use crate::prune::Visit;
use crate::reject::errno::ENOMEM;
use crate::reject::{R, Reject};
use crate::state::HistFlags;
use isa::Insn;
use isa::consts::*;

/// Instructions the kernel is willing to look at.
pub const MAX_PROCESSED: u32 = 1_000_000;
/// Memory of references at which a kernel was seen to give up: a loop that takes them without end fills it before anything else ends. It
/// depends on the machine.
const MAX_REFERENCE_BYTES: u64 = 3 << 30;

/// Where a path goes after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next instruction (behind both slots of an ldimm64).
    Next,
    To(i32),
    /// The path is over: outermost exit, or an exception.
    End,
}

impl Verifier<'_> {
    /// Main first, then every global function that verified code calls, until there is no new one.
    pub fn walk_program(&mut self) -> R {
        if !self.profile.changes.main_first {
            let globals = (1..self.subprogs.len()).filter(|i| self.subprogs[*i].is_global());
            globals.collect::<Vec<_>>().into_iter().try_for_each(|i| self.walk_global(i))?;
            return self.walk_function(0);
        }
        self.walk_function(0)?;
        loop {
            let next = (1..self.subprogs.len()).find(|i| {
                let s = &self.subprogs[*i];
                s.is_global() && (s.called || s.is_exception_callback) && !s.verified
            });
            // One sweep goes on behind the function just verified; functions found late with a lower number wait for the next sweep.
            let Some(mut i) = next else { return Ok(()) };
            while i < self.subprogs.len() {
                let s = &self.subprogs[i];
                if s.is_global() && (s.called || s.is_exception_callback) && !s.verified {
                    self.walk_global(i)?;
                }
                i += 1;
            }
        }
    }

    fn walk_global(&mut self, subprog: usize) -> R {
        let name = self.subprogs[subprog].name.clone();
        let line = format!("Validating {name}() func#{subprog}...\n");
        if !self.profile.changes.main_first {
            self.log.l(format_args!("{line}"));
            self.walk_function(subprog)?;
            self.log.l(format_args!("Func#{subprog} is safe for any args that match its prototype\n"));
            return Ok(());
        }
        self.note_global(format_args!("{line}"));
        self.walk_function(subprog)?;
        self.subprogs[subprog].verified = true;
        self.log.l(format_args!("Func#{subprog} ('{name}') is safe for any args that match its prototype\n"));
        Ok(())
    }

    /// A line about a function that is verified on its own.
    pub fn note_global(&mut self, text: std::fmt::Arguments<'_>) {
        if self.profile.changes.globals_traced { self.log.l(text) } else { self.log.a(text) }
    }

    fn walk_function(&mut self, subprog: usize) -> R {
        self.log.last_line = None;
        self.log.message_last_line = None;
        self.start_function(subprog)?;
        self.insn_idx = self.subprogs[subprog].start as i32;
        self.cur.first_insn = self.insn_idx;
        self.prev_idx = -1;
        self.log.header_due = false;
        self.log.scratch_all();
        self.walk_paths(subprog)?;
        self.explored.forget_states();
        self.log.function_done();
        Ok(())
    }

    fn walk_paths(&mut self, subprog: usize) -> R {
        loop {
            self.cur_hist = None;
            if self.insn_idx < 0 || self.insn_idx as usize >= self.insns.len() {
                return Err(Reject::InsnOutOfRange { insn: self.insn_idx, count: self.insns.len() });
            }
            self.count.insns += 1;
            if self.cost.is_some() {
                self.spend_insn();
            }
            self.subprogs[subprog].insns += 1;
            if self.count.reference_bytes > MAX_REFERENCE_BYTES {
                return Err(Reject::Silent { errno: ENOMEM });
            }
            if self.count.insns > MAX_PROCESSED {
                return Err(Reject::TooManyInsns { processed: self.count.insns });
            }
            self.cur.last_insn = self.prev_idx;
            self.cur.insn = self.insn_idx;
            let ended = self.step()?;
            if ended && !self.end_path()? {
                return Ok(());
            }
        }
    }

    /// One instruction. True when the path ends with it.
    fn step(&mut self) -> R<bool> {
        let idx = self.insn_idx as usize;
        if self.aux[idx].prune_point
            && let Visit::Pruned = self.visit()?
        {
            if self.log.level.trace() {
                if self.log.header_due {
                    let suffix = self.speculative_suffix();
                    self.log.l(format_args!("\nfrom {} to {}{suffix}: safe\n", self.prev_idx, self.insn_idx));
                } else {
                    self.log.l(format_args!("{}: safe\n", self.insn_idx));
                }
            }
            return Ok(true);
        }
        if self.aux[idx].jump_point {
            self.push_history(HistFlags::default(), None);
        }
        self.print_insn();
        if self.cur.speculative {
            if self.aux[idx].nospec {
                return Ok(true);
            }
        } else {
            self.aux[idx].seen = true;
        }
        self.live_begin();
        let insn = self.insns[idx];
        let flow = match self.check_insn(insn) {
            Ok(flow) => {
                self.live_commit(idx as i32);
                flow
            }
            Err(r) => {
                if r.ends_speculation() {
                    self.live_commit(idx as i32);
                    if self.cur.speculative {
                        self.note(&r);
                        self.aux[idx].nospec = true;
                        self.aux[idx].alu_state = 0;
                        return Ok(true);
                    }
                }
                return Err(r);
            }
        };
        if flow == Flow::End || (self.cur.speculative && self.aux[idx].nospec_result) {
            return Ok(true);
        }
        self.prev_idx = idx as i32;
        self.insn_idx = match flow {
            Flow::To(to) => to,
            _ if insn.code == LDIMM64 => idx as i32 + 2,
            _ => idx as i32 + 1,
        };
        Ok(false)
    }

    fn check_insn(&mut self, insn: Insn) -> R<Flow> {
        if let Some(other) = self.profile.other() {
            crate::versions::on_path(&insn, other)?;
        }
        match class(insn.code) {
            BPF_ALU | BPF_ALU64 => self.check_alu(insn).map(|()| Flow::Next),
            BPF_LDX => self.check_ldx(insn).map(|()| Flow::Next),
            BPF_STX if mode(insn.code) == BPF_ATOMIC => self.check_atomic(insn).map(|()| Flow::Next),
            BPF_STX => self.check_stx(insn).map(|()| Flow::Next),
            BPF_ST => self.check_st(insn).map(|()| Flow::Next),
            BPF_JMP | BPF_JMP32 => {
                self.count.jumps += 1;
                match op(insn.code) {
                    BPF_CALL => self.check_call(insn),
                    BPF_EXIT => self.check_exit(insn),
                    BPF_JA => self.check_ja(insn),
                    _ => self.check_cond_jump(insn),
                }
            }
            _ if matches!(mode(insn.code), BPF_ABS | BPF_IND) => self.check_ld_abs(insn),
            _ => self.check_ld_imm64(insn).map(|()| Flow::Next),
        }
    }

    fn check_ja(&mut self, insn: Insn) -> R<Flow> {
        form::fields(insn)?;
        let by = if class(insn.code) == BPF_JMP32 { insn.imm } else { insn.off as i32 };
        Ok(Flow::To(self.insn_idx + by + 1))
    }

    /// A path is over: counters and liveness are brought up to date and the newest waiting branch is taken up. False when none waits.
    fn end_path(&mut self) -> R<bool> {
        self.log.scratch_all();
        self.finish_path()?;
        self.live_update();
        let Some(q) = self.queue.pop() else { return Ok(false) };
        self.cur = q.state;
        self.insn_idx = q.insn;
        self.prev_idx = q.prev;
        self.log.rewind(q.log);
        self.log.header_due = true;
        Ok(true)
    }
}
