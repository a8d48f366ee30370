//! Looking up a local path in a target type. What the found path is worth is in `value`.

use super::compat::Comparison;
use super::spec::{MAX_LEN, Spec, Step, is_flexible};
use super::{Error, RelocKind};
use crate::{Btf, essential_name};
use std::cell::Cell;

/// The path in the target that corresponds to `spec`, rooted at `candidate`; `None` when there is none.
pub(super) fn find(
    local: &Btf,
    spec: &Spec,
    target: &Btf,
    candidate: u32,
    kind: RelocKind,
    left: &Cell<u32>,
) -> Result<Option<Spec>, Error> {
    let mut cmp = Comparison::new(local, target, spec.root, left);
    let root = Spec { root: candidate, ..Spec::default() };
    if kind == RelocKind::TypeMatches {
        return Ok(cmp.matches(spec.root, candidate)?.then_some(root));
    }
    if kind.is_type_based() {
        return Ok(cmp.types(spec.root, candidate)?.then_some(root));
    }
    if kind.is_enum_based() {
        return Ok(find_enumerator(local, spec, target, root));
    }
    Walk { cmp, found: root }.run(spec)
}

fn find_enumerator(local: &Btf, spec: &Spec, target: &Btf, mut found: Spec) -> Option<Spec> {
    let wanted = spec.steps.first()?;
    let name = local.string(local.enumerator(wanted.type_id, wanted.idx as usize)?.name_off);
    let (id, ty) = target.resolve(found.root)?;
    if !ty.kind().is_enum() {
        return None;
    }
    let same = |off| essential_name(target.string(off)) == essential_name(name);
    let idx = target.enumerators(id).position(|e| same(e.name_off))?;
    found.steps.push(Step { type_id: id, idx: idx as u32, named: true });
    found.raw_len = 1;
    Some(found)
}

struct Walk<'a> {
    cmp: Comparison<'a>,
    found: Spec,
}

impl Walk<'_> {
    fn run(mut self, spec: &Spec) -> Result<Option<Spec>, Error> {
        let target = self.cmp.target;
        let Some((mut id, _)) = target.resolve(self.found.root) else { return Ok(None) };
        for (i, step) in spec.steps.iter().enumerate() {
            let Some((resolved, _)) = target.resolve(id) else { return Ok(None) };
            id = resolved;
            if step.named {
                match self.member(step, id)? {
                    Some(next) => id = next,
                    None => return Ok(None),
                }
                continue;
            }
            if i > 0 {
                let Some(array) = target.array(id) else { return Ok(None) };
                let flexible = is_flexible(target, self.found.steps.last(), array.nelems);
                if !flexible && step.idx >= array.nelems {
                    return Ok(None);
                }
                let Some((elem, _)) = target.resolve(array.elem) else { return Ok(None) };
                id = elem;
            }
            if self.found.raw_len == MAX_LEN {
                return Err(Error::TooDeep(spec.root));
            }
            self.found.steps.push(Step { type_id: id, idx: step.idx, named: false });
            self.found.raw_len += 1;
            let advanced = target.resolve_size(id).and_then(|size| self.found.advance(step.idx, size));
            if advanced.is_none() {
                return Err(Error::NotApplicable("a field of a type without a size"));
            }
        }
        Ok(Some(self.found))
    }

    /// Finds the namesake of a local member in a target type or in its anonymous members, and gives the type of what was found.
    fn member(&mut self, step: &Step, target_id: u32) -> Result<Option<u32>, Error> {
        let (local, target) = (self.cmp.local, self.cmp.target);
        let Some((id, ty)) = target.resolve(target_id) else { return Ok(None) };
        if !ty.kind().is_struct_or_union() {
            return Ok(None);
        }
        let Some(wanted) = local.member(step.type_id, step.idx as usize) else { return Ok(None) };
        let name = local.string(wanted.name_off);
        for (idx, m) in target.members(id).enumerate() {
            self.cmp.spend()?;
            if self.found.raw_len == MAX_LEN {
                return Err(Error::TooDeep(self.cmp.root));
            }
            let before = self.found.bit_offset;
            let Some(bits) = before.checked_add(m.bit_offset) else { return Ok(None) };
            self.found.bit_offset = bits;
            self.found.raw_len += 1;
            let there = target.string(m.name_off);
            if there.is_empty() {
                if let Some(next) = self.member(step, m.type_id)? {
                    return Ok(Some(next));
                }
            } else if there == name {
                // The first namesake decides, fit or not.
                if !self.cmp.fields(wanted.type_id, m.type_id)? {
                    self.found.bit_offset = before;
                    self.found.raw_len -= 1;
                    return Ok(None);
                }
                self.found.steps.push(Step { type_id: id, idx: idx as u32, named: true });
                return Ok(Some(m.type_id));
            }
            self.found.bit_offset = before;
            self.found.raw_len -= 1;
        }
        Ok(None)
    }
}
