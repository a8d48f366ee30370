//! What a subprogram's BTF prototype says about its arguments. Comparing registers with it is in `global`.

use super::ctx_type;
use crate::env::Verifier;
use crate::reg::BtfId;
use crate::reject::errno::{EFAULT, EINVAL, EOPNOTSUPP};
use crate::reject::{R, Reject};
use crate::subprog::Arg;
use btf::{Btf, Kind};
use std::sync::Arc;

/// Arguments that fit into registers.
const MAX_ARGS: usize = 5;

/// Declaration tags of one parameter (`arg:...`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tags {
    ctx: bool,
    nonnull: bool,
    trusted: bool,
    untrusted: bool,
    nullable: bool,
    arena: bool,
}

impl Tags {
    fn any(self) -> bool {
        self != Tags::default()
    }
    /// Tags other than the one that `clear` clears.
    fn beside(mut self, clear: impl FnOnce(&mut Tags)) -> bool {
        clear(&mut self);
        self.any()
    }
}

/// The function whose prototype is read.
struct Function {
    btf: Arc<Btf>,
    id: u32,
    name: String,
    global: bool,
}

impl Function {
    /// Static functions fail without a word where a prototype simply cannot be followed.
    fn quiet(&self, loud: Reject, errno: i32) -> Reject {
        if self.global { loud } else { Reject::Silent { errno } }
    }
}

impl Verifier<'_> {
    /// Understands the prototype of `sub`, once.
    pub(super) fn read_prototype(&mut self, sub: usize) -> R {
        if self.subprogs[sub].args.is_some() {
            return Ok(());
        }
        let (id, global) = (self.subprogs[sub].func_id, self.subprogs[sub].is_global());
        let name = self.subprogs[sub].name.clone();
        let Some(btf) = self.prog.btf.clone().filter(|_| id != 0) else {
            return Err(match global {
                true => Reject::PrototypeMissing,
                false => Reject::Silent { errno: EINVAL },
            });
        };
        let f = Function { btf, id, name, global };
        if f.btf.kind(f.id) != Some(Kind::Func) {
            return Err(Reject::PrototypeNoFunc { func: sub });
        }
        let Some(proto) = f.btf.func_proto(f.id) else {
            return Err(Reject::PrototypeInvalid { name: f.name });
        };
        let params: Vec<u32> = f.btf.params(proto).map(|p| p.type_id).collect();
        if params.len() > MAX_ARGS {
            let loud = Reject::PrototypeArgs { name: f.name.clone(), args: params.len(), max: MAX_ARGS };
            return Err(f.quiet(loud, EINVAL));
        }
        let ret = f.btf.ty(proto).map_or(0, |t| t.size_or_type);
        let void = self.profile.changes.void_globals && is_void(&f.btf, ret);
        if !void && !is_scalar_type(&f.btf, ret) {
            let errno = if self.profile.changes.bad_return_unsupported { EOPNOTSUPP } else { EINVAL };
            return Err(f.quiet(Reject::PrototypeReturn { name: f.name.clone(), errno }, errno));
        }
        self.subprogs[sub].returns_void = void;
        let mut args = Vec::with_capacity(params.len());
        for (i, ty) in params.into_iter().enumerate() {
            args.push(self.read_parameter(&f, i, ty)?);
        }
        self.subprogs[sub].args = Some(args);
        Ok(())
    }

    fn read_parameter(&mut self, f: &Function, i: usize, ty: u32) -> R<Arg> {
        let tags = read_tags(f, i, self.profile.changes.untrusted_arguments)?;
        let Some((_, resolved)) = f.btf.resolve(ty) else { return Err(Reject::Silent { errno: EFAULT }) };
        let resolved = *resolved;
        if resolved.kind() == Kind::Ptr
            && let Some(arg) = self.read_pointer(f, i, resolved.size_or_type, tags)?
        {
            return Ok(arg);
        }
        if tags.any() {
            return Err(Reject::ArgTagNoPointer { arg: i });
        }
        match resolved.kind() {
            Kind::Int | Kind::Enum | Kind::Enum64 => Ok(Arg::Scalar),
            kind => {
                let loud = Reject::ArgUnsupported { arg: i, kind: kind.word(), name: f.name.clone() };
                Err(f.quiet(loud, EINVAL))
            }
        }
    }

    /// A parameter that points to `pointee`. `None`: a static function's plain pointer, which says nothing.
    fn read_pointer(&mut self, f: &Function, i: usize, pointee: u32, tags: Tags) -> R<Option<Arg>> {
        let named = ctx_type::is_context(&f.btf, pointee, self.prog_type);
        if tags.ctx || named {
            if tags.beside(|t| t.ctx = false) {
                return Err(Reject::ArgTagCombination { arg: i });
            }
            if tags.ctx {
                ctx_type::check_tagged(&f.btf, pointee, &self.prog_context(), i)?;
            }
            return Ok(Some(Arg::Ctx));
        }
        let target = f.btf.resolve(pointee).map(|(id, ty)| (id, *ty));
        let is_dynptr = target
            .is_some_and(|(id, ty)| matches!(ty.kind(), Kind::Struct | Kind::Fwd) && f.btf.name(id) == "bpf_dynptr");
        if is_dynptr {
            return if tags.any() { Err(Reject::ArgTagCombination { arg: i }) } else { Ok(Some(Arg::Dynptr)) };
        }
        if tags.trusted {
            if tags.nonnull {
                return Err(Reject::ArgTagCombination { arg: i });
            }
            let id = self.kernel_type_of(f, i, pointee)?;
            return Ok(Some(Arg::TrustedBtf { id, nullable: tags.nullable }));
        }
        if tags.untrusted {
            return self.read_untrusted(f, i, pointee, tags).map(Some);
        }
        if tags.arena {
            return if tags.beside(|t| t.arena = false) {
                Err(Reject::ArgTagArena { arg: i })
            } else {
                Ok(Some(Arg::Arena))
            };
        }
        if !f.global {
            return Ok(None);
        }
        if tags.nullable {
            return Err(Reject::ArgTagCombination { arg: i });
        }
        match f.btf.resolve_size(pointee) {
            Some(size) => Ok(Some(Arg::Mem { size, nullable: !tags.nonnull })),
            None => {
                let (id, kind) = target.map_or((0, Kind::Void), |(id, ty)| (id, ty.kind()));
                Err(Reject::ArgSize { arg: i, kind: kind.word(), name: f.btf.name(id).to_owned(), error: -EINVAL })
            }
        }
    }

    fn read_untrusted(&mut self, f: &Function, i: usize, pointee: u32, tags: Tags) -> R<Arg> {
        if tags.beside(|t| t.untrusted = false) {
            return Err(Reject::ArgTagUntrusted { arg: i });
        }
        let kind = f.btf.resolve(pointee).map_or(Kind::Void, |(_, t)| t.kind());
        if matches!(kind, Kind::Void | Kind::Int | Kind::Enum | Kind::Enum64) {
            return Ok(Arg::UntrustedMem);
        }
        let id = self.kernel_type_of(f, i, pointee)?;
        let found = self.btf(BtfId::KERNEL).and_then(|b| b.kind(id));
        match found {
            Some(k) if k.is_struct_or_union() => Ok(Arg::UntrustedBtf { id }),
            k => Err(Reject::ArgUntrustedKind { arg: i, kind: k.unwrap_or(Kind::Void).word() }),
        }
    }

    /// The kernel's type that a parameter's type stands for: same name (without flavour) and kind.
    fn kernel_type_of(&self, f: &Function, i: usize, pointee: u32) -> R<u32> {
        let (id, kind) = match f.btf.resolve(pointee) {
            Some((id, ty)) => (id, ty.kind()),
            None => return Err(Reject::Silent { errno: EFAULT }),
        };
        let name = f.btf.name(id).to_owned();
        let Some(kernel) = self.btf(BtfId::KERNEL) else {
            return Err(Reject::ArgNoMatch { arg: i, kind: kind.word(), name });
        };
        let essential = btf::essential_name(&name).to_owned();
        let mut found = kernel.find_by_name(&essential).filter(|id| kernel.kind(*id) == Some(kind));
        match (found.next(), found.next()) {
            (None, _) => Err(Reject::ArgNoMatch { arg: i, kind: kind.word(), name }),
            (Some(_), Some(_)) => Err(Reject::ArgAmbiguous { arg: i, kind: kind.word(), name }),
            (Some(id), None) => Ok(id),
        }
    }
}

fn is_void(btf: &Btf, id: u32) -> bool {
    btf.skip_mods_and_typedefs(id).is_some_and(|id| id == 0)
}

fn is_scalar_type(btf: &Btf, id: u32) -> bool {
    btf.resolve(id).is_some_and(|(_, t)| t.kind() == Kind::Int || t.kind().is_enum())
}

fn read_tags(f: &Function, i: usize, knows_untrusted: bool) -> R<Tags> {
    let mut tags = Tags::default();
    for tag in f.btf.decl_tags_of(f.id, i as i32).filter_map(|t| t.strip_prefix("arg:")) {
        if !f.global {
            return Err(Reject::ArgTagStatic { arg: i });
        }
        match tag {
            "ctx" => tags.ctx = true,
            "trusted" => tags.trusted = true,
            "untrusted" if knows_untrusted => tags.untrusted = true,
            "nonnull" => tags.nonnull = true,
            "nullable" => tags.nullable = true,
            "arena" => tags.arena = true,
            _ => return Err(Reject::ArgTagUnknown { arg: i }),
        }
    }
    Ok(tags)
}
