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
use btf::Btf;
use program::MapDef;
use spec::MapType;
use spec::map::CreateAttr;
use spec::profile::Caps;
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

/// Whether the kernel creates the map with its BTF. When not, loaders create it without.
fn takes_btf(def: &MapDef, btf: &Btf, options: &Options) -> bool {
    if def.btf_value_type_id == 0 {
        return def.btf_key_type_id == 0;
    }
    let caps = options.profile.as_ref().map_or(Caps::ALL, |p| p.caps);
    options.with_kernel(|kernel| spec::map::check_types(&CreateAttr::of(def), btf, kernel, caps)).is_ok()
}

/// A definition as it goes to the kernel, with the template inside it. `known` is the object's BTF as the kernel has it.
pub(crate) fn finish(mut def: MapDef, options: &Options, known: Option<&Arc<Btf>>) -> MapDef {
    adjust(&mut def, options.cpus);
    let taken = |btf: &Arc<Btf>| def.btf.is_some() && takes_btf(&def, btf, options);
    if def.map_type == MapType::StructOps.raw() || known.is_some_and(taken) {
        def.btf = def.btf.and(known.cloned());
    } else {
        def.btf = None;
        (def.btf_key_type_id, def.btf_value_type_id) = (0, 0);
    }
    if let Some(inner) = def.inner.take() {
        def.inner = Some(Arc::new(finish(Arc::unwrap_or_clone(inner), options, known)));
    }
    def
}
