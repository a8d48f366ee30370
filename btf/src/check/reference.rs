//! What records refer to: allowed kinds, sizes, members within their struct, no loops.

use super::record::is_identifier;
use super::{E2BIG, EEXIST, Problem, invalid};
use crate::{Btf, Kind, MAX_DEPTH, Member};
use std::collections::HashMap;

type Check = Result<(), Problem>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Not,
    Active,
    Done,
}

/// Which references a walk follows: all, those of pointers (which end at structs), or those of values (which end at pointers).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Start,
    Pointer,
    Value,
}

pub(super) struct Resolver<'a> {
    btf: &'a Btf,
    visits: Vec<Visit>,
    /// Prototype -> its first typed parameter without a name, from 1.
    unnamed: HashMap<u32, Option<usize>>,
}

fn is_qualifier(kind: Kind) -> bool {
    kind.is_modifier() || kind == Kind::Typedef
}

/// Kinds that nothing but their own kind of user may refer to.
fn is_source_only(kind: Kind) -> bool {
    matches!(kind, Kind::Var | Kind::DeclTag | Kind::Datasec)
}

fn has_no_size(kind: Kind) -> bool {
    matches!(kind, Kind::Void | Kind::Fwd | Kind::Func | Kind::FuncProto)
}

impl<'a> Resolver<'a> {
    pub(super) fn new(btf: &'a Btf) -> Self {
        Self { btf, visits: vec![Visit::Not; btf.len() as usize], unnamed: HashMap::new() }
    }

    pub(super) fn check(&mut self, id: u32) -> Check {
        if needs_resolving(self.kind(id)) && self.visits.get(id as usize) == Some(&Visit::Not) {
            self.resolve(id, Mode::Start, 1)?;
        }
        if self.kind(id) == Some(Kind::FuncProto) { self.proto(id) } else { Ok(()) }
    }

    fn kind(&self, id: u32) -> Option<Kind> {
        self.btf.kind(id)
    }

    /// The kind of a value behind qualifiers, for types with a size.
    fn sized(&self, id: u32) -> Option<(u32, Kind, u32)> {
        let (id, ty) = self.btf.resolve(id)?;
        Some((id, ty.kind(), self.btf.resolve_size(id)?)).filter(|(_, k, _)| !has_no_size(*k))
    }

    /// What the kernel takes for sized without looking behind it.
    fn usable(&self, id: u32) -> bool {
        self.kind(id).is_some_and(|k| !has_no_size(k) && !is_source_only(k))
    }

    /// Walks references depth first, and checks a type once all that it needs is checked.
    fn resolve(&mut self, id: u32, mode: Mode, depth: usize) -> Check {
        let Some(&visit) = self.visits.get(id as usize) else { return Err(invalid("Invalid type_id")) };
        match visit {
            Visit::Done => return Ok(()),
            Visit::Active => return Err((EEXIST, "Loop detected".into())),
            Visit::Not => {}
        }
        if depth > MAX_DEPTH {
            return Err((E2BIG, format!("Exceeded max resolving depth:{MAX_DEPTH}")));
        }
        self.visits[id as usize] = Visit::Active;
        let kind = self.kind(id).unwrap_or(Kind::Void);
        let mode = match (mode, kind) {
            (Mode::Start, Kind::Ptr) => Mode::Pointer,
            (Mode::Start, Kind::Struct | Kind::Union | Kind::Array) => Mode::Value,
            (mode, _) => mode,
        };
        let result = match kind {
            Kind::Ptr => self.reference(id, mode, depth),
            k if is_qualifier(k) => self.reference(id, mode, depth),
            Kind::Var => self.var(id, mode, depth),
            Kind::Array => self.array(id, mode, depth),
            Kind::Struct | Kind::Union => self.structure(id, mode, depth),
            Kind::Func => self.func(id),
            Kind::Datasec => self.datasec(id, mode, depth),
            Kind::DeclTag => self.decl_tag(id),
            _ => Ok(()),
        };
        self.visits[id as usize] = Visit::Done;
        result
    }

    /// Follows a reference unless the walk ends there.
    fn follow(&mut self, id: u32, mode: Mode, depth: usize) -> Check {
        let Some(kind) = self.kind(id) else { return Ok(()) };
        let follow = match mode {
            Mode::Start => needs_resolving(Some(kind)),
            Mode::Pointer => is_qualifier(kind) || kind == Kind::Ptr,
            Mode::Value => is_qualifier(kind) || matches!(kind, Kind::Array | Kind::Struct | Kind::Union),
        };
        if follow { self.resolve(id, mode, depth + 1) } else { Ok(()) }
    }

    fn target(&self, id: u32) -> u32 {
        self.btf.ty(id).map_or(0, |t| t.size_or_type)
    }

    fn reference(&mut self, id: u32, mode: Mode, depth: usize) -> Check {
        let to = self.target(id);
        if self.kind(to).is_none_or(is_source_only) {
            return Err(invalid("Invalid type_id"));
        }
        self.follow(to, mode, depth)?;
        let behind = self.btf.resolve(to).map(|(_, t)| t.kind());
        match behind {
            // Seen as its prototype once it is checked itself.
            Some(Kind::Func) if self.visits.get(to as usize) == Some(&Visit::Done) => Ok(()),
            Some(Kind::Func | Kind::Datasec | Kind::Var | Kind::DeclTag) => Err(invalid("Invalid type_id")),
            // A loop through structs is not followed here; it is found from the struct.
            _ => Ok(()),
        }
    }

    fn var(&mut self, id: u32, mode: Mode, depth: usize) -> Check {
        let to = self.target(id);
        if self.kind(to).is_none_or(is_source_only) {
            return Err(invalid("Invalid type_id"));
        }
        self.follow(to, mode, depth)?;
        if self.sized(to).is_none() { Err(invalid("Invalid type_id")) } else { Ok(()) }
    }

    fn array(&mut self, id: u32, mode: Mode, depth: usize) -> Check {
        let Some(array) = self.btf.array(id) else { return Ok(()) };
        if !self.usable(array.index) {
            return Err(invalid("Invalid index"));
        }
        self.follow(array.index, mode, depth)?;
        match self.sized(array.index) {
            Some((index, Kind::Int, _)) if self.is_regular(index) => {}
            _ => return Err(invalid("Invalid index")),
        }
        if !self.usable(array.elem) {
            return Err(invalid("Invalid elem"));
        }
        self.follow(array.elem, mode, depth)?;
        let Some((elem, kind, size)) = self.sized(array.elem) else { return Err(invalid("Invalid elem")) };
        if kind == Kind::Int && !self.is_regular(elem) {
            return Err(invalid("Invalid array of int"));
        }
        if size.checked_mul(array.nelems).is_none() {
            return Err(invalid("Array size overflows U32_MAX"));
        }
        Ok(())
    }

    /// Whole bytes, a power of two of them, from bit 0.
    fn is_regular(&self, id: u32) -> bool {
        self.btf.int(id).is_some_and(|i| i.offset == 0 && matches!(i.bits, 8 | 16 | 32 | 64 | 128))
    }

    fn structure(&mut self, id: u32, mode: Mode, depth: usize) -> Check {
        let btf = self.btf;
        let Some(ty) = btf.ty(id) else { return Ok(()) };
        for m in btf.members(id) {
            if !self.usable(m.type_id) {
                return Err(invalid("Invalid member"));
            }
            self.follow(m.type_id, mode, depth)?;
            let Some((member, kind, size)) = self.sized(m.type_id) else { return Err(invalid("Invalid member")) };
            self.member(ty.kflag(), ty.size_or_type, m, (member, kind, size))?;
        }
        Ok(())
    }

    fn member(&self, kflag: bool, struct_size: u32, m: Member, (id, kind, size): (u32, Kind, u32)) -> Check {
        let offset = u64::from(m.bit_offset);
        let fits = |bytes: u64| match bytes <= u64::from(struct_size) {
            true => Ok(()),
            false => Err(invalid("Member exceeds struct_size")),
        };
        let bitfield = u64::from(m.bitfield_size);
        match kind {
            Kind::Int => {
                let Some(int) = self.btf.int(id) else { return Ok(()) };
                let (bits, offset) = match (kflag, bitfield) {
                    (false, _) => (u64::from(int.bits), offset + u64::from(int.offset)),
                    (true, _) if !self.is_regular(id) => return Err(invalid("Invalid member base type")),
                    (true, 0) if offset % 8 != 0 => return Err(invalid("Invalid member offset")),
                    (true, 0) => (u64::from(int.bits), offset),
                    (true, b) if b > u64::from(int.bits) => return Err(invalid("Invalid member bitfield_size")),
                    (true, b) => (b, offset),
                };
                let copied = bits + offset % 8;
                if copied > 128 {
                    return Err(invalid("nr_copy_bits exceeds 128"));
                }
                fits(offset / 8 + copied.div_ceil(8))
            }
            Kind::Enum | Kind::Enum64 if kflag => match bitfield {
                0 if offset % 8 != 0 => Err(invalid("Member is not byte aligned")),
                0 => fits((offset + 32).div_ceil(8)),
                b if b > 32 => Err(invalid("Invalid member bitfield_size")),
                b => fits((offset + b).div_ceil(8)),
            },
            _ if kflag && bitfield != 0 => Err(invalid("Invalid member bitfield_size")),
            Kind::Float if offset % (u64::from(size.min(8)).max(1) * 8) != 0 => {
                Err(invalid("Member is not properly aligned"))
            }
            _ if offset % 8 != 0 => Err(invalid("Member is not byte aligned")),
            _ => fits(offset / 8 + u64::from(size)),
        }
    }

    fn func(&mut self, id: u32) -> Check {
        let Some(proto) = self.btf.func_proto(id) else { return Err(invalid("Invalid type_id")) };
        let btf = self.btf;
        let first = || btf.params(proto).position(|p| p.type_id != 0 && p.name_off == 0).map(|i| i + 1);
        match *self.unnamed.entry(proto).or_insert_with(first) {
            Some(arg) => Err(invalid(format!("Invalid arg#{arg}"))),
            None => Ok(()),
        }
    }

    fn datasec(&mut self, id: u32, mode: Mode, depth: usize) -> Check {
        let btf = self.btf;
        for var in btf.vars(id) {
            if self.kind(var.type_id) != Some(Kind::Var) {
                return Err(invalid("Not a VAR kind member"));
            }
            if self.visits.get(var.type_id as usize) != Some(&Visit::Done) {
                // The kernel comes back to the next entry, not to this one.
                self.follow(var.type_id, mode, depth)?;
                continue;
            }
            match self.sized(self.target(var.type_id)) {
                None => return Err(invalid("Invalid type")),
                Some((_, _, size)) if var.size < size => return Err(invalid("Invalid size")),
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn decl_tag(&mut self, id: u32) -> Check {
        let btf = self.btf;
        let Some(tag) = btf.decl_tag(id) else { return Ok(()) };
        let Some(ty) = btf.ty(tag.target) else { return Err(invalid("Invalid type_id")) };
        let parts = match ty.kind() {
            Kind::Struct | Kind::Union => ty.vlen(),
            Kind::Func => btf.ty(ty.size_or_type).map_or(0, |proto| proto.vlen()),
            Kind::Var | Kind::Typedef => 0,
            _ => return Err(invalid("Invalid type_id")),
        };
        match usize::try_from(tag.component) {
            Ok(component) if component >= parts => Err(invalid("Invalid component_idx")),
            _ => Ok(()),
        }
    }

    fn proto(&mut self, id: u32) -> Check {
        let btf = self.btf;
        let result = self.target(id);
        if result != 0 {
            self.value_of_proto(result).map_err(|e| e.unwrap_or_else(|| invalid("Invalid return type")))?;
        }
        let count = btf.params(id).count();
        for (i, param) in btf.params(id).enumerate() {
            let bad = || invalid(format!("Invalid arg#{}", i + 1));
            if param.type_id == 0 && i + 1 == count {
                return if param.name_off == 0 { Ok(()) } else { Err(bad()) };
            }
            if param.name_off != 0 && !is_identifier(btf.string(param.name_off)) {
                return Err(bad());
            }
            self.value_of_proto(param.type_id).map_err(|e| e.unwrap_or_else(bad))?;
        }
        Ok(())
    }

    /// A type that can be passed: `Err(None)` when it cannot, the walk's own problem otherwise.
    fn value_of_proto(&mut self, id: u32) -> Result<(), Option<Problem>> {
        if self.kind(id).is_none_or(|k| is_source_only(k) || k == Kind::Void) {
            return Err(None);
        }
        if needs_resolving(self.kind(id)) && self.visits.get(id as usize) == Some(&Visit::Not) {
            self.resolve(id, Mode::Start, 1).map_err(Some)?;
        }
        if self.sized(id).is_none() { Err(None) } else { Ok(()) }
    }
}

fn needs_resolving(kind: Option<Kind>) -> bool {
    kind.is_some_and(|k| {
        is_qualifier(k)
            || matches!(
                k,
                Kind::Ptr
                    | Kind::Struct
                    | Kind::Union
                    | Kind::Array
                    | Kind::Var
                    | Kind::Func
                    | Kind::DeclTag
                    | Kind::Datasec
            )
    })
}
