//! Maps defined as structs in the `.maps` section, their attributes encoded in member types.

use super::{Maps, ObjMap, Source, kernel_name};
use crate::Error;
use crate::elf::{Elf, Section};
use crate::functions::Functions;
use btf::{Btf, Kind, Member, VarLinkage};
use program::{MapDef, SlotInit};
use spec::MapType;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) fn collect(elf: &Elf, btf: Option<&Arc<Btf>>, maps: &mut Maps) -> Result<(), Error> {
    let Some((section, content)) = elf.section(".maps") else { return Ok(()) };
    let missing = || Error::section(".maps", "maps are defined there, but BTF does not describe them");
    let btf = btf.ok_or_else(missing)?;
    let sec = btf.find(Kind::Datasec, ".maps").ok_or_else(missing)?;
    for var in btf.vars(sec) {
        let name = btf.name(var.type_id);
        let bad = |problem: &str| Err(Error::map(name, problem));
        if name.is_empty() {
            return Err(Error::section(".maps", format!("variable [{}] has no name", var.type_id)));
        }
        if u64::from(var.offset) + u64::from(var.size) > content.size {
            return bad("lies outside of section `.maps`");
        }
        if btf.var_linkage(var.type_id) != Some(VarLinkage::Global) {
            return bad("must be a global variable, not static");
        }
        let Some(def_id) = btf.ty(var.type_id).and_then(|t| btf.skip_mods_and_typedefs(t.size_or_type)) else {
            return bad("has a bad type");
        };
        match btf.ty(def_id).filter(|t| t.kind() == Kind::Struct) {
            None => return bad("must be defined by a struct"),
            Some(ty) if ty.size_or_type > var.size => return bad("is larger than its variable"),
            Some(_) => {}
        }
        let mut def = Definition::new(btf, name, false).read(def_id)?;
        def.btf = Some(Arc::clone(btf));
        def.name = kernel_name(name);
        def.full_name = name.to_owned();
        let (offset, size) = (u64::from(var.offset), u64::from(var.size));
        maps.list.push(ObjMap { def, source: Source::Defined, section, offset, size });
    }
    Ok(())
}

/// A definition names each attribute once.
const MAX_ATTRIBUTES: usize = 64;

/// Reads one definition.
struct Definition<'a> {
    btf: &'a Arc<Btf>,
    name: &'a str,
    inner: bool,
    def: MapDef,
}

impl<'a> Definition<'a> {
    fn new(btf: &'a Arc<Btf>, name: &'a str, inner: bool) -> Self {
        Self { btf, name, inner, def: MapDef::default() }
    }

    fn bad<T>(&self, problem: impl Into<String>) -> Result<T, Error> {
        Err(Error::map(self.name, problem))
    }

    fn read(mut self, def_id: u32) -> Result<MapDef, Error> {
        let btf = Arc::clone(self.btf);
        let count = btf.ty(def_id).map_or(0, |t| t.vlen());
        if count > MAX_ATTRIBUTES {
            return self.bad(format!("has {count} attributes, more than there are"));
        }
        for (i, m) in btf.members(def_id).enumerate() {
            match btf.string(m.name_off) {
                "type" => self.def.map_type = self.number(m)?,
                "max_entries" => self.def.max_entries = self.number(m)?,
                "map_flags" => self.def.map_flags = self.number(m)?,
                "numa_node" => self.def.numa_node = self.number(m)?,
                "key_size" => {
                    let size = self.number(m)?;
                    if self.def.key_size != 0 && self.def.key_size != size {
                        return self.bad(format!("key_size {size} differs from the size of key {}", self.def.key_size));
                    }
                    self.def.key_size = size;
                }
                "value_size" => {
                    let size = self.number(m)?;
                    if self.def.value_size != 0 && self.def.value_size != size {
                        return self
                            .bad(format!("value_size {size} differs from the size of value {}", self.def.value_size));
                    }
                    self.def.value_size = size;
                }
                "key" => {
                    let (id, size) = self.pointee(m, "key")?;
                    if self.def.key_size != 0 && self.def.key_size != size {
                        return self.bad(format!("size of key {size} differs from key_size {}", self.def.key_size));
                    }
                    (self.def.key_size, self.def.btf_key_type_id) = (size, id);
                }
                "value" => {
                    let (id, size) = self.pointee(m, "value")?;
                    if self.def.value_size != 0 && self.def.value_size != size {
                        return self
                            .bad(format!("size of value {size} differs from value_size {}", self.def.value_size));
                    }
                    (self.def.value_size, self.def.btf_value_type_id) = (size, id);
                }
                "values" if i + 1 != count => return self.bad("`values` must be the last member"),
                "values" => self.values(m)?,
                "pinning" if self.inner => return self.bad("an inner map cannot be pinned"),
                "pinning" => match self.number(m)? {
                    0 => {}
                    1 => self.def.pin_by_name = true,
                    other => return self.bad(format!("pinning {other} is unknown, expected 0 or 1")),
                },
                "map_extra" => self.def.map_extra = self.long(m)?,
                "" => return self.bad(format!("member {i} has no name")),
                other => return self.bad(format!("unknown attribute `{other}`")),
            }
        }
        if self.def.map_type == 0 {
            return self.bad("has no type");
        }
        Ok(self.def)
    }

    /// `__uint(x, n)`: a pointer to an array of n elements.
    fn number(&self, m: Member) -> Result<u32, Error> {
        let pointer = self.btf.skip_mods(m.type_id).and_then(|id| self.btf.ty(id)).filter(|t| t.kind() == Kind::Ptr);
        match pointer.and_then(|p| self.btf.array(p.size_or_type)) {
            Some(array) => Ok(array.nelems),
            None => self.bad(format!("attribute `{}` is not made with __uint", self.btf.string(m.name_off))),
        }
    }

    /// `__ulong(x, n)`: an enum of one value; also `__uint`.
    fn long(&self, m: Member) -> Result<u64, Error> {
        let id = self.btf.skip_mods(m.type_id).unwrap_or(0);
        let is_enum = self.btf.kind(id).is_some_and(Kind::is_enum);
        if !is_enum {
            return self.number(m).map(u64::from);
        }
        let mut values = self.btf.enumerators(id);
        match (values.next(), values.next()) {
            (Some(only), None) => Ok(only.value as u64),
            _ => self.bad(format!("attribute `{}` is not made with __ulong", self.btf.string(m.name_off))),
        }
    }

    /// `__type(x, t)`: a pointer to t.
    fn pointee(&self, m: Member, what: &str) -> Result<(u32, u32), Error> {
        let Some(pointer) = self.btf.ty(m.type_id).filter(|t| t.kind() == Kind::Ptr) else {
            return self.bad(format!("{what} is not made with __type"));
        };
        let id = pointer.size_or_type;
        match self.btf.resolve_size(id) {
            Some(size) => Ok((id, size)),
            None => self.bad(format!("type of {what} has no size")),
        }
    }

    /// `__array(values, t)`: a flexible array of pointers to inner maps or to programs.
    fn values(&mut self, m: Member) -> Result<(), Error> {
        let of_programs = self.def.map_type == MapType::ProgArray.raw();
        if !of_programs && !is_map_in_map(self.def.map_type) {
            return self.bad("`values` is only for maps of maps and program arrays, after `type`");
        }
        if self.inner {
            return self.bad("maps nest only one level deep");
        }
        if self.def.value_size != 0 && self.def.value_size != 4 {
            return self.bad(format!("value_size is {}, expected 4", self.def.value_size));
        }
        self.def.value_size = 4;
        let element = self.btf.array(m.type_id).filter(|a| a.nelems == 0).and_then(|a| self.btf.resolve(a.elem));
        let Some((_, pointer)) = element.filter(|(_, t)| t.kind() == Kind::Ptr) else {
            return self.bad("`values` is not made with __array");
        };
        let Some((id, pointee)) = self.btf.resolve(pointer.size_or_type) else {
            return self.bad("`values` has a bad type");
        };
        match pointee.kind() {
            Kind::FuncProto if of_programs => Ok(()),
            Kind::Struct if !of_programs => {
                let name = format!("{}.inner", self.name);
                let mut inner = Definition::new(self.btf, &name, true).read(id)?;
                inner.btf = Some(Arc::clone(self.btf));
                inner.name = kernel_name(&name);
                inner.full_name = name;
                self.def.inner = Some(Arc::new(inner));
                Ok(())
            }
            other => self.bad(format!("`values` are of kind {other:?}")),
        }
    }
}

pub(super) fn is_map_in_map(map_type: u32) -> bool {
    map_type == MapType::ArrayOfMaps.raw() || map_type == MapType::HashOfMaps.raw()
}

/// Fills slots of maps of maps and program arrays.
pub(super) fn relocate(
    elf: &Elf,
    section: &Section,
    target: usize,
    functions: &Functions,
    maps: &mut Maps,
) -> Result<(), Error> {
    let by_name: HashMap<&str, usize> =
        functions.list.iter().enumerate().rev().map(|(i, f)| (f.name.as_str(), i)).collect();
    let mut offsets = HashMap::new();
    for (index, record) in elf.records(section)?.into_iter().enumerate() {
        let bad = |problem: String| Error::Relocation {
            section: section.name.to_owned(),
            index,
            offset: record.offset,
            problem,
        };
        let symbol = elf.symbols.get(record.symbol).ok_or_else(|| bad("has no symbol".into()))?;
        let Some(map) = maps.containing(target, record.offset) else {
            return Err(bad("points at no map".into()));
        };
        let is_programs = maps.list[map].def.map_type == MapType::ProgArray.raw();
        let init = if is_programs {
            match by_name.get(symbol.name).map(|&f| &functions.list[f]) {
                Some(f) if !f.is_sub => SlotInit::Program(symbol.name.to_owned()),
                Some(_) => return Err(bad(format!("`{}` is not an entry-point program", symbol.name))),
                None => return Err(bad(format!("there is no program `{}`", symbol.name))),
            }
        } else if is_map_in_map(maps.list[map].def.map_type) {
            match maps.defined_at(symbol.section, symbol.value) {
                Some(inner) if symbol.section == target => SlotInit::Map(maps.list[inner].def.full_name.clone()),
                _ => return Err(bad(format!("`{}` is not a map", symbol.name))),
            }
        } else {
            return Err(bad(format!("map `{}` has no slots to fill", maps.list[map].def.full_name)));
        };
        let within = record.offset - maps.list[map].offset;
        let slot = offsets
            .entry(map)
            .or_insert_with(|| values_offset(&maps.list[map].def))
            .and_then(|at| within.checked_sub(at))
            .filter(|off| off.is_multiple_of(8))
            .and_then(|off| u32::try_from(off / 8).ok());
        match slot {
            Some(slot) => maps.list[map].def.slots.push((slot, init)),
            None => return Err(bad("points at no slot of `values`".into())),
        }
    }
    Ok(())
}

/// Byte offset of the last member, `values`, in the definition of a map.
fn values_offset(def: &MapDef) -> Option<u64> {
    let btf = def.btf.as_ref()?;
    let var = btf.find(Kind::Var, &def.full_name)?;
    let (id, _) = btf.resolve(btf.ty(var)?.size_or_type)?;
    let last = btf.members(id).last()?;
    Some(u64::from(last.bit_offset / 8))
}
