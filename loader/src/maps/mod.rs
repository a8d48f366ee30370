//! Maps of an object: BTF-defined, of legacy `maps` sections, of data sections, `.kconfig`, and struct_ops. This file holds the
//! list and what all have in common; each kind has its file.

mod btf_defined;
mod data;
mod legacy;
pub(crate) mod struct_ops;

use crate::elf::Elf;
use crate::externs::Externs;
use crate::functions::Functions;
use crate::{Error, Options};
use btf::{Btf, Kind};
use program::MapDef;
use spec::MapType;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Longest name that the kernel keeps.
const NAME_LEN: usize = 15;

/// What a map was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Defined,
    Data,
    Kconfig,
    StructOps(struct_ops::Local),
}

#[derive(Clone, Debug)]
pub(crate) struct ObjMap {
    pub def: MapDef,
    pub source: Source,
    /// Where in the object: section, offset and size there.
    pub section: usize,
    pub offset: u64,
    pub size: u64,
}

/// All maps of an object, in libbpf's order (it numbers maps by it).
#[derive(Clone, Debug, Default)]
pub(crate) struct Maps {
    pub list: Vec<ObjMap>,
    at: HashMap<(usize, u64), usize>,
    by_section: HashMap<usize, usize>,
    by_place: BTreeMap<(usize, u64), usize>,
    pub kconfig: Option<usize>,
}

/// The section with initial contents of an arena.
const ARENA_DATA: &str = ".addr_space.1";

impl Maps {
    pub(crate) fn collect(
        elf: &Elf,
        btf: Option<&Arc<Btf>>,
        externs: &Externs,
        options: &Options,
    ) -> Result<Self, Error> {
        let mut maps = Self::default();
        btf_defined::collect(elf, btf, &mut maps)?;
        legacy::collect(elf, &mut maps)?;
        maps.collect_arena(elf)?;
        data::collect(elf, btf, &options.object_name, &mut maps)?;
        if externs.config_size > 0 {
            maps.kconfig = Some(maps.list.len());
            maps.list.push(data::kconfig(btf, externs, options)?);
        }
        struct_ops::collect(elf, btf, &mut maps)?;
        for (i, map) in maps.list.iter().enumerate() {
            match map.source {
                Source::Defined => {
                    maps.at.entry((map.section, map.offset)).or_insert(i);
                }
                Source::Data => {
                    maps.by_section.entry(map.section).or_insert(i);
                }
                Source::Kconfig | Source::StructOps(_) => {}
            }
            if matches!(map.source, Source::Defined | Source::StructOps(_)) {
                maps.by_place.entry((map.section, map.offset)).or_insert(i);
            }
        }
        Ok(maps)
    }

    /// The map defined at a place of a map section.
    pub(crate) fn defined_at(&self, section: usize, offset: u64) -> Option<usize> {
        self.at.get(&(section, offset)).copied()
    }

    /// The map that holds a data section.
    pub(crate) fn data_of_section(&self, section: usize) -> Option<usize> {
        self.by_section.get(&section).copied()
    }

    fn collect_arena(&mut self, elf: &Elf) -> Result<(), Error> {
        let is_arena = |m: &ObjMap| m.def.map_type == MapType::Arena.raw();
        if self.list.iter().filter(|m| is_arena(m)).count() > 1 {
            return Err(Error::section(".maps", "has more than one arena"));
        }
        let arena = self.list.iter().position(is_arena);
        let Some((section, data)) = elf.section(ARENA_DATA) else { return Ok(()) };
        let Some(arena) = arena else {
            return Err(Error::section(ARENA_DATA, "has variables, but the object defines no arena map"));
        };
        let map = &mut self.list[arena];
        let room = u64::from(map.def.max_entries) * 4096;
        if data.data.len() as u64 > room {
            let problem = format!("has {} bytes of variables, the arena only {room}", data.data.len());
            return Err(Error::section(ARENA_DATA, problem));
        }
        map.def.value0 = Some(data.data.to_vec());
        self.by_section.insert(section, arena);
        Ok(())
    }

    /// Reads relocations in `.maps` and struct_ops sections: initial contents of maps.
    pub(crate) fn relocate(&mut self, elf: &Elf, functions: &Functions) -> Result<(), Error> {
        for (section, target) in elf.relocations() {
            let Some(name) = elf.sections.get(target).map(|s| s.name) else { continue };
            if name == ".maps" {
                btf_defined::relocate(elf, section, target, functions, self)?;
            } else if struct_ops::is_section(name) {
                struct_ops::relocate(elf, section, target, functions, self)?;
            }
        }
        Ok(())
    }

    /// The map at an offset of a section, for relocations within a definition.
    fn containing(&self, section: usize, offset: u64) -> Option<usize> {
        let (_, &index) = self.by_place.range(..=(section, offset)).next_back()?;
        let m = &self.list[index];
        (m.section == section && offset - m.offset < m.size).then_some(index)
    }
}

/// A name as the kernel takes it: cut to 15 bytes, at a character's end.
pub(crate) fn kernel_name(name: &str) -> String {
    let mut end = name.len().min(NAME_LEN);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

/// What a loader adjusts in any definition before the kernel sees it.
fn adjust(def: &mut MapDef, cpus: u32) {
    match MapType::from_raw(def.map_type) {
        // Whole pages, a power of two of them.
        Some(MapType::Ringbuf | MapType::UserRingbuf) if def.max_entries > 0 => {
            let pages = u64::from(def.max_entries).div_ceil(4096).next_power_of_two();
            if let Ok(bytes) = u32::try_from(pages * 4096) {
                def.max_entries = bytes;
            }
        }
        Some(MapType::PerfEventArray) if def.max_entries == 0 => def.max_entries = cpus,
        _ => {}
    }
}

/// Types that the kernel creates only without BTF.
fn is_untyped(map_type: MapType) -> bool {
    matches!(
        map_type,
        MapType::PerfEventArray
            | MapType::CgroupArray
            | MapType::StackTrace
            | MapType::ArrayOfMaps
            | MapType::HashOfMaps
            | MapType::Devmap
            | MapType::DevmapHash
            | MapType::Cpumap
            | MapType::Xskmap
            | MapType::Sockmap
            | MapType::Sockhash
            | MapType::Queue
            | MapType::Stack
            | MapType::Arena
    )
}

/// Whether the kernel creates the map with its BTF. When not, loaders create it without.
fn takes_btf(def: &MapDef) -> bool {
    let (Some(btf), Some(map_type)) = (def.btf.as_deref(), MapType::from_raw(def.map_type)) else { return false };
    let (key, value) = (def.btf_key_type_id, def.btf_value_type_id);
    if is_untyped(map_type) {
        return false;
    }
    if value == 0 {
        return key == 0;
    }
    let has_size = |id: u32, size: u32| btf.resolve_size(id) == Some(size);
    if (key != 0 && !has_size(key, def.key_size)) || !has_size(value, def.value_size) {
        return false;
    }
    let int_bits = |id: u32| btf.resolve(id).and_then(|(id, _)| btf.int(id)).map_or(0, |i| i.bits);
    let key_is_struct = btf.resolve(key).is_some_and(|(_, t)| t.kind() == Kind::Struct);
    match map_type {
        // The value of a global variable section has no key.
        MapType::Array if key == 0 => btf.kind(value) == Some(Kind::Datasec) && def.max_entries == 1,
        MapType::Array
        | MapType::PercpuArray
        | MapType::SkStorage
        | MapType::InodeStorage
        | MapType::TaskStorage
        | MapType::CgrpStorage => int_bits(key) == 32,
        MapType::LpmTrie => key_is_struct,
        MapType::CgroupStorage | MapType::PercpuCgroupStorage => key_is_struct || int_bits(key) == 64,
        MapType::BloomFilter => key == 0,
        _ => key != 0,
    }
}

/// A definition as it goes to the kernel, with the template inside it. `known` is the object's BTF as the kernel has it.
pub(crate) fn finish(mut def: MapDef, cpus: u32, known: Option<&Arc<Btf>>) -> MapDef {
    adjust(&mut def, cpus);
    if def.map_type == MapType::StructOps.raw() || known.is_some() && takes_btf(&def) {
        def.btf = def.btf.and(known.cloned());
    } else {
        def.btf = None;
        (def.btf_key_type_id, def.btf_value_type_id) = (0, 0);
    }
    if let Some(inner) = def.inner.take() {
        def.inner = Some(Arc::new(finish(Arc::unwrap_or_clone(inner), cpus, known)));
    }
    def
}
