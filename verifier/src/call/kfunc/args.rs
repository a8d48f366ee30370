//! One argument of a kfunc: scalar rules, trust, offset, and the rule of its class.

use super::param::{Class, Param, Question, is_scalar};
use super::{KfuncCall, Root, UsedDynptr};
use crate::call::dynptr::DynptrUse;
use crate::env::Verifier;
use crate::maps::Field;
use crate::reg::{BtfId, DynptrType, Ext, Flags as RegFlags, Kind, Reg, RegType};
use crate::reject::{R, Reject};
use btf::{Btf, Kind as BtfKind};
use spec::kfunc::Flags;
use spec::map::FieldKind;

/// Flags that do not make a pointer less trustworthy.
const TRUST: RegFlags = RegFlags(RegFlags::ALLOC.0 | RegFlags::TRUSTED.0 | RegFlags::NON_OWNING.0);

fn btf_object(flags: RegFlags) -> RegType {
    RegType::of(Kind::Btf).with(flags)
}

impl Verifier<'_> {
    pub(super) fn check_kfunc_args(&mut self, call: &mut KfuncCall) -> R {
        let params = call.params.clone();
        let mut i = 0;
        while i < params.len() {
            // A memory argument takes its size argument along.
            i += self.check_kfunc_arg(i, &params, call)?;
        }
        if call.has(Flags::RELEASE) && call.release_reg.is_none() {
            return Err(Reject::KfuncReleaseNothing { name: call.name.clone() });
        }
        Ok(())
    }

    /// Checks parameter `i`; how many parameters that took.
    fn check_kfunc_arg(&mut self, i: usize, params: &[Param], call: &mut KfuncCall) -> R<usize> {
        let param = &params[i];
        let regno = i as u8 + 1;
        if param.ends("__ign") || param.ends("__prog") {
            return Ok(1);
        }
        let reg = self.reg(regno);
        let btf = call.btf.clone();
        let Some((id, ty)) = btf.resolve(param.type_id).map(|(id, t)| (id, *t)) else {
            return Err(Reject::bug("kfunc parameter without type"));
        };
        if is_scalar(&btf, id) {
            self.check_kfunc_scalar(regno, param, call)?;
            return Ok(1);
        }
        if ty.kind() != BtfKind::Ptr {
            return Err(Reject::KfuncArgKind { arg: i, kind: ty.kind().word() });
        }
        let picky = call.trusted_args() || call.has(Flags::RCU);
        if picky && (reg.is_null() || reg.ty.maybe_null()) && !param.ends("__nullable") {
            return Err(Reject::KfuncNull { arg: i });
        }
        if i == 0
            && call.has(Flags::RELEASE)
            && reg.ref_obj_id == 0
            && !reg.is_null()
            && self.profile.changes.release_first
        {
            return Err(Reject::KfuncReleaseNothing { name: call.name.clone() });
        }
        if reg.ref_obj_id != 0 {
            if call.has(Flags::RELEASE) && call.release_reg.is_some() {
                return Err(Reject::bug(format!(
                    "more than one arg with ref_obj_id R{regno} {} {}",
                    reg.ref_obj_id, call.ref_obj_id
                )));
            }
            call.ref_obj_id = reg.ref_obj_id;
            if call.has(Flags::RELEASE) {
                call.release_reg = Some(regno);
            }
        }
        let pointee = btf.skip_mods_and_typedefs(ty.type_id().unwrap_or(0)).unwrap_or(0);
        let next = params.get(i + 1).map(|p| (p, self.reg(regno + 1)));
        let question = Question {
            btf: &btf,
            kfunc: &call.name,
            flags: call.flags,
            prog: self.prog_type,
            index: i,
            param,
            pointee,
            reg: &reg,
            next: next.as_ref().map(|(p, r)| (*p, r)),
        };
        let class = question.class();
        // A context of other programs is a struct that the kernel would have to vouch for, whatever it holds.
        if class == Class::Mem && crate::call::ctx_type::is_some_context(&btf, pointee) {
            self.check_trusted_memory(regno, &reg, call)?;
        }
        self.check_class_type(i, class, &btf, pointee, call)?;
        if class == Class::Null {
            return Ok(1);
        }
        self.check_trust(i, class, &reg, call)?;
        if class == Class::Mem && btf.kind(pointee).is_some_and(|k| k.is_struct_or_union()) {
            self.check_trusted_memory(regno, &reg, call)?;
        }
        let released = call.has(Flags::RELEASE) && reg.ref_obj_id != 0;
        self.check_arg_offset(regno, &reg, released, false)?;
        self.check_class(i, class, param, pointee, call)?;
        Ok(if class == Class::MemSize { 2 } else { 1 })
    }

    fn check_kfunc_scalar(&mut self, regno: u8, param: &Param, call: &mut KfuncCall) -> R {
        let reg = self.reg(regno);
        if !reg.is_scalar() {
            return Err(Reject::ArgNoScalar { reg: regno });
        }
        if param.ends("__k") {
            let Some(value) = reg.const_value() else { return Err(Reject::KfuncNotConstant { reg: regno }) };
            self.mark_precise(regno)?;
            call.constant = Some(value);
            return Ok(());
        }
        let rdonly = param.name == "rdonly_buf_size";
        if rdonly || param.name == "rdwr_buf_size" {
            if call.buffer.is_some() {
                return Err(Reject::KfuncTwoBuffers);
            }
            let Some(size) = reg.const_value() else { return Err(Reject::KfuncBufferSize { reg: regno }) };
            call.buffer = Some((size as u32, rdonly));
            return self.mark_precise(regno);
        }
        Ok(())
    }

    /// The C type fits the class.
    fn check_class_type(&mut self, i: usize, class: Class, btf: &Btf, pointee: u32, call: &KfuncCall) -> R {
        let kind = btf.kind(pointee).unwrap_or(BtfKind::Void);
        match class {
            Class::Btf if !kind.is_struct_or_union() => Err(Reject::KfuncArgPointer {
                func: call.name.clone(),
                arg: i,
                kind: kind.word(),
                name: btf.name(pointee).to_owned(),
            }),
            Class::Mem | Class::MemSize => self.check_memory_type(i, class, btf, pointee),
            _ => Ok(()),
        }
    }

    fn check_trust(&mut self, i: usize, class: Class, reg: &Reg, call: &mut KfuncCall) -> R {
        let regno = i as u8 + 1;
        if class == Class::Map {
            self.check_map_argument(regno, reg, call)?;
        }
        let judged = matches!(class, Class::Map | Class::Object | Class::Btf);
        if !judged || !(call.trusted_args() || call.has(Flags::RCU)) || reg.is_trusted() {
            return Ok(());
        }
        if !call.has(Flags::RCU) {
            return Err(Reject::KfuncUntrusted { reg: regno });
        }
        if reg.is_rcu() { Ok(()) } else { Err(Reject::KfuncNoRcu { reg: regno }) }
    }

    /// A struct as plain memory is not one that the kernel vouches for, unless a size says how much there is of it.
    fn check_trusted_memory(&self, regno: u8, reg: &Reg, call: &KfuncCall) -> R {
        let changes = &self.profile.changes;
        let asked = changes.memory_is_trusted && !changes.structs_are_memory;
        let asked = asked && call.trusted_args() && !call.has(Flags::RCU);
        if asked && !reg.is_trusted() { Err(Reject::KfuncUntrusted { reg: regno }) } else { Ok(()) }
    }

    /// A `__map` argument; work queues and task work have to be of that very map.
    fn check_map_argument(&mut self, regno: u8, reg: &Reg, call: &mut KfuncCall) -> R {
        let (map, uid) = match reg.ext {
            Ext::Map { map, uid } => (map, uid),
            // Where maps have their map these kinds have something else: the kernel only sees that it is not NULL.
            Ext::Btf { .. } | Ext::Mem { .. } | Ext::Subprog(_) => return Ok(()),
            _ => return Err(Reject::KfuncNoMap { reg: regno }),
        };
        if let Some((seen, seen_uid)) = call.map
            && (seen, seen_uid) != (map, uid)
        {
            if self.map(map).has(FieldKind::TaskWork) {
                return Err(Reject::TaskWorkMap { seen: seen_uid, uid });
            }
            if self.map(map).has(FieldKind::Workqueue) {
                return Err(Reject::WorkqueueMap { seen: seen_uid, uid });
            }
        }
        call.map = Some((map, uid));
        Ok(())
    }

    fn check_class(&mut self, i: usize, class: Class, param: &Param, pointee: u32, call: &mut KfuncCall) -> R {
        let regno = i as u8 + 1;
        let reg = self.reg(regno);
        match class {
            Class::Ctx => self.check_ctx_argument(i, &reg, call),
            Class::Null => Ok(()),
            Class::Object => self.check_object_argument(i, &reg, call),
            Class::Refcounted => self.check_refcounted(i, &reg, call),
            Class::Dynptr => self.check_kfunc_dynptr(i, param, call),
            Class::Iter => self.check_iter(i, pointee, call),
            Class::ListHead => self.check_root(i, FieldKind::ListHead, call),
            Class::RbRoot => self.check_root(i, FieldKind::RbRoot, call),
            Class::ListNode => self.check_node(i, FieldKind::ListNode, call),
            Class::RbNode => self.check_node(i, FieldKind::RbNode, call),
            Class::Str if !reg.ty.is(Kind::MapValue) => Err(Reject::KfuncStr { arg: i }),
            Class::Str => self.check_const_str(regno),
            Class::Map => {
                let want = call.btf.find_by_name_kind("bpf_map", BtfKind::Struct).unwrap_or(0);
                self.check_btf_argument(i, &reg, want, call)
            }
            Class::Btf => self.check_btf_argument(i, &reg, pointee, call),
            Class::Workqueue => self.check_work(i, &reg, FieldKind::Workqueue, call),
            Class::TaskWork => self.check_work(i, &reg, FieldKind::TaskWork, call),
            Class::IrqFlag => self.check_irq_flag(i, call),
            Class::ResLock => {
                if !reg.ty.is(Kind::MapValue) && reg.ty != btf_object(RegFlags::ALLOC) {
                    return Err(Reject::KfuncLockArg { arg: i });
                }
                match Self::res_lock_of(call) {
                    Some((kind, lock)) => self.check_lock(regno, kind, lock),
                    None => Err(Reject::unsupported(format!("kfunc {}", call.name))),
                }
            }
            Class::Callback => {
                if !reg.ty.is(Kind::Func) {
                    return Err(Reject::KfuncNoFunc { arg: i });
                }
                call.callback = Self::callback_of(&reg);
                Ok(())
            }
            Class::Mem => self.check_memory(i, pointee, &call.btf.clone()),
            Class::MemSize => self.check_memory_size(i, param, call),
        }
    }

    fn check_ctx_argument(&mut self, i: usize, reg: &Reg, call: &mut KfuncCall) -> R {
        if !reg.ty.is(Kind::Ctx) {
            return Err(Reject::KfuncNoCtx { arg: i, ty: reg.ty });
        }
        if !call.is("bpf_cast_to_kern_ctx") {
            return Ok(());
        }
        match crate::call::ctx_type::kernels_context(&call.btf, self.prog_type) {
            Some(id) if call.btf.kind(id) == Some(BtfKind::Struct) => {
                call.object = Some((BtfId::KERNEL, id));
                Ok(())
            }
            Some(id) => Err(Reject::KfuncKernCtx { id }),
            None => Err(Reject::unsupported("bpf_cast_to_kern_ctx in this program type")),
        }
    }

    /// Whether the fields of an object that is freed may be freed in an NMI, too.
    fn check_nmi_safe(&self, reg: &Reg, call: &KfuncCall) -> R {
        use spec::ProgType::{Kprobe, PerfEvent, RawTracepoint, RawTracepointWritable, Tracepoint, Tracing};
        use spec::map::FieldKind::{KptrPercpu, KptrRef, ListHead, RbRoot};
        let traces =
            matches!(self.prog_type, Kprobe | PerfEvent | RawTracepoint | RawTracepointWritable | Tracepoint | Tracing);
        if !self.profile.changes.nmi_unsafe_drop || !traces {
            return Ok(());
        }
        let kinds = self.record_of(reg).map(|record| record.kinds()).unwrap_or_default();
        if kinds.iter().any(|k| matches!(k, KptrRef | KptrPercpu)) {
            return Err(Reject::ObjectDropInNmi { name: call.name.clone() });
        }
        if kinds.iter().any(|k| matches!(k, ListHead | RbRoot)) {
            return Err(Reject::unsupported("freeing an object with a list or tree in a tracing program"));
        }
        Ok(())
    }

    fn check_object_argument(&mut self, i: usize, reg: &Reg, call: &mut KfuncCall) -> R {
        if reg.ty == btf_object(RegFlags::ALLOC) {
            if !call.is("bpf_obj_drop") {
                return Err(Reject::KfuncObjectDrop { arg: i, percpu: "" });
            }
        } else if reg.ty == btf_object(RegFlags::ALLOC | RegFlags::PERCPU) {
            if !call.is("bpf_percpu_obj_drop") {
                return Err(Reject::KfuncObjectDrop { arg: i, percpu: "percpu_" });
            }
        } else {
            return Err(Reject::KfuncNoObject { arg: i });
        }
        if reg.ref_obj_id == 0 {
            return Err(Reject::KfuncObjectUnowned);
        }
        call.object = reg.btf();
        self.check_nmi_safe(reg, call)
    }

    fn check_refcounted(&mut self, i: usize, reg: &Reg, call: &mut KfuncCall) -> R {
        if reg.ty.kind != Kind::Btf || !reg.ty.flags.has(RegFlags::ALLOC) {
            return Err(Reject::KfuncNoGraphRef { arg: i });
        }
        let Some((btf, id)) = reg.btf() else { return Err(Reject::bug("object without type")) };
        if !self.struct_has_refcount(btf, id) {
            return Err(Reject::KfuncNoRefcount { arg: i });
        }
        call.owning = !reg.ty.flags.has(RegFlags::NON_OWNING);
        call.object = Some((btf, id));
        Ok(())
    }

    fn check_kfunc_dynptr(&mut self, i: usize, param: &Param, call: &mut KfuncCall) -> R {
        let regno = i as u8 + 1;
        let reg = self.reg(regno);
        if !param.ends("__uninit") {
            self.check_dynptr(regno, DynptrUse::Use { ty: None, rdonly: reg.ty.is(Kind::DynptrPtr) })?;
            call.dynptr = self.dynptr_of(&reg).map(|(ty, id, reference)| UsedDynptr { ty, id, reference });
            return Ok(());
        }
        if reg.ty.is(Kind::DynptrPtr) {
            return Err(Reject::bug("misconfigured dynptr helper type flags"));
        }
        let (ty, shares) = match (call.name.as_str(), call.dynptr) {
            ("bpf_dynptr_from_skb", _) => (DynptrType::Skb, 0),
            ("bpf_dynptr_from_xdp", _) => (DynptrType::Xdp, 0),
            ("bpf_dynptr_from_skb_meta", _) => (DynptrType::SkbMeta, 0),
            ("bpf_dynptr_clone", Some(parent)) => (parent.ty, parent.reference),
            _ => return Err(Reject::unsupported(format!("kfunc {}", call.name))),
        };
        self.check_dynptr(regno, DynptrUse::Create { ty, shares })
    }

    fn check_work(&mut self, i: usize, reg: &Reg, kind: FieldKind, call: &mut KfuncCall) -> R {
        if !reg.ty.is(Kind::MapValue) {
            return Err(Reject::KfuncNoMapValue { arg: i });
        }
        let map = self.check_map_field(i as u8 + 1, kind)?;
        let uid = match reg.ext {
            Ext::Map { uid, .. } => uid,
            _ => 0,
        };
        call.map = Some((map, uid));
        Ok(())
    }

    /// The type that a register of a fixed kind points to.
    fn kernel_type(&self, reg: &Reg, btf: &Btf) -> Option<(BtfId, u32)> {
        let name = match reg.ty.kind {
            Kind::Btf => return reg.btf(),
            Kind::Sock => "sock",
            Kind::SockCommon => "sock_common",
            Kind::TcpSock => "tcp_sock",
            Kind::MapPtr => "bpf_map",
            _ => return None,
        };
        Some((BtfId::KERNEL, btf.find_by_name_kind(name, BtfKind::Struct)?))
    }

    fn check_btf_argument(&mut self, i: usize, reg: &Reg, want: u32, call: &KfuncCall) -> R {
        let btf = call.btf.clone();
        let unsafe_flags = !reg.ty.flags.without(TRUST).is_empty();
        let have = self.kernel_type(reg, &btf);
        let Some((have_btf, have)) = have.filter(|_| reg.ty.kind != Kind::Btf || !unsafe_flags || reg.is_rcu()) else {
            let base = RegType { kind: reg.ty.kind, flags: RegFlags(reg.ty.flags.0 & TRUST.0) };
            return Err(Reject::KfuncBtfKind { arg: i, ty: reg.ty, base });
        };
        let have_name = self.btf_type_name(have_btf, have).to_owned();
        let want_name = btf.name(want).to_owned();
        let strict = (call.has(Flags::RELEASE) && reg.ref_obj_id != 0) || is_nocast_alias(&have_name, &want_name);
        if self.btf_types_match(have_btf, have, reg.off, BtfId::KERNEL, want, strict) {
            return Ok(());
        }
        if matches!((want_name.as_str(), have_name.as_str()), ("__sk_buff", "sk_buff") | ("xdp_md", "xdp_buff")) {
            return Ok(());
        }
        let kind_of = |b: Option<&std::sync::Arc<Btf>>, id| b.and_then(|b| b.kind(id)).unwrap_or(BtfKind::Void).word();
        Err(Reject::KfuncBtfType {
            func: call.name.clone(),
            arg: i,
            want_kind: kind_of(Some(&btf), want),
            want: want_name,
            reg: i as u8 + 1,
            have_kind: kind_of(self.btf(have_btf), have),
            have: have_name,
        })
    }

    /// The root that a list head or tree root argument points to.
    pub(super) fn root_at(&self, reg: &Reg, field: &Field) -> Option<Root> {
        let btf = match reg.map() {
            Some(map) => self.map(map).btf?,
            None => reg.btf()?.0,
        };
        Some(Root { btf, graph: field.graph.clone()? })
    }
}

/// One name is the other with `___init` behind: an object that is not ready, which must not pass for one that is.
fn is_nocast_alias(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    long.strip_suffix("___init").is_some_and(|stem| stem == short && !stem.contains("___init"))
}
