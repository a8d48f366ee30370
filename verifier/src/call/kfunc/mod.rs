//! Calls of kernel functions: may this program call it here and now, what the call does besides its arguments and its result.
//! Parameters are in `param` and `args`, results in `ret`, graphs, iterators and interrupt flags in files of their own.

mod args;
mod graph;
mod irq;
mod iter;
mod memory;
mod param;
mod ret;

use super::callback::When;
use super::dynptr::Place;
use super::refs::Region;
use crate::env::Verifier;
use crate::maps::Graph;
use crate::reg::{BtfId, DynptrType, Flags as RegFlags, MapId};
use crate::reject::errno::{EINVAL, ENOMEM};
use crate::reject::{R, Reject};
use crate::state::RefKind;
use crate::walk::Flow;
use btf::Btf;
use isa::Insn;
use param::Param;
use spec::kfunc::Flags;
use std::sync::Arc;

/// The only kfuncs that may be called while a lock is held, by base name.
const UNDER_LOCK: [&str; 20] = [
    "bpf_list_push_front",
    "bpf_list_push_back",
    "bpf_list_pop_front",
    "bpf_list_pop_back",
    "bpf_list_front",
    "bpf_list_back",
    "bpf_rbtree_add",
    "bpf_rbtree_remove",
    "bpf_rbtree_first",
    "bpf_rbtree_root",
    "bpf_rbtree_left",
    "bpf_rbtree_right",
    "bpf_refcount_acquire",
    "bpf_iter_num_new",
    "bpf_iter_num_next",
    "bpf_iter_num_destroy",
    "bpf_res_spin_lock",
    "bpf_res_spin_unlock",
    "bpf_res_spin_lock_irqsave",
    "bpf_res_spin_unlock_irqrestore",
];

/// Kfuncs of kernels other than 6.18 whose special rules are not modelled.
const UNMODELLED: [&str; 8] = [
    "bpf_list_add",
    "bpf_list_del",
    "bpf_list_empty",
    "bpf_list_is_first",
    "bpf_list_is_last",
    "bpf_dynptr_from_file",
    "bpf_dynptr_file_discard",
    "bpf_timer_cancel_async",
];

/// The name that rules know a kfunc by. What takes parameters that the kernel fills in is `..._impl` where programs pass them too, and
/// has the plain name where they do not.
pub(crate) fn base_name(name: &str) -> &str {
    name.strip_suffix("_impl").unwrap_or(name)
}

/// The dynptr argument that a call does not create.
#[derive(Clone, Copy, Debug)]
pub(super) struct UsedDynptr {
    pub ty: DynptrType,
    pub id: u32,
    pub reference: u32,
}

/// List head or tree root argument: what it holds, in which BTF.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub btf: BtfId,
    pub graph: Graph,
}

/// What one call's arguments told about it.
#[derive(Debug)]
pub(super) struct KfuncCall {
    pub btf: Arc<Btf>,
    pub name: String,
    pub id: u32,
    pub flags: Flags,
    pub params: Vec<Param>,
    /// Return type.
    pub ret: u32,
    /// Reference carried by an argument.
    pub ref_obj_id: u32,
    pub release_reg: Option<u8>,
    /// Value of the constant parameter.
    pub constant: Option<u64>,
    /// Size of the returned memory by a buffer size parameter, and whether it is read-only.
    pub buffer: Option<(u32, bool)>,
    /// Type of the object argument, and whether the program owns that object.
    pub object: Option<(BtfId, u32)>,
    pub owning: bool,
    pub root: Option<Root>,
    pub dynptr: Option<UsedDynptr>,
    pub iter: Option<Place>,
    /// Map of a work queue or task work argument, or of a map argument.
    pub map: Option<(MapId, u32)>,
    /// Function of a callback argument.
    pub callback: u32,
}

impl KfuncCall {
    /// Whether it is this kfunc, by base name.
    pub fn is(&self, name: &str) -> bool {
        base_name(&self.name) == name
    }
    pub fn has(&self, flag: Flags) -> bool {
        self.flags.contains(flag)
    }
    /// `name#id`, as messages have it.
    fn full_name(&self) -> String {
        format!("{}#{}", self.name, self.id)
    }
    pub fn is_list_push(&self) -> bool {
        self.is("bpf_list_push_front") || self.is("bpf_list_push_back")
    }
    pub fn is_rbtree_add(&self) -> bool {
        self.is("bpf_rbtree_add")
    }
    pub fn is_task_work(&self) -> bool {
        self.is("bpf_task_work_schedule_signal") || self.is("bpf_task_work_schedule_resume")
    }
    fn trusted_args(&self) -> bool {
        self.flags.intersects(Flags::TRUSTED_ARGS.and(Flags::RELEASE))
    }
}

impl Verifier<'_> {
    pub(super) fn kfunc_allowed_under_lock(&self, id: u32) -> bool {
        let graph_only = !self.profile.changes.loops_under_lock;
        let allowed = |n: &str| UNDER_LOCK.contains(&n) && !(graph_only && n.starts_with("bpf_iter_"));
        self.kfunc_name(id as i32, 0).map(base_name).is_some_and(allowed)
    }

    pub(super) fn is_rbtree_add(&self, insn: Insn) -> bool {
        self.kfunc_name(insn.imm, insn.off).map(base_name) == Some("bpf_rbtree_add")
    }

    pub(super) fn check_kfunc_call(&mut self, insn: Insn) -> R<Flow> {
        // What was weak and not found: passed over here, refused when the walk is over.
        if insn.imm == 0 && insn.off == 0 {
            return Ok(Flow::Next);
        }
        let mut call = self.admit_kfunc(insn)?;
        self.aux[self.insn_idx as usize].iter_next = call.has(Flags::ITER_NEXT);
        self.check_kfunc_args(&mut call)?;
        if !self.profile.changes.kfunc_sleep_first {
            self.check_kfunc_may_sleep(call.flags, &call.name)?;
        }
        self.push_kfunc_callback(&call)?;
        self.check_kfunc_regions(&call)?;
        self.release_kfunc_argument(&call)?;
        self.disown_graph_node(&call)?;
        self.throws |= call.is("bpf_throw");
        if call.is("bpf_throw") && !self.subprogs.iter().any(|s| s.is_exception_callback) {
            self.check_return_code(1)?;
        }
        for r in 0..=5 {
            if (1..=call.params.len()).contains(&usize::from(r)) {
                self.note_reg_read(r);
            }
            self.mark_not_init(r);
            self.note_reg_written(r);
        }
        self.set_kfunc_result(&call)?;
        if call.is("bpf_xdp_pull_data") {
            self.clear_all_pkt_pointers();
        }
        if call.has(Flags::ITER_NEXT) {
            self.fork_iter_next(&call)?;
        }
        if call.is("bpf_throw") { self.throw() } else { Ok(Flow::Next) }
    }

    /// Steps before the arguments: is the kfunc registered for this program, and may it be called here and now.
    fn admit_kfunc(&mut self, insn: Insn) -> R<KfuncCall> {
        if !self.profile.changes.kernel_calls {
            return Err(Reject::KernelRefuses { text: "BPF_CALL uses reserved fields".to_owned(), errno: EINVAL });
        }
        let Some(name) = self.kfunc_name(insn.imm, insn.off).map(str::to_owned) else {
            return Err(Reject::unsupported("kfunc of a kernel module"));
        };
        let Some(btf) = self.btf(BtfId::KERNEL).cloned() else {
            return Err(Reject::unsupported("kernel BTF is missing"));
        };
        let Some(row) = self.profile.kfunc(insn.imm as u32, &self.prog_context()) else {
            return Err(Reject::KfuncNotAllowed { name });
        };
        let id = insn.imm as u32;
        let Some(proto) = btf.func_proto(id) else { return Err(Reject::bug("kfunc without prototype")) };
        let mut flags = row.flags;
        if flags.contains(Flags::KPTR_GET) || UNMODELLED.contains(&name.as_str()) {
            return Err(Reject::unsupported(format!("kfunc {name}")));
        }
        if self.profile.changes.kfuncs_trust_nobody {
            flags = flags.and(Flags::TRUSTED_ARGS);
        }
        if name == "bpf_res_spin_lock" || name == "bpf_res_spin_lock_irqsave" {
            self.push_failed_lock()?;
        }
        if name == "__bpf_trap" {
            return Err(Reject::KfuncTrap);
        }
        if flags.contains(Flags::DESTRUCTIVE) && !self.profile.caps.sys_admin {
            return Err(Reject::KfuncDestructive);
        }
        if self.profile.changes.kfunc_sleep_first {
            self.check_kfunc_may_sleep(flags, &name)?;
        }
        let params = param::params_of(&btf, proto);
        if params.len() > 5 {
            return Err(Reject::KfuncArgs { name, args: params.len() });
        }
        Ok(KfuncCall {
            ret: btf.ty(proto).and_then(|t| t.type_id()).unwrap_or(0),
            btf,
            name,
            id,
            flags,
            params,
            ref_obj_id: 0,
            release_reg: None,
            constant: None,
            buffer: None,
            object: None,
            owning: false,
            root: None,
            dynptr: None,
            iter: None,
            map: None,
            callback: 0,
        })
    }

    fn check_kfunc_may_sleep(&self, flags: Flags, name: &str) -> R {
        match flags.contains(Flags::SLEEPABLE) && !self.cur.can_sleep() {
            true => Err(Reject::KfuncSleeps { name: name.to_owned() }),
            false => Ok(()),
        }
    }

    /// The path on which the lock was not to be had.
    fn push_failed_lock(&mut self) -> R {
        let at = self
            .push_branch(self.insn_idx + 1, self.insn_idx, false)
            .map_err(|_| Reject::FailedLockBranch { errno: ENOMEM })?;
        let mut r0 = self.unknown();
        r0.val.smin = -4095;
        r0.val.smax = -1;
        r0.val.sync(&self.rules);
        let not_init = crate::reg::Reg { precise: !self.privs.bpf, ..crate::reg::Reg::NOT_INIT };
        let regs = &mut self.queue[at].state.frame_mut().regs;
        regs[..=5].fill(not_init);
        regs[0] = r0;
        Ok(())
    }

    fn push_kfunc_callback(&mut self, call: &KfuncCall) -> R {
        let sub = call.callback as usize;
        let pushed = if call.is_rbtree_add() {
            let Some(root) = call.root.clone() else { return Err(Reject::bug("rbtree without root")) };
            self.push_callback(sub, When::Now, |v| Ok(v.less_args(&root)))
        } else if call.is("bpf_wq_set_callback") || call.is_task_work() {
            let Some((map, _)) = call.map else { return Err(Reject::bug("callback without map")) };
            let returns = if call.is_task_work() { (i32::MIN, i32::MAX) } else { (0, 0) };
            let args = self.async_element_args(map, returns);
            self.push_callback(sub, When::Later { sleepable: true }, |_| Ok(args))
        } else {
            return Ok(());
        };
        pushed.map_err(|r| {
            if matches!(r, Reject::Unsupported { .. }) {
                return r;
            }
            self.note(&r);
            Reject::KfuncCallback { func: call.full_name(), errno: r.errno() }
        })
    }

    /// RCU sections, disabled preemption and disabled interrupts: entered, left, and not slept in.
    fn check_kfunc_regions(&mut self, call: &KfuncCall) -> R {
        let name = || call.name.clone();
        let sleeps = call.has(Flags::SLEEPABLE);
        let (lock, unlock) = (call.is("bpf_rcu_read_lock"), call.is("bpf_rcu_read_unlock"));
        if self.cur.active_rcu > 0 {
            if (lock || unlock) && self.in_rbtree_less_callback() {
                return Err(Reject::RcuInLessCallback);
            }
            if lock {
                if !self.profile.changes.rcu_nests {
                    return Err(Reject::RcuNested { name: name() });
                }
                self.cur.active_rcu += 1;
            } else if unlock {
                self.leave_rcu();
            } else if sleeps {
                return Err(Reject::KfuncSleepsInRegion { name: name(), region: region_words(Region::Rcu) });
            }
        } else if lock {
            self.cur.active_rcu = 1;
        } else if unlock {
            return Err(Reject::RcuUnmatched { name: name() });
        }
        let (disable, enable) = (call.is("bpf_preempt_disable"), call.is("bpf_preempt_enable"));
        if self.cur.active_preempt > 0 {
            if disable {
                self.cur.active_preempt += 1;
            } else if enable {
                self.cur.active_preempt -= 1;
            } else if sleeps {
                return Err(Reject::KfuncSleepsInRegion { name: name(), region: region_words(Region::Preempt) });
            }
        } else if disable {
            self.cur.active_preempt = 1;
        } else if enable {
            return Err(Reject::PreemptUnmatched { name: name() });
        }
        if self.cur.active_irq_id != 0 && sleeps {
            return Err(Reject::KfuncSleepsInRegion { name: name(), region: region_words(Region::Irq) });
        }
        let needs_rcu = call.has(Flags::RCU_PROTECTED) && self.profile.changes.rcu_kfuncs_need_section;
        if needs_rcu && !self.cur.in_rcu_section() {
            return Err(Reject::KfuncNeedsRcu { name: name() });
        }
        Ok(())
    }

    /// The end of an RCU section; after that of the outermost, what it protected may be freed.
    fn leave_rcu(&mut self) {
        self.cur.active_rcu -= 1;
        if self.cur.active_rcu > 0 {
            return;
        }
        let decay = |r: &mut crate::reg::Reg| {
            if r.ty.flags.has(RegFlags::RCU) {
                r.ty = r.ty.without(RegFlags::RCU | RegFlags::MAYBE_NULL).with(RegFlags::UNTRUSTED);
            }
        };
        for frame in &mut self.cur.frames {
            frame.regs.iter_mut().for_each(decay);
            for slot in &mut frame.stack {
                if slot.is_spill() || slot.kind() == crate::stack::Byte::Iter {
                    decay(&mut slot.reg);
                }
            }
        }
    }

    fn release_kfunc_argument(&mut self, call: &KfuncCall) -> R {
        if !call.has(Flags::RELEASE) {
            return Ok(());
        }
        let Some(regno) = call.release_reg else { return Ok(()) };
        let reference = self.reg(regno).ref_obj_id;
        if self.release_reference(reference) {
            Ok(())
        } else {
            Err(Reject::KfuncReferenceUnknown { func: call.full_name() })
        }
    }

    /// An exception leaves every frame at once.
    fn throw(&mut self) -> R<Flow> {
        if self.profile.changes.throw_own_prefix {
            self.check_resources(true, true, "bpf_throw")?;
        } else {
            let outermost = self.cur.frames.len() == 1;
            self.check_resources(true, outermost, crate::call::EXIT)?;
        }
        Ok(Flow::End)
    }

    /// Kind of lock that a resilient spin lock kfunc handles, and whether it takes it.
    fn res_lock_of(call: &KfuncCall) -> Option<(RefKind, bool)> {
        Some(match call.name.as_str() {
            "bpf_res_spin_lock" => (RefKind::ResLock, true),
            "bpf_res_spin_unlock" => (RefKind::ResLock, false),
            "bpf_res_spin_lock_irqsave" => (RefKind::ResLockIrq, true),
            "bpf_res_spin_unlock_irqrestore" => (RefKind::ResLockIrq, false),
            _ => return None,
        })
    }
}

/// The words of the kfunc's message.
const fn region_words(region: Region) -> &'static str {
    match region {
        Region::Rcu => "rcu_read_lock",
        Region::Preempt => "non-preemptible",
        Region::Irq => "IRQ-disabled",
    }
}
