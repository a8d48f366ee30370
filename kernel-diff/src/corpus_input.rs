//! The corpus's steps as inputs that engines take, and engines' answers in the form of a recording. Not here: running (`live` and the engines)
//! and comparing (`outcome`).

use corpus::input::{Field, Value};
use corpus::literal;
use corpus::manifest::MapElement;
use corpus::recorded;
use runtime::Input;
use runtime::input::{Argument, Blob, Entry, FieldValue, MapPreset};

use crate::engine::Error;
use crate::input::MapDump;

/// What one step gives to a program. The run's map presets belong to its first step alone: see [`presets`].
pub fn input(step: &corpus::Step) -> Result<Input, Error> {
    let mut input = Input::default();
    if let Some(packet) = &step.packet {
        input.packet = Blob(packet.bytes.clone());
    }
    if let Some(record) = &step.record {
        input.record = Blob(record.bytes.clone());
    }
    input.ctx.extend(step.ctx.iter().map(|(name, n)| (name.clone(), FieldValue::Int(*n))));
    for (name, value) in &step.regs {
        input.regs.insert(name.clone(), argument(value)?);
    }
    input.args = step.args.iter().map(argument).collect::<Result<_, _>>()?;
    let world = &mut input.world;
    world.user_memory = step.user_memory.0.clone();
    if let Some(ns) = step.time_ns {
        world.ktime_ns = ns;
        world.ktime_step = 0;
    }
    let task = &step.task;
    world.task.pid = task.pid.unwrap_or(world.task.pid);
    world.task.tgid = task.tgid.unwrap_or(world.task.tgid);
    world.task.uid = task.uid.unwrap_or(world.task.uid);
    world.task.gid = task.gid.unwrap_or(world.task.gid);
    if let Some(comm) = &task.comm {
        world.task.comm.clone_from(comm);
    }
    Ok(input)
}

fn argument(value: &Value) -> Result<Argument, Error> {
    Ok(match value {
        Value::Int(n) => Argument::Number(*n),
        Value::Text(text) => Argument::Text(text.clone()),
        Value::Bytes { bytes } => Argument::Memory { bytes: Blob(literal::parse(bytes).map_err(Error::Unsupported)?) },
        Value::User { user } => return Err(Error::unsupported(format!("user text `{user}` without an address"))),
        Value::Object { ty, fields } => Argument::Object {
            struct_name: ty.clone(),
            fields: fields
                .iter()
                .map(|(path, field)| {
                    let value = match field {
                        Field::Int(n) => FieldValue::Int(*n),
                        Field::Text(text) => FieldValue::Text(text.clone()),
                    };
                    (path.clone(), value)
                })
                .collect(),
        },
    })
}

/// What a run puts into maps before its first step.
pub fn presets(elements: &[MapElement]) -> Vec<MapPreset> {
    let preset = |e: &MapElement| MapPreset {
        map: e.map.clone(),
        entries: vec![Entry {
            key: Blob(e.key.clone()),
            value: Blob(e.value.clone().unwrap_or_default()),
            slot: e.slot.clone(),
        }],
        ..MapPreset::default()
    };
    elements.iter().map(preset).collect()
}

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
    fn every_step_of_the_corpus_is_an_input() {
        let corpus = corpus::Corpus::embedded().unwrap();
        for entry in &corpus.entries {
            for step in entry.object.runs.iter().flat_map(|r| &r.steps) {
                input(step).unwrap_or_else(|error| panic!("{}: {error}", entry.id()));
            }
        }
    }

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
