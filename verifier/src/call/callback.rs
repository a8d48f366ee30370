//! Helpers and kfuncs that call a function of the program: synchronously (in a frame on top of the caller, as often as it takes to
//! converge) or later (in a fresh state). What the callback is given depends on who calls it.

use super::helper::HelperCall;
use super::id;
use crate::env::{MAX_QUEUE, Queued, Verifier};
use crate::reg::{BtfId, Ext, Flags, Kind, MapId, Reg, RegType};
use crate::reject::errno::ENOMEM;
use crate::reject::{R, Reject};
use crate::state::{Frame, State};

/// What a callback is called with, and what it may return.
pub(super) struct CallbackArgs {
    /// R1 to R5.
    pub regs: [Reg; 5],
    pub returns: (i32, i32),
}

impl CallbackArgs {
    fn new(returns: (i32, i32)) -> CallbackArgs {
        CallbackArgs { regs: [Reg::NOT_INIT; 5], returns }
    }
}

/// When the callback runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Now,
    Later { sleepable: bool },
}

impl Verifier<'_> {
    /// A pointer with data, as callbacks get them.
    fn pointer_reg(&self, ty: RegType, ext: Ext) -> Reg {
        Reg { precise: !self.privs.bpf, ext, ..Reg::pointer(ty) }
    }

    /// map, key, value: what callbacks about map elements get.
    pub(super) fn element_args(&self, map_reg: Reg, map: MapId, returns: (i32, i32)) -> CallbackArgs {
        let mut args = CallbackArgs::new(returns);
        args.regs[0] = map_reg;
        args.regs[1] = self.pointer_reg(RegType::of(Kind::MapKey), Ext::Map { map, uid: 0 });
        args.regs[2] = self.pointer_reg(RegType::of(Kind::MapValue), Ext::Map { map, uid: 0 });
        args
    }

    /// The same for a callback that runs later: it is given the map itself.
    pub(super) fn async_element_args(&self, map: MapId, returns: (i32, i32)) -> CallbackArgs {
        let map_reg = self.pointer_reg(RegType::of(Kind::MapPtr), Ext::Map { map, uid: 0 });
        self.element_args(map_reg, map, returns)
    }

    pub(super) fn push_helper_callback(&mut self, call: &mut HelperCall) -> R {
        let sub = call.callback as usize;
        if call.id() == id::TIMER_SET_CALLBACK {
            let Some(map) = self.reg(1).map() else { return Err(Reject::bug("timer without map")) };
            let args = self.async_element_args(map, (0, 0));
            return self.push_callback(sub, When::Later { sleepable: false }, |_| Ok(args));
        }
        if !self.profile.changes.callbacks_unrolled {
            return self.enter_callback(sub, call);
        }
        self.push_callback(sub, When::Now, |v| v.sync_args(call))
    }

    fn sync_args(&mut self, call: &HelperCall) -> R<CallbackArgs> {
        let mut args = CallbackArgs::new((0, 1));
        match call.id() {
            id::FOR_EACH_MAP_ELEM => {
                if self.aux[self.insn_idx as usize].map_poison && !self.profile.changes.callback_maps_vary {
                    return Err(Reject::TailCallPoisoned);
                }
                let r1 = self.reg(1);
                let Some(map) = r1.map() else { return Err(Reject::bug("for_each_map_elem without map")) };
                let ty = spec::MapType::from_raw(self.map(map).def.map_type);
                if !ty.is_some_and(spec::map::supports_callback) {
                    return Err(Reject::CallbackMap);
                }
                args = self.element_args(r1, map, (0, 1));
                args.regs[3] = self.reg(3);
            }
            id::LOOP => {
                args.regs[0] = self.unknown();
                args.regs[1] = self.reg(3);
            }
            id::FIND_VMA => {
                let vma =
                    self.btf(BtfId::KERNEL).and_then(|b| b.find_by_name_kind("vm_area_struct", btf::Kind::Struct));
                let Some(id) = vma else {
                    return Err(Reject::unsupported("struct vm_area_struct is not in the kernel's BTF"));
                };
                args.regs[0] = self.reg(1);
                args.regs[1] = self.pointer_reg(RegType::of(Kind::Btf), Ext::Btf { btf: BtfId::KERNEL, id });
                args.regs[2] = self.reg(4);
            }
            _ => {
                args.regs[0] = self.const_dynptr();
                args.regs[1] = self.reg(3);
            }
        }
        Ok(args)
    }

    /// Queues the callback's entry. The caller's path goes on as if the callback had (no longer) been called.
    pub(super) fn push_callback(
        &mut self,
        sub: usize,
        when: When,
        args: impl FnOnce(&mut Self) -> R<CallbackArgs>,
    ) -> R {
        if sub == 0 || sub >= self.subprogs.len() {
            return Err(Reject::bug(format!("callback is not a subprogram: {sub}")));
        }
        self.match_callback(sub)?;
        match when {
            When::Now => self.push_sync_callback(sub, args),
            When::Later { sleepable } => self.push_async_callback(sub, sleepable, args),
        }
    }

    /// A prototype that does not fit is no reason to refuse a callback.
    fn match_callback(&mut self, sub: usize) -> R {
        if let Err(r) = self.match_subprog(sub) {
            if super::subprog::ends_call(&r) {
                return Err(r);
            }
            self.note(&r);
        }
        self.subprogs[sub].is_callback = true;
        Ok(())
    }

    /// The callback is walked once, as if the program had called it: it is entered when the rest of the call is done.
    fn enter_callback(&mut self, sub: usize, call: &mut HelperCall) -> R {
        let mut frame = self.enter_frame(&self.cur, sub, self.insn_idx)?;
        self.match_callback(sub)?;
        let args = self.sync_args(call)?;
        set_arguments(&mut frame, &args);
        frame.in_callback = true;
        call.callee = Some(frame);
        self.log.scratch_all();
        Ok(())
    }

    fn push_sync_callback(&mut self, sub: usize, args: impl FnOnce(&mut Self) -> R<CallbackArgs>) -> R {
        let start = self.subprogs[sub].start as i32;
        let at = self.push_branch(start, self.insn_idx, false).map_err(|e| e.reject(ENOMEM))?;
        let mut frame = self.enter_frame(&self.cur, sub, self.insn_idx)?;
        self.log.scratch_all();
        let args = args(self)?;
        set_arguments(&mut frame, &args);
        frame.in_callback = true;
        let refs_per_frame = self.refs_per_frame();
        let queued = &mut self.queue[at].state;
        queued.callback_unroll += 1;
        queued.frame_mut().callback_depth += 1;
        queued.enter(frame, refs_per_frame);
        self.cur.frame_mut().callback_depth = 0;
        Ok(())
    }

    fn push_async_callback(
        &mut self,
        sub: usize,
        sleepable: bool,
        args: impl FnOnce(&mut Self) -> R<CallbackArgs>,
    ) -> R {
        self.subprogs[sub].is_async_callback = true;
        if self.queue.len() + 1 > MAX_QUEUE {
            return Err(Reject::TooManyAsyncBranches { pending: self.queue.len() + 1 });
        }
        let mut frame = self.fresh_frame(-1, 0, sub);
        self.log.scratch_all();
        frame.in_async = true;
        frame.async_entry = self.cur.frame().async_entry + 1;
        let log = self.log.mark();
        let args = args(self)?;
        set_arguments(&mut frame, &args);
        let mut state = State::new(frame);
        state.sleepable = sleepable;
        // The state was not reached from any instruction: backtracking sees zeros.
        state.first_insn = 0;
        state.last_insn = 0;
        self.queue.push(Queued { state, insn: self.subprogs[sub].start as i32, prev: self.insn_idx, log });
        Ok(())
    }

    /// bpf_loop: another round only while the simulated depth is below the number of rounds.
    pub(super) fn check_loop(&mut self, call: &mut HelperCall) -> R {
        self.update_loop_inline(call.callback)?;
        if !self.profile.changes.callbacks_unrolled {
            return self.push_helper_callback(call);
        }
        if !self.reg(1).is_scalar() {
            return Err(Reject::bug("backtracking misuse"));
        }
        self.mark_precise(1)?;
        let rounds = self.reg(1).val.umax;
        if u64::from(self.cur.frame().callback_depth) < rounds {
            return self.push_helper_callback(call);
        }
        self.cur.frame_mut().callback_depth = 0;
        let frame = self.cur.cur();
        self.log.l2(format_args!("frame{frame} bpf_loop iteration limit reached\n"));
        Ok(())
    }

    /// Inlining needs the constant flags 0 and one callback on every visit. Asking for the flags makes them precise.
    fn update_loop_inline(&mut self, callback: u32) -> R {
        let idx = self.insn_idx as usize;
        let seen = self.aux[idx].loop_inline;
        if seen.seen && !seen.fit {
            return Ok(());
        }
        let zero = self.reg(4).is_null();
        if zero {
            self.mark_precise(4)?;
        }
        let state = &mut self.aux[idx].loop_inline;
        state.fit = zero && (!seen.seen || seen.callback == callback);
        if !seen.seen {
            state.seen = true;
            state.callback = callback;
        }
        Ok(())
    }

    /// An allocated object of the program's BTF that the callback does not own, at a graph node.
    pub(super) fn non_owning_reg(&self, btf: BtfId, id: u32, off: i32) -> Reg {
        let mut flags = Flags::ALLOC | Flags::NON_OWNING;
        if self.struct_has_refcount(btf, id) {
            flags = flags | Flags::RCU;
        }
        let mut reg = self.pointer_reg(RegType::of(Kind::Btf).with(flags), Ext::Btf { btf, id });
        reg.off = off;
        reg
    }

    /// Whether the innermost frame is the `less` callback of a tree insertion.
    pub(super) fn in_rbtree_less_callback(&self) -> bool {
        let frame = self.cur.frame();
        if !frame.in_callback || frame.callsite < 0 {
            return false;
        }
        let call = self.insns[frame.callsite as usize];
        call.src == super::SRC_KFUNC && self.is_rbtree_add(call)
    }
}

fn set_arguments(frame: &mut Frame, args: &CallbackArgs) {
    for (i, r) in args.regs.iter().enumerate() {
        frame.regs[i + 1] = Reg { precise: frame.regs[i + 1].precise || r.precise, ..*r };
    }
    frame.callback_ret = args.returns;
}
