//! The number a relocation kind asks for, given a path. Finding the path is in `spec` and `find`.

use super::spec::{Spec, Step};
use super::{Error, RelocKind, Resize, Resolution};
use crate::{Btf, Kind, MAX_DEPTH};

/// A path's answer in one BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    pub value: u64,
    /// Whether an instruction may be checked against it.
    pub validate: bool,
    /// The memory a byte offset is about.
    pub access: Option<MemAccess>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemAccess {
    pub size: u32,
    pub type_id: u32,
}

impl Value {
    fn plain(value: u64) -> Self {
        Self { value, validate: true, access: None }
    }
}

/// Puts together what the path is worth here and there; `there` is `None` when the target has nothing that corresponds.
pub(super) fn resolution(
    local: &Btf,
    here: &Spec,
    there: Option<(&Btf, &Spec)>,
    kind: RelocKind,
) -> Result<Resolution, Error> {
    let orig = value(local, Some(here), kind)?;
    let new = match there {
        Some((target, spec)) => value(target, Some(spec), kind)?,
        None => value(local, None, kind)?,
    };
    let (Some(orig), Some(new)) = (orig, new) else {
        let orig = orig.map_or(0, |v| v.value);
        return Ok(Resolution { orig, new: 0, poison: true, validate: true, resize: None });
    };
    let resize = match (orig.access, new.access, there) {
        (Some(a), Some(b), Some((target, _))) if a.size != b.size => {
            let allowed = resizable(local, a.type_id, target, b.type_id);
            Some(Resize { orig: a.size, new: b.size, allowed })
        }
        _ => None,
    };
    Ok(Resolution { orig: orig.value, new: new.value, poison: false, validate: orig.validate, resize })
}

/// Pointers, and integers that are unsigned on both sides, keep their meaning when read with another width.
fn resizable(local: &Btf, a: u32, target: &Btf, b: u32) -> bool {
    let (Some((ai, at)), Some((bi, bt))) = (local.resolve(a), target.resolve(b)) else { return false };
    match (at.kind(), bt.kind()) {
        (Kind::Ptr, Kind::Ptr) => true,
        (Kind::Int, Kind::Int) => {
            let unsigned = |b: &Btf, id| b.int(id).is_some_and(|i| !i.signed);
            unsigned(local, ai) && unsigned(target, bi)
        }
        _ => false,
    }
}

/// `Ok(None)` asks for poison.
fn value(btf: &Btf, spec: Option<&Spec>, kind: RelocKind) -> Result<Option<Value>, Error> {
    if kind.is_type_based() {
        // Types that are not there have id, size and existence 0; they do not poison.
        let Some(spec) = spec else { return Ok(Some(Value::plain(0))) };
        return type_value(btf, spec, kind).map(Some);
    }
    match kind {
        RelocKind::FieldExists | RelocKind::EnumExists => Ok(Some(Value::plain(u64::from(spec.is_some())))),
        RelocKind::EnumValue => {
            let Some(step) = spec.and_then(|s| s.steps.first()) else { return Ok(None) };
            Ok(btf.enumerator(step.type_id, step.idx as usize).map(|e| Value::plain(e.value as u64)))
        }
        _ => match spec.and_then(|s| s.steps.last().map(|step| (s, step))) {
            Some((spec, step)) => field_value(btf, spec, step, kind).map(Some),
            None => Ok(None),
        },
    }
}

fn type_value(btf: &Btf, spec: &Spec, kind: RelocKind) -> Result<Value, Error> {
    Ok(match kind {
        RelocKind::TypeIdLocal | RelocKind::TypeIdTarget => {
            Value { value: u64::from(spec.root), validate: false, access: None }
        }
        RelocKind::TypeSize => {
            let size = btf.resolve_size(spec.root).ok_or(Error::NotApplicable("the size of a type without one"))?;
            Value::plain(u64::from(size))
        }
        _ => Value::plain(1),
    })
}

fn field_value(btf: &Btf, spec: &Spec, step: &Step, kind: RelocKind) -> Result<Value, Error> {
    let no_size = Error::NotApplicable("the size of a field without one");
    if !step.named {
        // `a[n]`: an element, not a member.
        let size = btf.resolve_size(step.type_id);
        return match kind {
            RelocKind::FieldByteOffset => {
                let value = u64::from(spec.bit_offset / 8);
                Ok(Value { value, validate: true, access: access(btf, step.type_id) })
            }
            RelocKind::FieldByteSize => Ok(Value::plain(u64::from(size.ok_or(no_size)?))),
            _ => Err(Error::NotApplicable(kind.name())),
        };
    }
    let m = btf.member(step.type_id, step.idx as usize).ok_or(Error::NotApplicable("a member that is not there"))?;
    let (_, mt) = btf.resolve(m.type_id).ok_or(Error::TypeId(m.type_id))?;
    let storage = Storage::of(btf, spec.bit_offset, m)?;
    let number = |value: u64| Ok(Value { value, validate: !storage.bitfield, access: None });
    match kind {
        RelocKind::FieldByteOffset => {
            let access = if storage.bitfield { None } else { access(btf, m.type_id) };
            Ok(Value { value: u64::from(storage.offset), validate: !storage.bitfield, access })
        }
        RelocKind::FieldByteSize => number(u64::from(storage.bytes)),
        RelocKind::FieldSigned => {
            let signed = match mt.kind() {
                Kind::Int => btf.resolve(m.type_id).and_then(|(id, _)| btf.int(id)).is_some_and(|i| i.signed),
                k => k.is_enum() && mt.kflag(),
            };
            Ok(Value::plain(u64::from(signed)))
        }
        RelocKind::FieldLshift => {
            let end = spec.bit_offset.wrapping_add(storage.bits).wrapping_sub(storage.offset.wrapping_mul(8));
            number(u64::from(64u32.wrapping_sub(end)))
        }
        RelocKind::FieldRshift => Ok(Value::plain(u64::from(64u32.wrapping_sub(storage.bits)))),
        _ => Err(Error::NotApplicable(kind.name())),
    }
}

/// What a load of the field reads: the field, or an element when it is an array (of arrays).
fn access(btf: &Btf, field: u32) -> Option<MemAccess> {
    let mut elem = btf.skip_mods_and_typedefs(field)?;
    for _ in 0..MAX_DEPTH {
        let Some(array) = btf.array(elem) else { break };
        elem = btf.skip_mods_and_typedefs(array.elem)?;
    }
    Some(MemAccess { size: btf.resolve_size(elem)?, type_id: field })
}

/// The bytes that hold a field.
struct Storage {
    bitfield: bool,
    offset: u32,
    bytes: u32,
    bits: u32,
}

impl Storage {
    fn of(btf: &Btf, bit_offset: u32, m: crate::Member) -> Result<Self, Error> {
        if m.bitfield_size == 0 {
            let no_size = Error::NotApplicable("a field without a size");
            let bytes = btf.resolve_size(m.type_id).ok_or(no_size)?;
            return Ok(Self { bitfield: false, offset: bit_offset / 8, bytes, bits: bytes.wrapping_mul(8) });
        }
        let bits = u32::from(m.bitfield_size);
        let (_, ty) = btf.resolve(m.type_id).ok_or(Error::TypeId(m.type_id))?;
        // The declared type's size, doubled until the field no longer straddles it.
        let mut bytes = ty.size().filter(|s| s.is_power_of_two() && *s <= 16).ok_or(Error::Bitfield)?;
        let aligned = |bytes: u32| bit_offset / 8 / bytes * bytes;
        while bit_offset - aligned(bytes) * 8 + bits > bytes * 8 {
            if bytes >= 8 {
                return Err(Error::Bitfield);
            }
            bytes *= 2;
        }
        Ok(Self { bitfield: true, offset: aligned(bytes), bytes, bits })
    }
}
