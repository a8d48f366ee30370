//! A helper call from its first check to R0. How arguments are judged is in `args`, map rules in `maps`, R0 in `ret`.

use super::exit::Context;
use super::{HelperName, id};
use crate::call::field::KptrField;
use crate::env::Verifier;
use crate::mem::RawMode;
use crate::reg::{BtfId, DynptrType, Ext, Flags, Kind, MapId};
use crate::reject::{R, Reject};
use crate::state::Frame;
use crate::walk::Flow;
use isa::Insn;
use spec::helper::{AllowCheck, ArgKind, Effects, Proto};
use spec::{AttachType, ProgType};

/// What one call's arguments told about it.
#[derive(Debug)]
pub struct HelperCall {
    pub func: HelperName,
    pub proto: &'static Proto,
    /// The call's map and, for an inner map, which lookup it came from.
    pub map: Option<(MapId, u32)>,
    /// The argument whose reference the call gives back.
    pub release_reg: Option<u8>,
    /// Reference carried by an argument.
    pub ref_obj_id: u32,
    /// Constant that becomes the size of the returned memory.
    pub mem_size: u32,
    /// Largest value of the last size argument.
    pub max_size: u64,
    /// Output buffer that need not be initialised.
    pub raw: RawMode,
    /// Constant index into an array map.
    pub known_key: Option<u64>,
    /// Type of a per-cpu pointer argument.
    pub percpu: Option<(BtfId, u32)>,
    /// The register of it was an allocated object under RCU protection.
    pub percpu_object: bool,
    pub kptr: Option<KptrField>,
    pub dynptr_id: u32,
    /// Kind of the dynptr argument that is not created by the call.
    pub dynptr: Option<DynptrType>,
    /// Function of a callback argument.
    pub callback: u32,
    /// The callback's frame, where it is entered right behind the call.
    pub callee: Option<Frame>,
}

impl HelperCall {
    fn new(func: HelperName, proto: &'static Proto) -> HelperCall {
        HelperCall {
            func,
            proto,
            map: None,
            release_reg: None,
            ref_obj_id: 0,
            mem_size: 0,
            max_size: 0,
            raw: RawMode::default(),
            known_key: None,
            percpu: None,
            percpu_object: false,
            kptr: None,
            dynptr_id: 0,
            dynptr: None,
            callback: 0,
            callee: None,
        }
    }

    pub fn id(&self) -> u32 {
        self.proto.id
    }
}

impl Verifier<'_> {
    pub(super) fn check_helper_call(&mut self, insn: Insn) -> R<Flow> {
        let mut call = self.admit_helper(insn)?;
        for i in 0..call.proto.args.len() {
            self.check_helper_arg(i, &mut call)?;
        }
        self.record_map(&call)?;
        self.record_tail_call_key(&call)?;
        if call.raw.size > 0 {
            self.mark_stack_written_by_helper(call.raw.regno, call.raw.size)?;
        }
        self.release_argument(&call)?;
        self.check_helper_specifics(&mut call)?;

        self.clear_caller_saved();
        self.set_helper_result(&call)?;
        self.refine_helper_result(&call)?;
        self.check_map_compatibility(&call)?;
        self.check_func_ip(&call)?;
        let flow = self.finish_helper_call(&call)?;
        let Some(callee) = call.callee else { return Ok(flow) };
        let start = self.subprogs[callee.subprog as usize].start as i32;
        self.cur.enter(callee, self.refs_per_frame());
        Ok(Flow::To(start))
    }

    /// Steps before the arguments: does the helper exist, is it offered, may it be called here and now.
    fn admit_helper(&mut self, insn: Insn) -> R<HelperCall> {
        let func = HelperName(insn.imm);
        if insn.imm < 0 || insn.imm as u32 >= spec::helper::COUNT {
            return Err(Reject::HelperInvalid { func });
        }
        if self.profile.other().is_some_and(|o| !o.kernel.has_helper_number(insn.imm as u32)) {
            return Err(Reject::HelperUnknown { number: insn.imm });
        }
        let Some(proto) = self.helper_proto(insn.imm) else {
            return Err(Reject::HelperNotOffered { func });
        };
        if proto.gpl_only && !spec::prog::is_gpl_compatible(&self.prog.license) {
            return Err(Reject::HelperGplOnly);
        }
        if proto.allow_check.is_some_and(|c| !self.helper_check_passes(c)) {
            return Err(Reject::HelperNotInProbe);
        }
        if proto.might_sleep(&self.prog_context(), &self.profile.changes) {
            self.check_helper_may_sleep(func)?;
        }
        Ok(HelperCall::new(func, proto))
    }

    fn check_helper_may_sleep(&self, func: HelperName) -> R {
        if !self.cur.can_sleep() {
            return Err(Reject::HelperSleeps { func });
        }
        match self.no_sleep_region() {
            Some(region) => Err(Reject::HelperSleepsInRegion { func, region: region.of_helper() }),
            None => Ok(()),
        }
    }

    /// The "allowed" hook that a few prototypes have.
    fn helper_check_passes(&self, check: AllowCheck) -> bool {
        let prog = self.prog_context();
        let lsm_sleepable =
            || spec::lsm::hook(prog.target, self.profile.version).is_some_and(|h| h.sleeps(self.profile.version));
        match check {
            AllowCheck::DPath => match prog.prog_type {
                ProgType::Tracing if prog.attaches_as(AttachType::TraceIter) => {
                    spec::helper::ITERATORS_D_PATH.holds(self.profile.version)
                }
                ProgType::Lsm => lsm_sleepable(),
                _ => spec::prog::D_PATH_TARGETS.contains(&prog.target),
            },
            AllowCheck::LsmSleepableHook => lsm_sleepable(),
            AllowCheck::SkStorageTracing => match prog.attach() {
                Some(AttachType::TraceIter | AttachType::TraceRawTp) => true,
                Some(AttachType::TraceFentry | AttachType::TraceFexit) => !prog.target.starts_with("bpf_sk_storage"),
                _ => false,
            },
        }
    }

    /// Gives back the reference of the released argument.
    fn release_argument(&mut self, call: &HelperCall) -> R {
        let Some(regno) = call.release_reg else { return Ok(()) };
        let reg = self.reg(regno);
        let arg = call.proto.args[regno as usize - 1];
        let released = if matches!(arg.kind, ArgKind::Dynptr { .. }) {
            self.release_dynptr(&reg)
        } else if call.ref_obj_id != 0 && call.id() == id::KPTR_XCHG {
            self.release_into_kptr(call.ref_obj_id)
        } else if call.ref_obj_id != 0 {
            self.release_reference(call.ref_obj_id)
        } else {
            // The constant 0 holds nothing.
            reg.is_null()
        };
        if released { Ok(()) } else { Err(Reject::HelperReferenceUnknown { func: call.func }) }
    }

    /// The reference moves into a map value or object; per-cpu objects stay readable under RCU protection.
    fn release_into_kptr(&mut self, ref_obj_id: u32) -> bool {
        if !self.cur.drop_ref(ref_obj_id) {
            return false;
        }
        let in_rcu = self.cur.in_rcu_section();
        let gone = self.invalidated();
        self.cur.for_each_reg_mut(|r| {
            if r.ref_obj_id != ref_obj_id {
                return;
            }
            if in_rcu && r.ty.kind == Kind::Btf && r.ty.flags.has(Flags::ALLOC | Flags::PERCPU) {
                r.ref_obj_id = 0;
                r.ty = r.ty.without(Flags::ALLOC).with(Flags::RCU);
            } else {
                *r = gone;
            }
        });
        true
    }

    /// Rules of single helpers, after the arguments and before R0.
    fn check_helper_specifics(&mut self, call: &mut HelperCall) -> R {
        match call.id() {
            id::TAIL_CALL => self.check_resources(false, true, super::TAIL_CALL),
            id::GET_LOCAL_STORAGE if !self.reg(2).is_null() => Err(Reject::LocalStorageFlags),
            id::FOR_EACH_MAP_ELEM | id::FIND_VMA | id::USER_RINGBUF_DRAIN => self.push_helper_callback(call),
            id::TIMER_SET_CALLBACK => self.push_helper_callback(call),
            id::SNPRINTF => self.check_snprintf(),
            id::LOOP => self.check_loop(call),
            id::DYNPTR_FROM_MEM if !self.reg(1).ty.is(Kind::MapValue) => {
                Err(Reject::DynptrFromMem { ty: self.reg(1).ty })
            }
            id::SET_RETVAL => self.check_set_retval(),
            id::PER_CPU_PTR | id::THIS_CPU_PTR if call.percpu_object => {
                let is_struct =
                    call.percpu.is_some_and(|(b, t)| self.btf(b).is_some_and(|b| b.kind(t) == Some(btf::Kind::Struct)));
                if is_struct { Ok(()) } else { Err(Reject::PercpuNoStruct) }
            }
            _ => Ok(()),
        }
    }

    /// What a cgroup's hook may be made to return.
    fn check_set_retval(&mut self) -> R {
        let checked = self.profile.changes.set_retval_checked;
        if checked && !self.reg(1).is_scalar() {
            return Err(Reject::ArgNoScalar { reg: 1 });
        }
        if self.is_lsm_cgroup_void() {
            return Err(Reject::LsmVoidRetval);
        }
        match spec::prog::set_retval_range(&self.prog_context(), self.profile.version) {
            Some(range) if checked => self.check_returned(1, range, true, Context::SetRetval),
            _ => Ok(()),
        }
    }

    /// get_func_ip needs to know the probed function.
    fn check_func_ip(&self, call: &HelperCall) -> R {
        if call.id() != id::GET_FUNC_IP {
            return Ok(());
        }
        use AttachType::{ModifyReturn, TraceFentry, TraceFexit};
        match self.prog_type {
            ProgType::Tracing => match self.prog_context().attach() {
                Some(TraceFentry | TraceFexit | ModifyReturn) => Ok(()),
                _ => Err(Reject::FuncIpAttach { func: call.func }),
            },
            ProgType::Kprobe => Ok(()),
            ty => Err(Reject::FuncIpProgType { func: call.func, prog_type: ty.raw() }),
        }
    }

    fn finish_helper_call(&mut self, call: &HelperCall) -> R<Flow> {
        if call.id() == id::TAIL_CALL {
            return self.finish_tail_call();
        }
        let dynptr_changes_packet =
            call.id() == id::DYNPTR_WRITE && matches!(call.dynptr, Some(DynptrType::Skb | DynptrType::SkbMeta));
        if call.proto.effects.contains(Effects::CHANGES_PKT) || dynptr_changes_packet {
            self.clear_all_pkt_pointers();
        }
        Ok(Flow::Next)
    }

    /// Subprogram number of a function pointer.
    pub(super) fn callback_of(reg: &crate::reg::Reg) -> u32 {
        match reg.ext {
            Ext::Subprog(n) => n,
            _ => 0,
        }
    }

    pub(super) fn attaches_as(&self, attach: AttachType) -> bool {
        self.prog_context().attaches_as(attach)
    }
}
