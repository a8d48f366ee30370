//! Contexts whose layout is a kernel prototype: arguments of tracepoints, traced functions, LSM hooks, iterators and struct_ops members.

use crate::env::Verifier;
use crate::mem::Access;
use crate::mem::ctx::Loaded;
use crate::reg::{BtfId, Ext, Flags, Kind, Reg, RegType};
use crate::reject::{R, Reject};
use btf::{Btf, Kind as BtfKind};
use spec::lsm::Returns;
use spec::tracing::IterArg;
use spec::{AttachType, ProgType};
use std::sync::Arc;

/// Arguments a traced function may have.
const MAX_ARGS: i32 = 12;

/// What the context's slots are: parameters of a prototype, and how often a leading one is skipped.
struct Args {
    btf: Arc<Btf>,
    ret: u32,
    /// Name and type of all parameters.
    all: Vec<(String, u32)>,
    /// Leading parameters that the program does not see. Offsets are looked up among all of them all the same.
    hidden: usize,
}

/// Where an offset lies.
enum Place {
    Param(usize),
    Return,
    Beyond(usize),
}

impl Args {
    /// Parameters that the program sees.
    fn params(&self) -> &[(String, u32)] {
        &self.all[self.hidden..]
    }
    fn place(&self, off: u32) -> Place {
        let mut end = 0u32;
        let ends = self.all.iter().map(|(_, ty)| self.slot_size(*ty)).chain([match self.ret {
            0 => 0,
            ret => self.slot_size(ret),
        }]);
        let index = ends.into_iter().position(|size| {
            end += size;
            off < end
        });
        let (index, count) = (index.unwrap_or(self.all.len() + 1), self.params().len());
        match index {
            i if i < count => Place::Param(i),
            i if i == count => Place::Return,
            i => Place::Beyond(i),
        }
    }
    fn slot_size(&self, ty: u32) -> u32 {
        let id = self.btf.skip_mods_and_typedefs(ty).unwrap_or(0);
        match self.btf.kind(id) {
            Some(BtfKind::Ptr) => 8,
            _ => self.btf.resolve_size(id).unwrap_or(8).next_multiple_of(8),
        }
    }
}

impl Verifier<'_> {
    /// `None`: refused, with the generic line.
    pub(super) fn btf_ctx_access(&mut self, off: i32, size: u32, access: Access) -> R<Option<Loaded>> {
        if self.prog_type == ProgType::Ext {
            return Err(Reject::unsupported("context of an EXT program (needs its target program)"));
        }
        if self.prog_type != ProgType::Lsm
            && (!(0..8 * MAX_ARGS).contains(&off) || access == Access::Write || off % size as i32 != 0)
        {
            return Ok(None);
        }
        let Some(args) = self.context_args() else {
            return Err(Reject::unsupported(format!(
                "context of {}: no prototype in the kernel's BTF",
                self.target.func
            )));
        };
        let func = self.shown_target();
        if off % 8 != 0 {
            self.note(&Reject::CtxOffset { func, off });
            return Ok(None);
        }
        let ty = match args.place(off as u32) {
            Place::Beyond(i) => {
                self.note(&Reject::CtxNoArg { func, arg: i + 1 });
                return Ok(None);
            }
            Place::Return => match self.context_return(&args, func)? {
                Ok(ty) => ty,
                Err(done) => return Ok(done),
            },
            Place::Param(i) => return self.context_param(&args, i, size),
        };
        self.context_type(&args, args.params().len(), ty, "", size)
    }

    /// Name that messages give the target.
    fn shown_target(&self) -> String {
        self.target.func.strip_prefix("btf_trace_").unwrap_or(&self.target.func).to_owned()
    }

    fn context_args(&self) -> Option<Args> {
        let btf = self.btf(BtfId::KERNEL)?.clone();
        let proto = self.target.proto?;
        let ret = btf.ty(proto)?.type_id()?;
        let hidden =
            usize::from(self.attach_type == AttachType::TraceRawTp.raw() && self.prog_type == ProgType::Tracing);
        let all: Vec<_> = btf.params(proto).map(|p| (btf.string(p.name_off).to_owned(), p.type_id)).collect();
        let hidden = hidden.min(all.len());
        Some(Args { btf, ret, all, hidden })
    }

    /// The slot behind the arguments. Inner `Err` is the final answer.
    fn context_return(&mut self, args: &Args, func: String) -> R<Result<u32, Option<Loaded>>> {
        match AttachType::from_raw(self.attach_type).filter(|_| self.prog_type != ProgType::StructOps) {
            Some(AttachType::LsmMac) => {
                let range = match spec::lsm::hook(&self.target.name, self.profile.version).map(|h| h.returns) {
                    Some(Returns::Int) => Some((-4095, 0)),
                    Some(Returns::Bool) => Some((0, 1)),
                    _ => None,
                };
                Ok(match range {
                    Some((min, max)) => Err(Some(Loaded::Range(min, max))),
                    None => Ok(args.ret),
                })
            }
            Some(AttachType::LsmCgroup | AttachType::TraceFexit | AttachType::TraceFsession) => Ok(Ok(args.ret)),
            Some(AttachType::ModifyReturn) => {
                let id = args.btf.skip_mods_and_typedefs(args.ret).unwrap_or(0);
                let kind = args.btf.kind(id).unwrap_or(BtfKind::Void);
                if kind == BtfKind::Int && args.btf.resolve_size(id).is_some_and(|s| s <= 8) {
                    return Ok(Ok(args.ret));
                }
                self.note(&Reject::CtxFmodRet { kind: kind.word() });
                Ok(Err(None))
            }
            _ => {
                self.note(&Reject::CtxNoArg { func, arg: args.params().len() + 1 });
                Ok(Err(None))
            }
        }
    }

    fn context_param(&mut self, args: &Args, i: usize, size: u32) -> R<Option<Loaded>> {
        let (name, ty) = args.params()[i].clone();
        if let Some(loaded) = self.declared_arg(args, i, ty, size)? {
            return Ok(Some(loaded));
        }
        self.context_type(args, i, ty, &name, size)
    }

    /// Iterator arguments that have a type of their own.
    fn declared_arg(&self, args: &Args, i: usize, ty: u32, size: u32) -> R<Option<Loaded>> {
        if self.attach_type != AttachType::TraceIter.raw() || self.prog_type != ProgType::Tracing || i == 0 {
            return Ok(None);
        }
        let pointer = args.btf.resolve(ty).is_some_and(|(_, t)| t.kind() == BtfKind::Ptr);
        let Some(target) = spec::tracing::iterator(&self.target.name) else { return Ok(None) };
        if !pointer || size != 8 {
            return Ok(None);
        }
        Ok(match target.args.get(i) {
            Some(IterArg::Buf { rdonly }) => {
                let mut ty = RegType::of(Kind::Buf).with(Flags::MAYBE_NULL);
                if *rdonly {
                    ty = ty.with(Flags::RDONLY);
                }
                Some(Loaded::Pointer(Reg::pointer(ty)))
            }
            // What the prototype alone tells.
            Some(IterArg::Ptr { trusted: true, nullable: false, .. }) => None,
            Some(IterArg::Ptr { name, trusted, nullable }) => {
                let Some(id) = args.btf.find_by_name_kind(name, BtfKind::Struct) else { return Ok(None) };
                let mut ty = RegType::of(Kind::Btf);
                if *trusted && self.profile.changes.trusted_arguments {
                    ty = ty.with(Flags::TRUSTED);
                }
                if *nullable {
                    ty = ty.with(Flags::MAYBE_NULL);
                }
                Some(Loaded::Pointer(Reg { ext: Ext::Btf { btf: BtfId::KERNEL, id }, ..Reg::pointer(ty) }))
            }
            _ => None,
        })
    }

    /// An argument by its BTF type.
    fn context_type(&mut self, args: &Args, i: usize, ty: u32, name: &str, size: u32) -> R<Option<Loaded>> {
        let btf = &args.btf;
        let func = self.shown_target();
        let id = btf.skip_mods_and_typedefs(ty).unwrap_or(0);
        let kind = btf.kind(id).unwrap_or(BtfKind::Void);
        match kind {
            BtfKind::Int if btf.resolve_size(id).is_some_and(|s| s <= 8) => return Ok(Some(Loaded::Scalar)),
            BtfKind::Enum | BtfKind::Enum64 | BtfKind::Struct | BtfKind::Union => return Ok(Some(Loaded::Scalar)),
            BtfKind::Ptr => {}
            _ => {
                let shown = btf.name(id).to_owned();
                self.note(&Reject::CtxOnlyPointers { func, arg: i, name: shown, kind: kind.word() });
                return Ok(None);
            }
        }
        if size != 8 {
            self.note(&Reject::CtxSize { func, size });
            return Ok(None);
        }
        let tagged = btf.ty(id).and_then(|t| t.type_id()).unwrap_or(0);
        let target = btf.skip_mods_and_typedefs(tagged).unwrap_or(0);
        let number = match btf.kind(target) {
            None | Some(BtfKind::Void) => true,
            Some(BtfKind::Int) => self.profile.changes.int_pointers_are_numbers || btf.name(target) == "char",
            _ => false,
        };
        if number || target == 0 {
            return Ok(Some(Loaded::Scalar));
        }
        let member_arg = self.struct_ops_arg(i);
        let mut flags = crate::mem::btf::walk::pointer_tag(btf, tagged);
        if self.context_pointers_trusted() {
            flags = flags | Flags::TRUSTED;
        }
        let mut error = false;
        if name.ends_with("__nullable") || member_arg.ends_with("__nullable") {
            flags = flags | Flags::MAYBE_NULL;
        }
        if self.prog_type == ProgType::Tracing
            && self.attach_type == AttachType::TraceRawTp.raw()
            && let Some(row) = spec::tracing::raw_tp(&self.target.name, self.profile.version)
        {
            if row.may_be_null(i as u32) {
                flags = flags | Flags::MAYBE_NULL;
            }
            error = row.may_be_error(i as u32);
        }
        let target_kind = btf.kind(target).unwrap_or(BtfKind::Void);
        if !target_kind.is_struct_or_union() {
            self.note(&Reject::CtxNotStruct { func, arg: i, kind: target_kind.word() });
            return Ok(None);
        }
        let declared = member_arg.ends_with("__nullable") || member_arg.ends_with("__ref");
        let struct_name = btf.name(target).to_owned();
        if !declared {
            self.log.a(format_args!(
                "func '{func}' arg{i} has btf_id {target} type {} '{struct_name}'\n",
                target_kind.word()
            ));
        }
        if error {
            self.log.a(format_args!("marking pointer arg{i} as scalar as it may encode error"));
            return Ok(Some(Loaded::Scalar));
        }
        let (target, ref_obj_id) = (self.promoted_context_type(target, &struct_name), self.context_reference(i));
        if member_arg.ends_with("__ref") && ref_obj_id == 0 {
            return Err(Reject::CtxReferenceGone { off: 8 * i as i32 });
        }
        let ty = RegType::of(Kind::Btf).with(flags);
        Ok(Some(Loaded::Pointer(Reg {
            ref_obj_id,
            ext: Ext::Btf { btf: BtfId::KERNEL, id: target },
            ..Reg::pointer(ty)
        })))
    }

    fn context_pointers_trusted(&self) -> bool {
        match self.prog_type {
            _ if !self.profile.changes.trusted_arguments => false,
            ProgType::StructOps => true,
            ProgType::Lsm => spec::lsm::hook(&self.target.name, self.profile.version).is_none_or(|h| !h.untrusted),
            _ => [AttachType::TraceRawTp, AttachType::TraceIter].iter().any(|a| a.raw() == self.attach_type),
        }
    }

    /// Name of a struct_ops argument in the kernel's stub, which says what it may be.
    fn struct_ops_arg(&self, i: usize) -> String {
        self.struct_ops_stub_params().get(i).cloned().unwrap_or_default()
    }

    pub(crate) fn struct_ops_stub_params(&self) -> Vec<String> {
        let names = || {
            let btf = self.btf(BtfId::KERNEL)?;
            let (ops, member) = self.target.name.split_once('.').filter(|_| self.prog_type == ProgType::StructOps)?;
            let stub = btf.find_by_name_kind(&format!("{ops}__{member}"), BtfKind::Func)?;
            Some(btf.params(btf.func_proto(stub)?).map(|p| btf.string(p.name_off).to_owned()).collect())
        };
        names().unwrap_or_default()
    }

    /// Reference that the program holds on argument `i` from its start: the n-th owned argument has id n.
    fn context_reference(&self, i: usize) -> u32 {
        let params = self.struct_ops_stub_params();
        if !params.get(i).is_some_and(|p| p.ends_with("__ref")) {
            return 0;
        }
        let id = params[..=i].iter().filter(|p| p.ends_with("__ref")).count() as u32;
        if self.cur.holds_ref(id) { id } else { 0 }
    }

    /// Congestion control gets its socket as the TCP socket that it is.
    fn promoted_context_type(&self, id: u32, name: &str) -> u32 {
        if self.prog_type == ProgType::StructOps
            && self.target.name.starts_with("tcp_congestion_ops.")
            && name == "sock"
        {
            let tcp = self.btf(BtfId::KERNEL).and_then(|b| b.find_by_name_kind("tcp_sock", BtfKind::Struct));
            return tcp.unwrap_or(id);
        }
        id
    }
}
