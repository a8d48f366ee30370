//! When a local type and a target type are alike: three degrees (fields, existence, exact match), as CO-RE defines them.

use super::Error;
use crate::{Btf, Kind, MAX_DEPTH, essential_name};
use std::cell::Cell;

/// Comparisons one relocation may take. Structs that refer to each other could otherwise take exponential time.
const BUDGET: u32 = 1 << 20;
/// Comparisons that all relocations of an object may take.
pub(super) const TOTAL_BUDGET: u32 = 1 << 27;

pub(super) fn kinds_alike(a: Kind, b: Kind) -> bool {
    a == b || (a.is_enum() && b.is_enum())
}

/// A pair of blobs whose types are compared.
pub(super) struct Comparison<'a> {
    pub local: &'a Btf,
    pub target: &'a Btf,
    pub root: u32,
    budget: u32,
    /// Steps left for all comparisons together.
    left: &'a Cell<u32>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(local: &'a Btf, target: &'a Btf, root: u32, left: &'a Cell<u32>) -> Self {
        Self { local, target, root, budget: BUDGET, left }
    }

    pub(super) fn spend(&mut self) -> Result<(), Error> {
        let left = self.left.get().checked_sub(1).ok_or(Error::TooDeep(self.root))?;
        self.left.set(left);
        self.budget = self.budget.checked_sub(1).ok_or(Error::TooDeep(self.root))?;
        Ok(())
    }

    fn too_deep(&self) -> Error {
        Error::TooDeep(self.root)
    }

    /// Both ids and kinds behind qualifiers and typedefs.
    fn both(&self, l: u32, t: u32) -> Result<(u32, Kind, u32, Kind), Error> {
        let (l, lt) = self.local.resolve(l).ok_or(Error::TypeId(l))?;
        let (t, tt) = self.target.resolve(t).ok_or(Error::TypeId(t))?;
        Ok((l, lt.kind(), t, tt.kind()))
    }

    fn ints_are_plain(&self, l: u32, t: u32) -> bool {
        let plain = |i: Option<crate::IntInfo>| i.is_some_and(|i| i.offset == 0);
        plain(self.local.int(l)) && plain(self.target.int(t))
    }

    fn names_match(&self, l_off: u32, t_off: u32) -> bool {
        essential_name(self.local.string(l_off)) == essential_name(self.target.string(t_off))
    }

    /// Whether a field of the local type may be read where the target has its own: shape counts, sizes and names of structs
    /// do not.
    pub(super) fn fields(&mut self, mut l: u32, mut t: u32) -> Result<bool, Error> {
        for _ in 0..64 {
            self.spend()?;
            let (li, lk, ti, tk) = self.both(l, t)?;
            if lk.is_struct_or_union() && tk.is_struct_or_union() {
                return Ok(true);
            }
            if !kinds_alike(lk, tk) {
                return Ok(false);
            }
            return Ok(match lk {
                Kind::Ptr | Kind::Float => true,
                Kind::Fwd | Kind::Enum | Kind::Enum64 => {
                    let (a, b) = (essential_name(self.local.name(li)), essential_name(self.target.name(ti)));
                    a.is_empty() || b.is_empty() || a == b
                }
                Kind::Int => self.ints_are_plain(li, ti),
                Kind::Array => {
                    let elem = |b: &Btf, id| b.array(id).map(|a| a.elem);
                    match (elem(self.local, li), elem(self.target, ti)) {
                        (Some(a), Some(b)) => {
                            (l, t) = (a, b);
                            continue;
                        }
                        _ => false,
                    }
                }
                _ => false,
            });
        }
        Err(self.too_deep())
    }

    /// Whether a type "exists" in the target: kinds alike through pointers, arrays and prototypes; insides of structs do not
    /// count. Names were compared by the caller.
    pub(super) fn types(&mut self, l: u32, t: u32) -> Result<bool, Error> {
        match (self.local.kind(l), self.target.kind(t)) {
            (Some(lk), Some(tk)) if kinds_alike(lk, tk) => self.types_at(l, t, MAX_DEPTH),
            _ => Ok(false),
        }
    }

    fn types_at(&mut self, mut l: u32, mut t: u32, level: usize) -> Result<bool, Error> {
        if level == 0 {
            return Err(self.too_deep());
        }
        for _ in 0..MAX_DEPTH {
            self.spend()?;
            let (li, lk, ti, tk) = self.both(l, t)?;
            if !kinds_alike(lk, tk) {
                return Ok(false);
            }
            match lk {
                Kind::Void | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Fwd => return Ok(true),
                Kind::Int => return Ok(self.ints_are_plain(li, ti)),
                Kind::Ptr => (l, t) = (referred(self.local, li), referred(self.target, ti)),
                Kind::Array => match (self.local.array(li), self.target.array(ti)) {
                    (Some(a), Some(b)) => (l, t) = (a.elem, b.elem),
                    _ => return Ok(false),
                },
                Kind::FuncProto => {
                    let (local, target) = (self.local, self.target);
                    if local.params(li).count() != target.params(ti).count() {
                        return Ok(false);
                    }
                    for (a, b) in local.params(li).zip(target.params(ti)) {
                        let (a, _, b, _) = self.both(a.type_id, b.type_id)?;
                        if !self.types_at(a, b, level - 1)? {
                            return Ok(false);
                        }
                    }
                    (l, t) = (referred(local, li), referred(target, ti));
                }
                _ => return Ok(false),
            }
        }
        Err(self.too_deep())
    }

    /// Whether the target's type matches member for member (`bpf_core_type_matches`).
    pub(super) fn matches(&mut self, l: u32, t: u32) -> Result<bool, Error> {
        self.matches_at(l, t, false, MAX_DEPTH)
    }

    fn matches_at(&mut self, mut l: u32, mut t: u32, mut behind_ptr: bool, level: usize) -> Result<bool, Error> {
        if level == 0 {
            return Err(self.too_deep());
        }
        for _ in 0..MAX_DEPTH {
            self.spend()?;
            let (li, lk, ti, tk) = self.both(l, t)?;
            let (local, target) = (self.local, self.target);
            let (Some(lt), Some(tt)) = (local.ty(li), target.ty(ti)) else { return Ok(false) };
            if !self.names_match(lt.name_off, tt.name_off) {
                return Ok(false);
            }
            match lk {
                Kind::Void => return Ok(tk == Kind::Void),
                Kind::Fwd if lk == tk => return Ok(lt.kflag() == tt.kflag()),
                Kind::Fwd => {
                    let declared = if lt.kflag() { Kind::Union } else { Kind::Struct };
                    return Ok(behind_ptr && tk == declared);
                }
                Kind::Enum | Kind::Enum64 => return Ok(tk.is_enum() && self.enums_match(li, ti)?),
                Kind::Struct | Kind::Union if behind_ptr => {
                    return Ok(lk == tk || (tk == Kind::Fwd && (lk == Kind::Union) == tt.kflag()));
                }
                Kind::Struct | Kind::Union => return Ok(lk == tk && self.composites_match(li, ti, level)?),
                Kind::Int => {
                    let signed = |b: &Btf, id| b.int(id).map(|i| i.signed);
                    let same = lk == tk && lt.size_or_type == tt.size_or_type;
                    return Ok(same && signed(local, li) == signed(target, ti));
                }
                Kind::Ptr if lk == tk => {
                    behind_ptr = true;
                    (l, t) = (lt.size_or_type, tt.size_or_type);
                }
                Kind::Array if lk == tk => match (local.array(li), target.array(ti)) {
                    (Some(a), Some(b)) if a.nelems == b.nelems => (l, t) = (a.elem, b.elem),
                    _ => return Ok(false),
                },
                Kind::FuncProto if lk == tk => {
                    if lt.vlen() != tt.vlen() {
                        return Ok(false);
                    }
                    for (a, b) in local.params(li).zip(target.params(ti)) {
                        if !self.matches_at(a.type_id, b.type_id, behind_ptr, level - 1)? {
                            return Ok(false);
                        }
                    }
                    (l, t) = (lt.size_or_type, tt.size_or_type);
                }
                _ => return Ok(false),
            }
        }
        Err(self.too_deep())
    }

    /// Every local enumerator has a namesake in the target.
    fn enums_match(&mut self, l: u32, t: u32) -> Result<bool, Error> {
        let (local, target) = (self.local, self.target);
        if local.enumerators(l).count() > target.enumerators(t).count() {
            return Ok(false);
        }
        for a in local.enumerators(l) {
            let mut found = false;
            for b in target.enumerators(t) {
                self.spend()?;
                if self.names_match(a.name_off, b.name_off) {
                    found = true;
                    break;
                }
            }
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Every local member has a matching namesake in the target.
    fn composites_match(&mut self, l: u32, t: u32, level: usize) -> Result<bool, Error> {
        let (local, target) = (self.local, self.target);
        if local.members(l).count() > target.members(t).count() {
            return Ok(false);
        }
        for a in local.members(l) {
            let mut found = false;
            for b in target.members(t) {
                self.spend()?;
                if self.names_match(a.name_off, b.name_off)
                    && self.matches_at(a.type_id, b.type_id, false, level - 1)?
                {
                    found = true;
                    break;
                }
            }
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn referred(btf: &Btf, id: u32) -> u32 {
    btf.ty(id).map_or(0, |t| t.size_or_type)
}
