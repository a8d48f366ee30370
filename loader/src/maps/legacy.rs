//! Maps of `maps`, `maps/NAME` and `TYPE/maps` sections: structs of numbers, in the sizes that loaders had over the years. libbpf 1.x takes
//! none of them; older loaders did, and such objects are still around.

use super::btf_defined::is_map_in_map;
use super::{Maps, ObjMap, Source, kernel_name};
use crate::Error;
use crate::elf::{Elf, Section};
use program::MapDef;
use spec::map::flags;
use std::collections::HashMap;
use std::sync::Arc;

/// type, key_size, value_size, max_entries: all that the smallest definitions have.
const MIN_SIZE: usize = 16;
/// iproute2's struct: behind the flags come id, pinning, inner id, inner index.
const IPROUTE2_SIZE: usize = 36;
/// iproute2's PIN_GLOBAL_NS.
const IPROUTE2_PIN_GLOBAL: u32 = 2;

/// Whether the object defines maps this way.
pub(crate) fn is_section(name: &str) -> bool {
    name == "maps" || name.starts_with("maps/") || name.ends_with("/maps")
}

pub(super) fn collect(elf: &Elf, maps: &mut Maps) -> Result<(), Error> {
    for (index, section) in elf.sections.iter().enumerate().filter(|(_, s)| is_section(s.name)) {
        collect_section(elf, index, section, maps)?;
    }
    Ok(())
}

fn collect_section(elf: &Elf, index: usize, section: &Section, maps: &mut Maps) -> Result<(), Error> {
    let mut symbols: Vec<_> =
        elf.symbols.iter().filter(|s| s.section == index && !s.is_section() && !s.name.is_empty()).collect();
    symbols.sort_by_key(|s| s.value);
    let count = symbols.len();
    if count == 0 {
        return Ok(());
    }
    if !section.data.len().is_multiple_of(count) {
        let problem = format!("{} bytes do not divide into {count} map definitions of equal size", section.data.len());
        return Err(Error::section(section.name, problem));
    }
    let size = section.data.len() / count;
    if size < MIN_SIZE {
        let problem = format!("definitions of {size} bytes are too small, expected at least {MIN_SIZE}");
        return Err(Error::section(section.name, problem));
    }
    let first = maps.list.len();
    for symbol in &symbols {
        let at = usize::try_from(symbol.value).ok().filter(|at| at.is_multiple_of(size));
        let Some(words) = at.and_then(|at| section.data.get(at..at + size)) else {
            return Err(Error::map(symbol.name, format!("offset {:#x} is not that of a definition", symbol.value)));
        };
        let def = read(symbol.name, words);
        maps.list.push(ObjMap {
            def,
            source: Source::Defined,
            section: index,
            offset: symbol.value,
            size: size as u64,
        });
    }
    link_inner(section, size, &mut maps.list[first..]);
    Ok(())
}

fn word(bytes: &[u8], i: usize) -> u32 {
    bytes.get(i * 4..).and_then(|b| b.first_chunk::<4>()).map_or(0, |b| u32::from_le_bytes(*b))
}

fn read(name: &str, bytes: &[u8]) -> MapDef {
    let map_flags = word(bytes, 4);
    MapDef {
        name: kernel_name(name),
        full_name: name.to_owned(),
        map_type: word(bytes, 0),
        key_size: word(bytes, 1),
        value_size: word(bytes, 2),
        max_entries: word(bytes, 3),
        map_flags,
        numa_node: if bytes.len() == 28 && map_flags & flags::NUMA_NODE != 0 { word(bytes, 6) } else { 0 },
        pin_by_name: bytes.len() == IPROUTE2_SIZE && word(bytes, 6) == IPROUTE2_PIN_GLOBAL,
        ..MapDef::default()
    }
}

/// Maps of maps name their template: by position (28 bytes) or by an id that another definition has (iproute2).
fn link_inner(section: &Section, size: usize, maps: &mut [ObjMap]) {
    let row = |m: &ObjMap| &section.data[m.offset as usize..m.offset as usize + size];
    let by_id: HashMap<u32, usize> = match size {
        IPROUTE2_SIZE => maps.iter().enumerate().rev().map(|(i, m)| (word(row(m), 5), i)).collect(),
        _ => HashMap::new(),
    };
    let templates: Vec<Option<Arc<MapDef>>> = maps
        .iter()
        .map(|m| {
            if !is_map_in_map(m.def.map_type) {
                return None;
            }
            let template = match size {
                28 => maps.get(word(row(m), 5) as usize),
                IPROUTE2_SIZE => {
                    let wanted = Some(word(row(m), 7)).filter(|&id| id != 0);
                    wanted.and_then(|id| maps.get(*by_id.get(&id)?))
                }
                _ => None,
            };
            template.filter(|t| !is_map_in_map(t.def.map_type)).map(|t| Arc::new(t.def.clone()))
        })
        .collect();
    for (map, template) in maps.iter_mut().zip(templates) {
        map.def.inner = template;
    }
}
