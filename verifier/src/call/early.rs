//! Arguments and prototypes where a function's C types are compared with registers one by one at each call, and a function that is
//! verified on its own knows scalars, the context and memory only. The newer rules are in `prototype` and `global`.

use super::ctx_type;
use crate::env::Verifier;
use crate::reg::Kind;
use crate::reject::errno::EINVAL;
use crate::reject::{R, Reject};
use crate::subprog::Arg;
use btf::{Btf, Kind as BtfKind};
use std::sync::Arc;

/// Arguments that fit into registers.
const MAX_ARGS: usize = 5;

/// The C prototype of a subprogram.
struct Prototype {
    btf: Arc<Btf>,
    id: u32,
    name: String,
    proto: u32,
    params: Vec<u32>,
}

impl Verifier<'_> {
    /// The registers fit the C prototype of `sub`. `call`: they are those of a caller, so that memory may be looked at.
    pub(super) fn match_registers(&mut self, sub: usize, call: bool) -> R {
        self.check_prototype_usable(sub)?;
        let fits = self.prototype_of(sub).and_then(|f| {
            let memory = call && self.subprogs[sub].is_global();
            if f.params.len() > MAX_ARGS {
                return Err(Reject::KfuncArgs { name: f.name.clone(), args: f.params.len() });
            }
            (0..f.params.len()).try_for_each(|i| self.match_register(&f, i, memory))
        });
        self.subprogs[sub].unreliable |= fits.is_err();
        fits
    }

    fn is_early_context(&self, btf: &Btf, pointee: u32) -> bool {
        ctx_type::is_named_context(btf, pointee, self.prog_type, self.profile.changes.kprobe_context_names)
    }

    fn prototype_of(&self, sub: usize) -> R<Prototype> {
        let s = &self.subprogs[sub];
        let Some(btf) = self.prog.btf.clone().filter(|b| b.kind(s.func_id) == Some(BtfKind::Func)) else {
            return Err(Reject::PrototypeNoFunc { func: sub });
        };
        let Some(proto) = btf.func_proto(s.func_id) else {
            return Err(Reject::PrototypeInvalid { name: s.name.clone() });
        };
        let params = btf.params(proto).map(|p| p.type_id).collect();
        Ok(Prototype { btf, id: s.func_id, name: s.name.clone(), proto, params })
    }

    fn match_register(&mut self, f: &Prototype, i: usize, memory: bool) -> R {
        let regno = i as u8 + 1;
        let reg = self.reg(regno);
        let Some((_, ty)) = f.btf.resolve(f.params[i]).map(|(id, ty)| (id, *ty)) else {
            return Err(Reject::KfuncArgKind { arg: i, kind: BtfKind::Void.word() });
        };
        match ty.kind() {
            BtfKind::Int | BtfKind::Enum | BtfKind::Enum64 if reg.is_scalar() => return Ok(()),
            BtfKind::Int | BtfKind::Enum | BtfKind::Enum64 => return Err(Reject::ArgNoScalar { reg: regno }),
            BtfKind::Ptr => {}
            kind => return Err(Reject::KfuncArgKind { arg: i, kind: kind.word() }),
        }
        let pointee = ty.size_or_type;
        let memory = memory && self.profile.changes.memory_arguments;
        let context = self.is_early_context(&f.btf, pointee);
        if !self.profile.changes.memory_arguments && reg.is_scalar() {
            return Err(Reject::ArgNoPointer { reg: regno });
        }
        if !context && !self.profile.changes.memory_arguments {
            return Err(Reject::ArgPointer { arg: i, name: f.name.clone(), id: f.id });
        }
        self.check_arg_offset(regno, &reg, false, false)?;
        if context {
            return match reg.ty.is(Kind::Ctx) {
                true => Ok(()),
                false => Err(Reject::ArgNoContext { arg: i }),
            };
        }
        if !memory {
            return Err(Reject::ArgPointer { arg: i, name: f.name.clone(), id: f.id });
        }
        let size = pointee_size(&f.btf, i, pointee)?;
        if let Err(r) = self.check_memory_arg(regno, size) {
            if matches!(r, Reject::Unsupported { .. }) {
                return Err(r);
            }
            self.note(&r);
            return Err(Reject::Silent { errno: EINVAL });
        }
        Ok(())
    }

    /// What a global function that is verified on its own is called with.
    pub(super) fn read_global_prototype(&mut self, sub: usize) -> R<Vec<Arg>> {
        if self.subprogs[sub].func_id == 0 {
            return Err(Reject::PrototypeMissing);
        }
        let f = self.prototype_of(sub)?;
        if f.params.len() > MAX_ARGS {
            return Err(Reject::PrototypeArgs { name: f.name, args: f.params.len(), max: MAX_ARGS });
        }
        let ret = f.btf.ty(f.proto).map_or(0, |t| t.size_or_type);
        let scalar = |id: u32| f.btf.resolve(id).is_some_and(|(_, t)| t.kind() == BtfKind::Int || t.kind().is_enum());
        if !scalar(ret) {
            return Err(Reject::PrototypeReturn { name: f.name.clone(), errno: EINVAL });
        }
        let mut args = Vec::with_capacity(f.params.len());
        for (i, id) in f.params.iter().copied().enumerate() {
            let kind = f.btf.resolve(id).map_or(BtfKind::Void, |(_, t)| t.kind());
            args.push(match kind {
                BtfKind::Int | BtfKind::Enum | BtfKind::Enum64 => Arg::Scalar,
                BtfKind::Ptr => {
                    let pointee = f.btf.resolve(id).map_or(0, |(_, t)| t.size_or_type);
                    match self.is_early_context(&f.btf, pointee) {
                        true => Arg::Ctx,
                        false if !self.profile.changes.memory_arguments => {
                            return Err(Reject::ArgUnsupported { arg: i, kind: kind.word(), name: f.name.clone() });
                        }
                        false => Arg::Mem { size: pointee_size(&f.btf, i, pointee)?, nullable: true },
                    }
                }
                kind => return Err(Reject::ArgUnsupported { arg: i, kind: kind.word(), name: f.name.clone() }),
            });
        }
        Ok(args)
    }
}

fn pointee_size(btf: &Btf, arg: usize, pointee: u32) -> R<u32> {
    btf.resolve_size(pointee).ok_or_else(|| {
        let (id, kind) = btf.resolve(pointee).map_or((0, BtfKind::Void), |(id, ty)| (id, ty.kind()));
        Reject::ArgSize { arg, kind: kind.word(), name: btf.name(id).to_owned(), error: -EINVAL }
    })
}
