//! R0 after a helper call.

use super::helper::HelperCall;
use super::id;
use crate::env::Verifier;
use crate::reg::{BtfId, Ext, Flags, Kind, Reg, RegType};
use crate::reject::errno::ENOMEM;
use crate::reject::{R, Reject};
use crate::value::Scalar;
use btf::Kind as BtfKind;
use spec::MapType;
use spec::helper::{Effects, RetKind, RetRange};
use spec::map::flags;

/// Most negative error that a helper returns.
const MIN_ERRNO: i64 = -4095;

impl Verifier<'_> {
    pub(super) fn set_helper_result(&mut self, call: &HelperCall) -> R {
        let ret = call.proto.ret;
        let null = if ret.nullable { Flags::MAYBE_NULL } else { Flags::NONE };
        match ret.kind {
            RetKind::Int => self.mark_unknown(0),
            RetKind::Void => {}
            RetKind::MapValue => self.set_map_value(call, null)?,
            RetKind::Socket => self.mark_pointer(0, RegType::of(Kind::Sock).with(null)),
            RetKind::SockCommon => self.mark_pointer(0, RegType::of(Kind::SockCommon).with(null)),
            RetKind::TcpSock => self.mark_pointer(0, RegType::of(Kind::TcpSock).with(null)),
            RetKind::Mem { ringbuf, .. } => {
                let flags = if ringbuf { null | Flags::RINGBUF } else { null };
                self.mark_pointer(0, RegType::of(Kind::Mem).with(flags));
                self.reg_mut(0).ext = Ext::Mem { size: call.mem_size, dynptr_id: 0 };
            }
            RetKind::MemOrBtf => self.set_percpu_result(call, null)?,
            RetKind::Btf { name, trusted } => {
                let found = self.btf(BtfId::KERNEL).and_then(|b| b.find_by_name_kind(name, BtfKind::Struct));
                let Some(id) = found else {
                    return Err(Reject::unsupported(format!("struct {name} is not in the kernel's BTF")));
                };
                let flags = if trusted && self.profile.changes.trusted_pointers { null | Flags::TRUSTED } else { null };
                self.set_btf_result(flags, BtfId::KERNEL, id);
            }
            RetKind::BtfOfKptr => {
                let Some(field) = call.kptr else { return Err(Reject::bug("kptr_xchg without field")) };
                let mut flags = null;
                if field.btf != BtfId::KERNEL {
                    flags = flags | Flags::ALLOC;
                    if field.percpu {
                        flags = flags | Flags::PERCPU;
                    }
                }
                self.set_btf_result(flags, field.btf, field.type_id);
            }
        }
        if self.reg(0).ty.maybe_null() {
            self.reg_mut(0).id = self.new_id();
        }
        self.set_result_reference(call);
        self.fork_null_cast(call)
    }

    /// A referenced socket seen as another kind of socket is the same object or NULL, and has its id: the two are walked apart.
    fn fork_null_cast(&mut self, call: &HelperCall) -> R {
        let cast = call.proto.effects.contains(Effects::PTR_CAST) && self.profile.changes.casts_fork;
        let r0 = self.reg(0);
        if !cast || r0.ref_obj_id == 0 || !r0.ty.maybe_null() {
            return Ok(());
        }
        let null = self.push_branch(self.insn_idx + 1, self.insn_idx, false).map_err(|full| full.reject(ENOMEM))?;
        let unknown = self.unknown();
        self.queue[null].state.frame_mut().regs[0] = Reg { val: Scalar::known(0), ..unknown };
        *self.reg_mut(0) = Reg { id: 0, ..self.non_null(&r0) };
        Ok(())
    }

    fn set_btf_result(&mut self, flags: Flags, btf: BtfId, id: u32) {
        self.mark_pointer(0, RegType::of(Kind::Btf).with(flags));
        self.reg_mut(0).ext = Ext::Btf { btf, id };
    }

    fn set_map_value(&mut self, call: &HelperCall, null: Flags) -> R {
        let Some((map, uid)) = call.map else { return Err(Reject::bug("map value without map")) };
        let def = &self.map(map).def;
        // An element of an array that surely exists. One that stands for inner maps may be shorter than they are.
        let fixed_size = def.map_flags & flags::INNER_MAP == 0 || !self.profile.changes.inner_arrays_vary;
        let in_range = call.known_key.is_some_and(|k| k < u64::from(def.max_entries));
        let known = call.id() == id::MAP_LOOKUP_ELEM && fixed_size && in_range;
        let null = if known { Flags::NONE } else { null };
        self.mark_pointer(0, RegType::of(Kind::MapValue).with(null));
        self.reg_mut(0).ext = Ext::Map { map, uid };
        if null.is_empty() && self.map_has_lock(map) {
            self.reg_mut(0).id = self.new_id();
        }
        Ok(())
    }

    /// A per-cpu variable: its struct, or read-only memory of its size.
    fn set_percpu_result(&mut self, call: &HelperCall, null: Flags) -> R {
        let Some((btf_id, id)) = call.percpu else { return Err(Reject::bug("per-cpu result without type")) };
        let Some(btf) = self.btf(btf_id) else { return Err(Reject::bug("per-cpu type without BTF")) };
        let resolved = btf.skip_mods_and_typedefs(id).unwrap_or(id);
        if btf.kind(resolved).is_some_and(|k| k.is_struct_or_union()) {
            let flags = if call.percpu_object { Flags::ALLOC | Flags::RCU } else { null };
            self.set_btf_result(flags, btf_id, resolved);
            return Ok(());
        }
        let Some(size) = btf.resolve_size(resolved) else {
            return Err(Reject::PercpuSize { name: btf.name(resolved).to_owned() });
        };
        // per_cpu_ptr says so itself; both give memory that must not be written.
        self.mark_pointer(0, RegType::of(Kind::Mem).with(null | Flags::RDONLY));
        self.reg_mut(0).ext = Ext::Mem { size, dynptr_id: 0 };
        Ok(())
    }

    /// References: inherited from an argument, or new.
    fn set_result_reference(&mut self, call: &HelperCall) {
        let effects = call.proto.effects;
        if effects.contains(Effects::DYNPTR_REF)
            && let Ext::Mem { size, .. } = self.reg(0).ext
        {
            self.reg_mut(0).ext = Ext::Mem { size, dynptr_id: call.dynptr_id };
        }
        let socket_map = call.map.is_some_and(|(m, _)| {
            matches!(MapType::from_raw(self.map(m).def.map_type), Some(MapType::Sockmap | MapType::Sockhash))
        });
        if effects.contains(Effects::PTR_CAST) || effects.contains(Effects::DYNPTR_REF) {
            self.reg_mut(0).ref_obj_id = call.ref_obj_id;
        } else if effects.contains(Effects::ACQUIRE) || (effects.contains(Effects::ACQUIRE_IF_SOCKMAP) && socket_map) {
            let id = self.acquire_reference();
            let r0 = self.reg_mut(0);
            r0.id = id;
            r0.ref_obj_id = id;
        }
    }

    /// What is known about an integer result.
    pub(super) fn refine_helper_result(&mut self, call: &HelperCall) -> R {
        if call.proto.ret.kind != RetKind::Int {
            return Ok(());
        }
        let mut r0: Reg = self.reg(0);
        match call.proto.ret_range {
            RetRange::Any => return Ok(()),
            RetRange::Error if self.prog_type == spec::ProgType::Lsm => return Ok(()),
            RetRange::Error => {
                r0.val.smin = MIN_ERRNO;
                r0.val.smax = 0;
                r0.val.s32_min = MIN_ERRNO as i32;
                r0.val.s32_max = 0;
            }
            RetRange::ErrorOrSize => {
                r0.val.smin = MIN_ERRNO;
                r0.val.smax = call.max_size as i64;
                r0.val.s32_min = MIN_ERRNO as i32;
                r0.val.s32_max = call.max_size as i32;
            }
            RetRange::Cpu => {
                let last = self.profile.nr_cpus.saturating_sub(1);
                r0.val.umin = 0;
                r0.val.umax = u64::from(last);
                r0.val.u32_min = 0;
                r0.val.u32_max = last;
                r0.val.smin = 0;
                r0.val.smax = i64::from(last);
                r0.val.s32_min = 0;
                r0.val.s32_max = last as i32;
            }
        }
        r0.val.sync(&self.rules);
        *self.reg_mut(0) = r0;
        self.check_reg_invariants(0, "retval")
    }
}
