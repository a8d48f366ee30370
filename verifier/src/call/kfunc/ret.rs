//! R0 after a kfunc call.

use super::KfuncCall;
use super::param::is_scalar_struct;
use crate::call::base_name;
use crate::env::Verifier;
use crate::reg::{BtfId, Ext, Flags as RegFlags, Kind, RegType};
use crate::reject::{R, Reject};
use btf::Kind as BtfKind;
use spec::kfunc::Flags;
use spec::map::FieldKind;

/// Largest object that can be allocated per cpu.
const MAX_PERCPU_OBJECT: u32 = 512;
/// What bpf_session_cookie gives access to.
const COOKIE_SIZE: u32 = 8;

fn is_graph_node(name: &str) -> bool {
    matches!(name, "bpf_list_node" | "bpf_rb_node")
}

impl Verifier<'_> {
    pub(super) fn set_kfunc_result(&mut self, call: &KfuncCall) -> R {
        let btf = call.btf.clone();
        let Some((ret, ty)) = btf.resolve(call.ret).map(|(id, t)| (id, *t)) else {
            return Err(Reject::bug("kfunc without return type"));
        };
        let makes_object = call.is("bpf_obj_new") || call.is("bpf_percpu_obj_new") || call.is("bpf_refcount_acquire");
        let pointee = match ty.kind() {
            BtfKind::Ptr => btf.skip_mods_and_typedefs(ty.type_id().unwrap_or(0)),
            _ => None,
        };
        let to_struct = pointee.is_some_and(|p| btf.kind(p).is_some_and(|k| k.is_struct_or_union()));
        if call.has(Flags::ACQUIRE) && !to_struct && !makes_object {
            return Err(Reject::KfuncAcquires);
        }
        let Some(pointee) = pointee else {
            if ty.kind() != BtfKind::Void || ret != 0 {
                self.mark_unknown(0);
                if call.is("bpf_res_spin_lock") || call.is("bpf_res_spin_lock_irqsave") {
                    self.mark_known(0, 0);
                }
            }
            return Ok(());
        };
        self.set_kfunc_pointer(call, pointee, to_struct)?;
        let may_be_null = call.has(Flags::RET_NULL) && !(call.is("bpf_refcount_acquire") && call.owning);
        if may_be_null {
            let id = self.new_id();
            let r0 = self.reg_mut(0);
            r0.ty = r0.ty.with(RegFlags::MAYBE_NULL);
            r0.id = id;
        }
        if call.has(Flags::ACQUIRE) {
            let id = self.acquire_reference();
            let trusted = self.profile.changes.acquired_is_trusted;
            let r0 = self.reg_mut(0);
            if may_be_null {
                r0.id = id;
            }
            if trusted && r0.ty.kind == Kind::Btf && !r0.ty.flags.has(RegFlags::ALLOC) {
                r0.ty = r0.ty.with(RegFlags::TRUSTED);
            }
            r0.ref_obj_id = id;
        } else if is_graph_node(btf.name(pointee)) {
            self.set_result_non_owning();
        }
        let r0 = self.reg(0);
        let locked = |k| self.field_of(&r0, k).is_some();
        if r0.id == 0 && (locked(FieldKind::SpinLock) || locked(FieldKind::ResSpinLock)) {
            self.reg_mut(0).id = self.new_id();
        }
        Ok(())
    }

    fn set_kfunc_pointer(&mut self, call: &KfuncCall, pointee: u32, to_struct: bool) -> R {
        if self.set_special_result(call, pointee)? {
            return Ok(());
        }
        let btf = call.btf.clone();
        if btf.kind(pointee) == Some(BtfKind::Void) {
            self.mark_unknown(0);
            return Ok(());
        }
        if to_struct {
            let flags = self.result_trust(call);
            self.set_object(flags, BtfId::KERNEL, pointee);
            return Ok(());
        }
        let (size, rdonly) = match call.buffer {
            Some((size, rdonly)) if size != 0 => (size, rdonly),
            _ if call.is("bpf_session_cookie") => (COOKIE_SIZE, false),
            _ => (btf.resolve_size(pointee).unwrap_or(0), true),
        };
        if size == 0 {
            let kind = btf.kind(pointee).unwrap_or(BtfKind::Void).word();
            let name = btf.name(pointee).to_owned();
            return Err(Reject::KfuncResultSize { func: call.name.clone(), kind, name });
        }
        let mut flags = if rdonly { RegFlags::RDONLY } else { RegFlags::NONE };
        if call.has(Flags::RCU_PROTECTED) {
            flags = flags | RegFlags::RCU;
        }
        self.set_memory(flags, size, 0);
        self.reg_mut(0).ref_obj_id = call.ref_obj_id;
        Ok(())
    }

    fn result_trust(&self, call: &KfuncCall) -> RegFlags {
        if call.is("bpf_get_kmem_cache") {
            return RegFlags::UNTRUSTED;
        }
        let mut flags = if call.has(Flags::RCU_PROTECTED) { RegFlags::RCU } else { RegFlags::NONE };
        if let (true, Some(p)) = (call.has(Flags::ITER_NEXT), call.iter) {
            let in_rcu = self.cur.frames[p.frame].stack[p.slot].reg.ty.flags.has(RegFlags::RCU);
            flags = flags | if in_rcu { RegFlags::RCU } else { RegFlags::TRUSTED };
        }
        flags
    }

    fn set_object(&mut self, flags: RegFlags, btf: BtfId, id: u32) {
        self.mark_pointer(0, RegType::of(Kind::Btf).with(flags));
        self.reg_mut(0).ext = Ext::Btf { btf, id };
    }

    fn set_memory(&mut self, flags: RegFlags, size: u32, dynptr_id: u32) {
        self.mark_pointer(0, RegType::of(Kind::Mem).with(flags));
        self.reg_mut(0).ext = Ext::Mem { size, dynptr_id };
    }

    /// Kfuncs whose result their C type does not tell. False: not one of them.
    fn set_special_result(&mut self, call: &KfuncCall, pointee: u32) -> R<bool> {
        match base_name(&call.name) {
            "bpf_obj_new" | "bpf_percpu_obj_new" => self.set_new_object(call)?,
            "bpf_refcount_acquire" => {
                let Some((btf, id)) = call.object else { return Err(Reject::bug("refcount without object")) };
                self.set_object(RegFlags::ALLOC, btf, id);
            }
            _ if is_graph_node(call.btf.name(pointee)) => {
                let Some(root) = &call.root else { return Err(Reject::bug("graph node without root")) };
                self.graph_object(root.btf, root.graph.value_id, root.graph.node_offset);
            }
            "bpf_cast_to_kern_ctx" => {
                let Some((btf, id)) = call.object else { return Err(Reject::bug("context without type")) };
                self.set_object(RegFlags::TRUSTED, btf, id);
            }
            "bpf_rdonly_cast" => self.set_rdonly_cast(call)?,
            "bpf_dynptr_slice" => self.set_slice(call, RegFlags::RDONLY)?,
            "bpf_dynptr_slice_rdwr" => {
                if !spec::prog::packet_rules(self.prog_type).write {
                    return Err(Reject::SliceReadOnly);
                }
                self.set_slice(call, RegFlags::NONE)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set_new_object(&mut self, call: &KfuncCall) -> R {
        let percpu = call.is("bpf_percpu_obj_new");
        let Ok(id) = u32::try_from(call.constant.unwrap_or(u64::MAX)) else { return Err(Reject::ObjectTypeRange) };
        let Some(btf) = self.prog.btf.clone() else { return Err(Reject::ObjectNeedsBtf) };
        if btf.kind(id) != Some(BtfKind::Struct) {
            return Err(Reject::ObjectNoStruct);
        }
        let mut flags = RegFlags::ALLOC;
        if percpu {
            let size = btf.resolve_size(id).unwrap_or(0);
            if size > MAX_PERCPU_OBJECT {
                return Err(Reject::PercpuObjectSize { size, max: MAX_PERCPU_OBJECT });
            }
            match is_scalar_struct(&btf, id, 0) {
                Ok(true) => {}
                Ok(false) => return Err(Reject::PercpuObjectScalars),
                Err(()) => {
                    self.note(&Reject::KfuncNesting);
                    return Err(Reject::PercpuObjectScalars);
                }
            }
            if self.struct_record(BtfId::PROGRAM, id).is_some() {
                return Err(Reject::PercpuObjectFields);
            }
            flags = flags | RegFlags::PERCPU;
        }
        self.set_object(flags, BtfId::PROGRAM, id);
        Ok(())
    }

    fn set_rdonly_cast(&mut self, call: &KfuncCall) -> R {
        let id = call.constant.unwrap_or(0) as u32;
        match call.btf.ty(id).map(|t| t.kind()) {
            None => Err(Reject::RdonlyCastUnknown { id: id as i32 }),
            Some(k) if k.is_struct_or_union() => {
                self.set_object(RegFlags::UNTRUSTED, BtfId::KERNEL, id);
                Ok(())
            }
            Some(BtfKind::Void) if self.profile.changes.cast_to_void => {
                self.set_memory(RegFlags::RDONLY | RegFlags::UNTRUSTED, 0, 0);
                Ok(())
            }
            Some(_) => Err(Reject::RdonlyCastType),
        }
    }

    fn set_slice(&mut self, call: &KfuncCall, flags: RegFlags) -> R {
        let (Some(size), Some(dynptr)) = (call.constant, call.dynptr) else {
            return Err(Reject::bug("slice without dynptr or size"));
        };
        self.set_memory(flags | Self::slice_flag(dynptr.ty), size as u32, dynptr.id);
        // The memory is gone with the dynptr's reference.
        self.reg_mut(0).ref_obj_id = dynptr.reference;
        Ok(())
    }
}
