//! `name=value`: initial values of global variables, and sizes of maps (`map.max_entries=value`), as user space sets them before it loads
//! an object.

use crate::Error;
use crate::maps::{Maps, Source};
use btf::{Btf, Kind};
use program::MapDef;

/// Largest section whose contents are made up (`.bss`).
const MAX_SECTION: u32 = 256 << 20;

/// A variable and where it lies: map, offset, type.
struct Place {
    map: usize,
    offset: u64,
    type_id: u32,
}

pub(crate) fn apply(settings: &[String], btf: Option<&Btf>, maps: &mut Maps) -> Result<(), Error> {
    for setting in settings {
        let bad = |problem: &str| Error::Preset { setting: setting.clone(), problem: problem.to_owned() };
        let (path, value) = setting.split_once('=').ok_or_else(|| bad("expected NAME=VALUE"))?;
        if let Some(size) = map_size(maps, path.trim()) {
            *size = value.trim().parse().map_err(|_| bad("the size of a map is a number below 2^32"))?;
            continue;
        }
        let btf = btf.ok_or_else(|| bad("the object has no BTF to say where its variables are"))?;
        let place = find(btf, maps, path.trim()).map_err(|problem| bad(&problem))?;
        let bytes = encode(btf, place.type_id, value).map_err(|problem| bad(&problem))?;
        let map = &mut maps.list[place.map];
        if map.def.value_size > MAX_SECTION {
            return Err(bad("the variable's section is too large"));
        }
        let size = map.def.value_size as usize;
        let content = map.def.value0.get_or_insert_with(|| vec![0; size]);
        let start = usize::try_from(place.offset).unwrap_or(usize::MAX);
        match start.checked_add(bytes.len()).and_then(|end| content.get_mut(start..end)) {
            Some(there) => there.copy_from_slice(&bytes),
            None => return Err(bad("the variable lies outside of its section")),
        }
    }
    Ok(())
}

/// What loaders change of maps that an object defines: `NAME.max_entries`, `NAME.value_size`, ...
fn map_size<'a>(maps: &'a mut Maps, path: &str) -> Option<&'a mut u32> {
    let (name, field) = path.rsplit_once('.')?;
    let of: fn(&mut MapDef) -> &mut u32 = match field {
        "max_entries" => |def| &mut def.max_entries,
        "key_size" => |def| &mut def.key_size,
        "value_size" => |def| &mut def.value_size,
        "map_flags" => |def| &mut def.map_flags,
        _ => return None,
    };
    let map = maps.list.iter_mut().find(|m| m.source == Source::Defined && m.def.full_name == name)?;
    Some(of(&mut map.def))
}

/// Resolves `var`, `var.member` and `var[3]`, in any combination.
fn find(btf: &Btf, maps: &Maps, path: &str) -> Result<Place, String> {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (name, mut rest) = path.split_at(end);
    let mut place = variable(btf, maps, name)?;
    while !rest.is_empty() {
        let (id, _) = btf.resolve(place.type_id).ok_or("has a bad type")?;
        if let Some(tail) = rest.strip_prefix('[') {
            let (index, tail) = tail.split_once(']').ok_or("`[` without `]`")?;
            let index: u32 = index.parse().map_err(|_| format!("`{index}` is no index"))?;
            let array = btf.array(id).ok_or("is not an array")?;
            if index >= array.nelems {
                return Err(format!("index {index} is past the end of {} elements", array.nelems));
            }
            let size = btf.resolve_size(array.elem).ok_or("has elements without a size")?;
            place.offset += u64::from(index) * u64::from(size);
            place.type_id = array.elem;
            rest = tail;
        } else {
            let tail = rest.strip_prefix('.').ok_or("expected `.` or `[`")?;
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            let (member, tail) = tail.split_at(end);
            let m = btf.find_member(id, member).ok_or_else(|| format!("has no member `{member}`"))?;
            if m.bitfield_size != 0 {
                return Err(format!("`{member}` is a bitfield"));
            }
            place.offset += u64::from(m.bit_offset / 8);
            place.type_id = m.type_id;
            rest = tail;
        }
    }
    Ok(place)
}

fn variable(btf: &Btf, maps: &Maps, name: &str) -> Result<Place, String> {
    for (map, m) in maps.list.iter().enumerate().filter(|(_, m)| m.source == Source::Data) {
        let Some(sec) = btf.find(Kind::Datasec, &m.def.full_name) else { continue };
        if let Some(var) = btf.vars(sec).find(|v| btf.name(v.type_id) == name) {
            let type_id = btf.ty(var.type_id).map_or(0, |t| t.size_or_type);
            return Ok(Place { map, offset: u64::from(var.offset), type_id });
        }
    }
    Err(format!("there is no global variable `{name}`"))
}

/// A value of a type as bytes: numbers, `true`/`false`, enumerators, characters, strings, or `hex:` for anything.
fn encode(btf: &Btf, type_id: u32, value: &str) -> Result<Vec<u8>, String> {
    let (id, ty) = btf.resolve(type_id).ok_or("has a bad type")?;
    let size = btf.resolve_size(id).ok_or("has no size")? as usize;
    if let Some(hex) = value.strip_prefix("hex:") {
        return raw(hex, size);
    }
    match ty.kind() {
        Kind::Int | Kind::Enum | Kind::Enum64 | Kind::Ptr => number(btf, id, ty.kind(), size, value),
        Kind::Array => {
            let of_bytes = btf.array(id).is_some_and(|a| btf.resolve_size(a.elem) == Some(1));
            let text = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
            match of_bytes {
                true if text.len() < size => {
                    let mut bytes = text.as_bytes().to_vec();
                    bytes.resize(size, 0);
                    Ok(bytes)
                }
                true => Err(format!("the string needs {} bytes, the array has {size}", text.len() + 1)),
                false => Err("is an array; set its elements, or all with hex:".into()),
            }
        }
        kind => Err(format!("is of kind {kind:?}; set its members, or all with hex:")),
    }
}

fn raw(hex: &str, size: usize) -> Result<Vec<u8>, String> {
    let digits: Vec<u32> = hex.chars().map(|c| c.to_digit(16)).collect::<Option<_>>().ok_or("is not hexadecimal")?;
    if digits.len() != size * 2 {
        return Err(format!("has {} hexadecimal digits, expected {}", digits.len(), size * 2));
    }
    Ok(digits.chunks_exact(2).map(|d| (d[0] << 4 | d[1]) as u8).collect())
}

fn number(btf: &Btf, id: u32, kind: Kind, size: usize, value: &str) -> Result<Vec<u8>, String> {
    let named = |name: &str| btf.enumerators(id).find(|e| btf.string(e.name_off) == name).map(|e| i128::from(e.value));
    let mut chars = value.chars();
    let parsed = match value {
        "true" => Some(1),
        "false" => Some(0),
        _ if kind.is_enum() && named(value).is_some() => named(value),
        _ if value.len() >= 3 && chars.next() == Some('\'') && chars.next_back() == Some('\'') => {
            chars.as_str().bytes().next().filter(|_| chars.as_str().len() == 1).map(i128::from)
        }
        _ => {
            let (negative, digits) = value.strip_prefix('-').map_or((false, value), |d| (true, d));
            let magnitude = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
                Some(hex) => i128::from_str_radix(hex, 16).ok(),
                None => digits.parse::<i128>().ok(),
            };
            magnitude.map(|m| if negative { -m } else { m })
        }
    };
    let number = parsed.ok_or_else(|| format!("`{value}` is no number"))?;
    if size == 0 || size > 8 {
        return Err(format!("has {size} bytes; set it with hex:"));
    }
    let bits = size as u32 * 8;
    if number < -(1i128 << (bits - 1)) || number >= 1i128 << bits {
        return Err(format!("`{value}` does not fit {size} bytes"));
    }
    Ok(number.to_le_bytes()[..size].to_vec())
}
