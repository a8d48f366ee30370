//! What engines leave in maps, in the canonical form of recordings: without what is no result. Running and comparing are not here.

use corpus::literal;
use corpus::recorded;

use crate::input::MapDump;

/// The name under which a recording keeps a map: the section for global variables, else the map's own.
pub fn recorded_name(name: &str) -> &str {
    match name.rfind('.') {
        Some(at) if matches!(&name[at..], ".data" | ".bss" | ".rodata" | ".kconfig") => &name[at..],
        _ => name,
    }
}

/// A map's contents in the recording's canonical form; `None` for what recordings leave out.
pub fn recorded_map(dump: &MapDump, map_type: u32, value_size: usize) -> Option<recorded::Map> {
    const ARRAYS: [u32; 2] = [2, 6];
    let name = recorded_name(&dump.name);
    if matches!(name, ".rodata" | ".kconfig") {
        return None;
    }
    let is_zero = |bytes: &[u8]| bytes.iter().all(|b| *b == 0);
    let entries = dump.entries.as_ref()?.iter();
    let entries = entries.filter(|(_, value)| !(ARRAYS.contains(&map_type) && is_zero(value))).map(|(key, value)| {
        let values = if dump.per_cpu {
            let cpus = value.chunks(value_size.next_multiple_of(8).max(8));
            cpus.map(|v| &v[..value_size.min(v.len())]).filter(|v| !is_zero(v)).map(literal::hex).collect()
        } else {
            vec![literal::hex(value)]
        };
        recorded::Element { key: literal::hex(key), values }
    });
    Some(recorded::Map { name: name.to_owned(), entries: entries.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_recorded_without_what_is_no_result() {
        let dump = MapDump {
            name: "object.bss".into(),
            entries: Some(vec![(vec![0; 4], vec![0; 4]), (vec![1, 0, 0, 0], vec![7, 0, 0, 0])]),
            per_cpu: false,
        };
        let map = recorded_map(&dump, 2, 4).unwrap();
        assert_eq!(map.name, ".bss");
        assert_eq!(map.entries, [recorded::Element { key: "01000000".into(), values: vec!["07000000".into()] }]);

        let values = [&[0; 8][..], &[5, 0, 0, 0, 0, 0, 0, 0]].concat();
        let dump = MapDump { name: "calls".into(), entries: Some(vec![(vec![9], values)]), per_cpu: true };
        let map = recorded_map(&dump, 5, 4).unwrap();
        assert_eq!(map.entries, [recorded::Element { key: "09".into(), values: vec!["05000000".into()] }]);
        assert!(recorded_map(&MapDump { name: "x.rodata".into(), ..dump }, 2, 4).is_none());
    }
}
