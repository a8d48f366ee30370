//! Maps that hold global variables: `.data`, `.rodata`, `.bss` sections, and `.kconfig`.

use super::{Maps, NAME_LEN, ObjMap, Source};
use crate::elf::{Elf, Section};
use crate::externs::Externs;
use crate::{Error, Options, kconfig as values};
use btf::{Btf, Kind, VarLinkage};
use program::MapDef;
use spec::MapType;
use spec::map::flags;
use std::sync::Arc;

fn is_of(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a section becomes a map, and whether programs may only read it.
fn role(section: &Section) -> Option<bool> {
    if section.is_bss() {
        return is_of(section.name, ".bss").then_some(false);
    }
    if section.is_code() || section.kind != object::elf::SHT_PROGBITS {
        return None;
    }
    match section.name {
        name if is_of(name, ".data") => Some(false),
        name if is_of(name, ".rodata") => Some(true),
        _ => None,
    }
}

pub(super) fn collect(elf: &Elf, btf: Option<&Arc<Btf>>, object: &str, maps: &mut Maps) -> Result<(), Error> {
    for (index, section) in elf.sections.iter().enumerate() {
        let Some(read_only) = role(section).filter(|_| section.size > 0) else { continue };
        let Ok(size) = u32::try_from(section.size) else {
            return Err(Error::section(section.name, "is larger than 4 GiB"));
        };
        let mut def = internal(btf, object, section.name, size, read_only);
        // Zeroes need no copy: maps start out zeroed.
        def.value0 = (!section.is_bss()).then(|| section.data.to_vec());
        maps.list.push(ObjMap { def, source: Source::Data, section: index, offset: 0, size: section.size });
    }
    Ok(())
}

pub(super) fn kconfig(btf: Option<&Arc<Btf>>, externs: &Externs, options: &Options) -> Result<ObjMap, Error> {
    let mut def = internal(btf, &options.object_name, ".kconfig", externs.config_size, true);
    def.value0 = Some(values::contents(externs, options)?);
    Ok(ObjMap { def, source: Source::Kconfig, section: 0, offset: 0, size: u64::from(externs.config_size) })
}

fn internal(btf: Option<&Arc<Btf>>, object: &str, section: &str, size: u32, read_only: bool) -> MapDef {
    let datasec = btf.and_then(|b| Some((b, b.find(Kind::Datasec, section)?)));
    // User space maps sections whose variables others may know of.
    let visible =
        datasec.is_some_and(|(b, id)| b.vars(id).any(|v| b.var_linkage(v.type_id) != Some(VarLinkage::Static)));
    let read_only_flag = if read_only { flags::RDONLY_PROG } else { 0 };
    let mmapable = if visible { flags::MMAPABLE } else { 0 };
    MapDef {
        name: internal_name(object, section),
        full_name: section.to_owned(),
        map_type: MapType::Array.raw(),
        key_size: 4,
        value_size: size,
        max_entries: 1,
        map_flags: read_only_flag | mmapable,
        btf: btf.map(Arc::clone),
        btf_value_type_id: datasec.map_or(0, |(_, id)| id),
        frozen: read_only,
        ..MapDef::default()
    }
}

/// The object's name, then the section's, in 15 bytes: at least 7 (or all) of the section's, and nothing of the object's when the
/// section's name has a second dot.
fn internal_name(object: &str, section: &str) -> String {
    let suffix = section.len().clamp(7, NAME_LEN);
    let custom = section.get(1..).is_some_and(|s| s.contains('.'));
    let prefix = if custom { 0 } else { NAME_LEN - suffix };
    // The kernel takes letters, digits, `_` and `.`.
    let clean = |b: u8| match b {
        b'_' | b'.' => char::from(b),
        b if b.is_ascii_alphanumeric() => char::from(b),
        _ => '_',
    };
    object.bytes().take(prefix).chain(section.bytes().take(suffix)).map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::internal_name;

    #[test]
    fn names_share_15_bytes() {
        assert_eq!(internal_name("my_object_name", ".rodata"), "my_objec.rodata");
        assert_eq!(internal_name("my_object_name", ".bss"), "my_objec.bss");
        assert_eq!(internal_name("my_object_name", ".kconfig"), "my_obje.kconfig");
        assert_eq!(internal_name("my_object_name", ".rodata.abracadabra"), ".rodata.abracad");
        assert_eq!(internal_name("a-b", ".data"), "a_b.data");
    }
}
