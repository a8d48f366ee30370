//! struct_ops maps: a kernel struct of callbacks, filled from a variable of a `.struct_ops` section. The kernel's side of it
//! (value type, member positions) is worked out when the kernel's BTF is at hand.

use super::{Maps, ObjMap, Source, kernel_name};
use crate::Error;
use crate::elf::{Elf, Section};
use crate::functions::Functions;
use btf::{Btf, Kind, essential_name};
use program::{MapDef, SlotInit};
use spec::MapType;
use spec::map::flags;
use std::collections::HashMap;
use std::sync::Arc;

/// The variable as the object has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    /// Struct type in the program's BTF.
    pub type_id: u32,
    /// Member index -> function.
    pub callbacks: Vec<(usize, usize)>,
    /// Whether it is only created on request (`?.struct_ops`).
    pub optional: bool,
}

/// Where a callback stands in the kernel's struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub struct_id: u32,
    pub member: u32,
}

/// Longer than any kernel struct of callbacks.
const MAX_VALUE: u32 = 1 << 20;
/// More than any kernel struct of callbacks has.
const MAX_MEMBERS: usize = 1024;
const LINK: &str = ".struct_ops.link";

pub(super) fn is_section(name: &str) -> bool {
    let name = name.strip_prefix('?').unwrap_or(name);
    name == ".struct_ops" || name == LINK
}

pub(super) fn collect(elf: &Elf, btf: Option<&Arc<Btf>>, maps: &mut Maps) -> Result<(), Error> {
    for (index, section) in elf.sections.iter().enumerate().filter(|(_, s)| is_section(s.name)) {
        let missing = || Error::section(section.name, "structs are defined there, but BTF does not describe them");
        let btf = btf.ok_or_else(missing)?;
        let sec = btf.find(Kind::Datasec, section.name).ok_or_else(missing)?;
        let mut end = 0;
        for var in btf.vars(sec) {
            let name = btf.name(var.type_id);
            let bad = |problem: &str| Err(Error::map(name, problem));
            let resolved = btf.ty(var.type_id).and_then(|t| btf.resolve(t.size_or_type));
            let Some((type_id, ty)) = resolved.filter(|(_, t)| t.kind() == Kind::Struct) else {
                return bad("is not a struct");
            };
            if ty.vlen() > MAX_MEMBERS {
                return bad("has too many members");
            }
            if u64::from(var.offset) < end {
                return bad("overlaps the variable before it");
            }
            end = u64::from(var.offset) + u64::from(ty.size_or_type);
            if name.is_empty() || btf.name(type_id).is_empty() {
                return bad("has no name or a type without one");
            }
            let at = var.offset as usize;
            let Some(data) = section.data.get(at..at + ty.size_or_type as usize) else {
                return bad("lies outside of its section");
            };
            let is_link = section.name.trim_start_matches('?') == LINK;
            let def = MapDef {
                name: kernel_name(name),
                full_name: name.to_owned(),
                map_type: MapType::StructOps.raw(),
                key_size: 4,
                value_size: ty.size_or_type,
                max_entries: 1,
                map_flags: if is_link { flags::LINK } else { 0 },
                btf: Some(Arc::clone(btf)),
                value0: Some(data.to_vec()),
                ..MapDef::default()
            };
            let local = Local { type_id, callbacks: Vec::new(), optional: section.name.starts_with('?') };
            let (offset, size) = (u64::from(var.offset), u64::from(ty.size_or_type));
            maps.list.push(ObjMap { def, source: Source::StructOps(local), section: index, offset, size });
        }
    }
    Ok(())
}

/// Finds the functions that a variable's members point at.
pub(super) fn relocate(
    elf: &Elf,
    section: &Section,
    target: usize,
    functions: &Functions,
    maps: &mut Maps,
) -> Result<(), Error> {
    for (index, record) in elf.records(section)?.into_iter().enumerate() {
        let bad = |problem: &str| Error::Relocation {
            section: section.name.to_owned(),
            index,
            offset: record.offset,
            problem: problem.to_owned(),
        };
        let symbol = elf.symbols.get(record.symbol).ok_or_else(|| bad("has no symbol"))?;
        let Some(map) = maps.containing(target, record.offset) else { return Err(bad("points at no struct")) };
        let within = record.offset - maps.list[map].offset;
        let ObjMap { def, source: Source::StructOps(local), .. } = &mut maps.list[map] else {
            return Err(bad("points at no struct"));
        };
        let Some(btf) = def.btf.as_ref() else { return Err(bad("has no BTF")) };
        let member = btf.members(local.type_id).position(|m| u64::from(m.bit_offset) == within * 8);
        let Some(member) = member else { return Err(bad("points at no member of the struct")) };
        let slot = symbol.value / 8;
        let function = usize::try_from(slot).ok().and_then(|slot| functions.at(symbol.section, slot));
        match function {
            Some(f) if symbol.value.is_multiple_of(8) => local.callbacks.push((member, f)),
            _ => return Err(bad("points at no program")),
        }
    }
    Ok(())
}

/// Works out the kernel's side of all struct_ops maps: rewrites the definitions, and says for each function where it belongs.
/// A map that does not fit the kernel is an error only for the programs in it.
pub(crate) fn resolve(
    maps: &Maps,
    names: &[String],
    target: &Btf,
) -> (HashMap<usize, MapDef>, HashMap<usize, Result<Place, Error>>) {
    let mut defs = HashMap::new();
    let mut places: HashMap<usize, Result<Place, Error>> = HashMap::new();
    for (index, map) in maps.list.iter().enumerate() {
        let Source::StructOps(local) = &map.source else { continue };
        match resolve_map(&map.def, local, names, target) {
            Ok((def, found)) => {
                defs.insert(index, def);
                for (function, place) in found {
                    places.entry(function).or_insert(Ok(place));
                }
            }
            Err(error) => {
                for &(_, function) in &local.callbacks {
                    places.entry(function).or_insert_with(|| Err(error.clone()));
                }
            }
        }
    }
    (defs, places)
}

type Resolved = (MapDef, Vec<(usize, Place)>);

fn resolve_map(def: &MapDef, local: &Local, names: &[String], kernel: &Btf) -> Result<Resolved, Error> {
    let bad = |problem: String| Error::map(&def.full_name, problem);
    let Some(btf) = def.btf.as_ref() else { return Err(bad("has no BTF".into())) };
    let tname = essential_name(btf.name(local.type_id));
    let Some(struct_id) = kernel.find(Kind::Struct, tname) else {
        return Err(bad(format!("struct {tname} is not in the kernel's BTF")));
    };
    let Some(value_id) = kernel.find(Kind::Struct, &format!("bpf_struct_ops_{tname}")) else {
        return Err(bad(format!("the kernel has no struct_ops of type {tname}")));
    };
    let inside = kernel.members(value_id).find(|m| m.type_id == struct_id);
    let (Some(inside), Some(size)) = (inside, kernel.resolve_size(value_id)) else {
        return Err(bad(format!("struct {tname} is not inside struct bpf_struct_ops_{tname}")));
    };
    if size > MAX_VALUE {
        return Err(bad(format!("struct bpf_struct_ops_{tname} has {size} bytes, more than {MAX_VALUE}")));
    }
    let base = inside.bit_offset as usize / 8;
    let mut value = vec![0u8; size as usize];
    let data = def.value0.as_deref().unwrap_or_default();
    let by_name: HashMap<&str, (usize, btf::Member)> =
        kernel.members(struct_id).enumerate().map(|(i, m)| (kernel.string(m.name_off), (i, m))).collect();
    // The last relocation of a member counts.
    let callbacks: HashMap<usize, usize> = local.callbacks.iter().copied().collect();
    let mut found = Vec::new();
    let mut slots = Vec::new();
    for (i, m) in btf.members(local.type_id).enumerate() {
        let name = btf.string(m.name_off);
        let callback = callbacks.get(&i).copied();
        let from = m.bit_offset as usize / 8;
        let len = btf.resolve_size(m.type_id).unwrap_or(0) as usize;
        let bytes = data.get(from..from + len).unwrap_or_default();
        let Some(&(member, there)) = by_name.get(name) else {
            if bytes.iter().any(|&b| b != 0) {
                return Err(bad(format!("the kernel's struct {tname} has no member `{name}`")));
            }
            continue;
        };
        let to = base + there.bit_offset as usize / 8;
        let kinds =
            (btf.resolve(m.type_id).map(|(_, t)| t.kind()), kernel.resolve(there.type_id).map(|(_, t)| t.kind()));
        if kinds.0 != kinds.1 || m.bitfield_size != 0 || there.bitfield_size != 0 {
            return Err(bad(format!("member `{name}` has another type in the kernel's struct {tname}")));
        }
        if kinds.0 == Some(Kind::Ptr) {
            if let Some(function) = callback {
                found.push((function, Place { struct_id, member: member as u32 }));
                if let Some(name) = names.get(function) {
                    slots.push((to as u32, SlotInit::Program(name.clone())));
                }
            }
            continue;
        }
        match value.get_mut(to..to + len) {
            Some(place) if kernel.resolve_size(there.type_id) == Some(len as u32) && bytes.len() == len => {
                place.copy_from_slice(bytes);
            }
            _ => return Err(bad(format!("member `{name}` has another size in the kernel's struct {tname}"))),
        }
    }
    let def =
        MapDef { value_size: size, btf_vmlinux_value_type_id: value_id, value0: Some(value), slots, ..def.clone() };
    Ok((def, found))
}
