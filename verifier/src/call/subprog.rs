//! Calls of the program's own functions: static ones are walked in a frame of their own, global ones are taken at their prototype's
//! word. Returning from a frame, too. How a prototype is read and matched is in `prototype` and `global`.

use super::refs::Region;
use crate::env::Verifier;
use crate::reg::{Kind, Reg, RegType};
use crate::reject::errno::{EFAULT, EINVAL, ENOMEM};
use crate::reject::{R, Reject};
use crate::state::{FP, Frame, MAX_FRAMES};
use crate::walk::Flow;
use isa::Insn;

/// A prototype that does not fit is no reason to refuse a static call; these are.
pub(super) fn ends_call(r: &Reject) -> bool {
    r.errno() == EFAULT || matches!(r, Reject::Unsupported { .. })
}

impl Verifier<'_> {
    pub(super) fn check_subprog_call(&mut self, insn: Insn) -> R<Flow> {
        let target = self.insn_idx.wrapping_add(insn.imm).wrapping_add(1);
        let Some(sub) = self.subprog_at(target) else {
            return Err(Reject::bug(format!("invalid insn idx {target} at func#{}", self.cur.frame().subprog)));
        };
        let fits = self.match_subprog(sub);
        if let Err(r) = &fits {
            if ends_call(r) {
                return Err(r.clone());
            }
            self.note(r);
        }
        if self.subprogs[sub].is_global() {
            return self.finish_global_call(sub, fits.err().map_or(0, |r| r.errno()));
        }
        let (callsite, depth) = (self.insn_idx, self.cur.cur());
        let mut frame = self.enter_frame(&self.cur, sub, callsite)?;
        for r in 1..=5 {
            frame.regs[r] = self.cur.frame().regs[r];
            frame.marks.take_over(&self.cur.frame().marks, r);
        }
        self.clear_caller_saved();
        self.cur.enter(frame, self.refs_per_frame());
        self.log.scratch_all();
        if self.log.level.trace() {
            let (caller, callee) =
                (self.state_text(&self.cur, depth, true), self.state_text(&self.cur, depth + 1, true));
            self.log.l_pieces(&format!("caller:\n{caller}\n"));
            self.log.l_pieces(&format!("callee:\n{callee}\n"));
        }
        Ok(Flow::To(self.subprogs[sub].start as i32))
    }

    pub(super) fn refs_per_frame(&self) -> bool {
        !self.profile.changes.refs_per_path
    }

    /// A frame for `sub`, called at `callsite` from the innermost frame of `caller`. Its registers are not set but R10.
    pub(super) fn enter_frame(&self, caller: &crate::state::State, sub: usize, callsite: i32) -> R<Frame> {
        let frameno = caller.frames.len();
        if frameno >= self.max_frames() {
            return Err(Reject::TooManyFrames { frames: frameno + 1 });
        }
        Ok(self.fresh_frame(callsite, frameno, sub))
    }

    pub(super) fn fresh_frame(&self, callsite: i32, frameno: usize, sub: usize) -> Frame {
        let precise = !self.privs.bpf;
        let mut frame = Frame::new(callsite, frameno as u32, sub as u32);
        frame.regs = [Reg { precise, ..Reg::NOT_INIT }; FP + 1];
        frame.regs[FP] = Reg { precise, frameno: frameno as u8, ..Reg::pointer(RegType::of(Kind::Stack)) };
        frame
    }

    /// Frames that a path may have.
    fn max_frames(&self) -> usize {
        if self.profile.changes.deep_calls { MAX_FRAMES } else { MAX_FRAMES / 2 }
    }

    fn finish_global_call(&mut self, sub: usize, errno: i32) -> R<Flow> {
        if self.cur.active_locks > 0 {
            return Err(Reject::GlobalCallUnderLock);
        }
        let changes = self.profile.changes;
        if self.cur.active_preempt > 0 && !changes.global_calls_unpreempted {
            return Err(Reject::GlobalCallUnpreempted);
        }
        let name = self.subprogs[sub].name.clone();
        let region = self.no_sleep_region().map(Region::of_helper);
        if self.subprogs[sub].might_sleep && (region.is_some() || !self.cur.can_sleep()) {
            return Err(Reject::GlobalCallSleeps { name, region: region.unwrap_or("non-sleepable prog") });
        }
        if errno != 0 {
            return Err(Reject::GlobalCallArgs { func: sub, name, errno });
        }
        if changes.main_first {
            self.note_global(format_args!("Func#{sub} ('{name}') is global and assumed valid.\n"));
        } else {
            self.log.l(format_args!("Func#{sub} is global and valid. Skipping.\n"));
        }
        if self.subprogs[sub].changes_pkt && changes.global_calls_change_packets {
            self.clear_all_pkt_pointers();
        }
        self.subprogs[sub].called = true;
        self.clear_caller_saved();
        self.mark_unknown(0);
        Ok(Flow::Next)
    }

    /// Leaves the innermost frame. The instruction where the caller goes on: behind the call, or the call itself for a callback.
    pub fn prepare_func_exit(&mut self) -> R<i32> {
        self.live_update();
        let callee = self.cur.cur();
        let r0 = self.reg(0);
        if r0.ty.kind == Kind::Stack {
            return Err(Reject::ReturnsStack);
        }
        let frame = self.cur.frame();
        let (callback, callsite, range) = (frame.in_callback, frame.callsite, frame.callback_ret);
        if callback {
            if !r0.is_scalar() {
                return Err(Reject::CallbackResult);
            }
            if self.profile.changes.return_by_bounds {
                self.note_reg_read(0);
                self.mark_precise(0)?;
            }
            self.check_result_range(0, (range.0.into(), range.1.into()), false, super::exit::Context::Callback)?;
        } else {
            let marks = std::mem::take(&mut self.cur.frame_mut().marks);
            let caller = &mut self.cur.frames[callee - 1];
            caller.regs[0] = r0;
            caller.marks.take_over(&marks, 0);
        }
        let again = callback && self.profile.changes.callbacks_unrolled;
        let to = if again { callsite } else { callsite + 1 };
        if self.log.level.trace() {
            let (from, into) = (self.state_text(&self.cur, callee, true), self.state_text(&self.cur, callee - 1, true));
            self.log.l_pieces(&format!("returning from callee:\n{from}\n"));
            self.log.l_pieces(&format!("to caller at {to}:\n{into}\n"));
        }
        self.cur.frames.pop();
        let held = std::mem::take(&mut self.cur.frame_mut().held);
        if callback && self.refs_per_frame() {
            self.restore_references(held);
        }
        if again {
            self.widen_callback_return(to);
        }
        Ok(to)
    }

    /// The tail of bpf_tail_call: in the main function it fell through. In a subprogram either the called program ran and the subprogram
    /// returned with anything, or the tail call failed.
    pub(super) fn finish_tail_call(&mut self) -> R<Flow> {
        if self.cur.frames.len() == 1 || !self.profile.changes.tail_call_returns {
            return Ok(Flow::Next);
        }
        self.push_branch(self.insn_idx + 1, self.insn_idx, false).map_err(|e| e.reject(ENOMEM))?;
        self.clear_all_pkt_pointers();
        self.mark_unknown(0);
        self.prepare_func_exit().map(Flow::To)
    }

    /// There is a prototype, and nothing made it unreliable so far.
    pub(super) fn check_prototype_usable(&self, sub: usize) -> R {
        if self.prog.func_info.bytes.is_empty() {
            return Err(Reject::Silent { errno: EINVAL });
        }
        if self.subprogs[sub].func_id == 0 {
            return Err(Reject::Silent { errno: EFAULT });
        }
        if self.subprogs[sub].unreliable {
            return Err(Reject::Silent { errno: EINVAL });
        }
        Ok(())
    }

    /// The prototype of a called function is matched against the arguments. What does not fit makes the prototype unreliable.
    pub(super) fn match_subprog(&mut self, sub: usize) -> R {
        if !self.profile.changes.prototypes_read_once {
            return self.match_registers(sub, true);
        }
        self.check_prototype_usable(sub)?;
        let fits = self.read_prototype(sub).and_then(|()| self.match_arguments(sub));
        self.subprogs[sub].unreliable = fits.is_err();
        fits
    }
}
