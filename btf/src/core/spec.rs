//! An access string (`0:1:2`) as a path through types. Finding the same path elsewhere is in `find`.

use super::{Error, RelocKind};
use crate::{Btf, Kind};

/// Longest access path, as in libbpf.
pub(super) const MAX_LEN: usize = 64;

/// A step of a path that means something in another kernel: an array index, or a named member or enumerator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The struct, union or enum (or the element type, for an index).
    pub type_id: u32,
    pub idx: u32,
    /// Whether the step goes by name (else by index).
    pub named: bool,
}

/// A path from a root type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spec {
    pub root: u32,
    pub steps: Vec<Step>,
    /// Steps with those through anonymous members.
    pub raw_len: usize,
    pub bit_offset: u32,
}

impl Spec {
    pub(super) fn parse(btf: &Btf, type_id: u32, access: &str, kind: RelocKind) -> Result<Self, Error> {
        let unparsed = || Error::Access(access.to_owned());
        if access.is_empty() {
            return Err(unparsed());
        }
        if kind.is_type_based() {
            return match access {
                "0" => Ok(Self { root: type_id, ..Self::default() }),
                _ => Err(unparsed()),
            };
        }
        let mut raw = Vec::new();
        for part in access.split(':') {
            if raw.len() == MAX_LEN {
                return Err(unparsed());
            }
            raw.push(part.parse::<u32>().map_err(|_| unparsed())?);
        }
        let parser = Parser { btf, access, type_id };
        if kind.is_enum_based() { parser.enumerator(&raw) } else { parser.field(&raw) }
    }

    /// Adds an offset in elements of a size to the path's.
    pub(super) fn advance(&mut self, idx: u32, size: u32) -> Option<()> {
        let bits = idx.checked_mul(size)?.checked_mul(8)?;
        self.bit_offset = self.bit_offset.checked_add(bits)?;
        Some(())
    }
}

struct Parser<'a> {
    btf: &'a Btf,
    access: &'a str,
    type_id: u32,
}

impl Parser<'_> {
    fn bad(&self, problem: &'static str) -> Error {
        let name = self.btf.name(self.type_id).to_owned();
        Error::Spec { access: self.access.to_owned(), id: self.type_id, name, problem }
    }

    fn enumerator(&self, raw: &[u32]) -> Result<Spec, Error> {
        let (id, ty) = self.btf.resolve(self.type_id).ok_or_else(|| self.bad("bad type"))?;
        let &[idx] = raw else { return Err(self.bad("one index expected")) };
        if !ty.kind().is_enum() || idx as usize >= ty.vlen() {
            return Err(self.bad("no such enumerator"));
        }
        let steps = vec![Step { type_id: id, idx, named: true }];
        Ok(Spec { root: self.type_id, steps, raw_len: 1, bit_offset: 0 })
    }

    fn field(&self, raw: &[u32]) -> Result<Spec, Error> {
        let btf = self.btf;
        let (mut id, _) = btf.resolve(self.type_id).ok_or_else(|| self.bad("bad type"))?;
        let first = raw[0];
        let steps = vec![Step { type_id: id, idx: first, named: false }];
        let mut spec = Spec { root: self.type_id, steps, raw_len: raw.len(), bit_offset: 0 };
        let size = btf.resolve_size(id).ok_or_else(|| self.bad("type has no size"))?;
        spec.advance(first, size).ok_or_else(|| self.bad("offset is too large"))?;
        for &idx in &raw[1..] {
            let (resolved, ty) = btf.resolve(id).ok_or_else(|| self.bad("bad type"))?;
            id = resolved;
            if ty.kind().is_struct_or_union() {
                let m = btf.member(id, idx as usize).ok_or_else(|| self.bad("no such member"))?;
                let bits = spec.bit_offset.checked_add(m.bit_offset);
                spec.bit_offset = bits.ok_or_else(|| self.bad("offset is too large"))?;
                if !btf.string(m.name_off).is_empty() {
                    spec.steps.push(Step { type_id: id, idx, named: true });
                }
                id = m.type_id;
            } else if let Some(array) = btf.array(id) {
                let flexible = is_flexible(btf, spec.steps.last(), array.nelems);
                let (elem, _) = btf.resolve(array.elem).ok_or_else(|| self.bad("bad element type"))?;
                if !flexible && idx >= array.nelems {
                    return Err(self.bad("index is past the end of the array"));
                }
                id = elem;
                spec.steps.push(Step { type_id: id, idx, named: false });
                let size = btf.resolve_size(id).ok_or_else(|| self.bad("element has no size"))?;
                spec.advance(idx, size).ok_or_else(|| self.bad("offset is too large"))?;
            } else {
                return Err(self.bad("goes into a type that has no parts"));
            }
        }
        Ok(spec)
    }
}

/// Whether an array just reached by `step` is a flexible one: no elements declared, and the last member of its struct.
pub(super) fn is_flexible(btf: &Btf, step: Option<&Step>, nelems: u32) -> bool {
    let Some(step) = step.filter(|s| s.named) else { return false };
    let Some(ty) = btf.ty(step.type_id).filter(|t| t.kind() == Kind::Struct) else { return false };
    nelems == 0 && step.idx as usize + 1 == ty.vlen()
}
