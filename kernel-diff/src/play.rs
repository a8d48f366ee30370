//! A scenario on any engine: fresh maps, presets, steps with several programs of one object, and what they leave behind. What a step
//! gives to a program is the scenario's matter; what engines do is theirs.

use std::collections::BTreeMap;

use ::scenario::{Scenario, Step};
use corpus::recorded;
use program::{Program, SlotInit};
use runtime::input::{Blob, Entry, MapPreset};

use crate::canonical::{recorded_map, recorded_name};
use crate::engine::{Engine, Error, LoadOptions, Loaded};
use crate::input::{Event, Output};
use crate::outcome::{self, Difference, Outcome};

/// What a run left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    pub steps: Vec<Output>,
    /// In the canonical form of recordings, by name.
    pub maps: BTreeMap<String, recorded::Map>,
    pub events: Vec<Event>,
}

/// Plays a run on an engine. `programs` are all programs of the object.
pub fn play(engine: &mut dyn Engine, programs: &[Program], run: &Scenario) -> Result<Played, Error> {
    engine.forget_maps();
    let mut loaded: BTreeMap<&str, (&Program, Box<dyn Loaded>)> = BTreeMap::new();
    for name in needed(programs, run)? {
        let program = programs.iter().find(|p| p.name == name);
        let program = program.ok_or_else(|| Error::unsupported(format!("no program `{name}`")))?;
        let load = engine.load(program, &LoadOptions::with_level(0))?;
        let refused = || Error::unsupported(format!("`{name}` is refused with errno {}", load.judgement.errno));
        let ready = load.program.ok_or_else(refused)?;
        loaded.insert(&program.name, (program, ready));
    }
    let mut played = Played::default();
    let mut first = [run.maps.clone(), slots(programs)].concat();
    for step in &run.steps {
        let name = target(programs, step)?;
        let program = loaded.get_mut(name);
        let (_, program) = program.ok_or_else(|| Error::unsupported(format!("no program `{name}`")))?;
        let mut given = step.input();
        given.maps = [std::mem::take(&mut first), given.maps].concat();
        let mut output = program.run(&given, 1)?;
        played.events.append(&mut output.events);
        played.steps.push(output);
    }
    for (program, ready) in loaded.values_mut() {
        for (dump, def) in ready.maps()?.iter().zip(&program.maps) {
            let map = recorded_map(dump, def.map_type, def.value_size as usize);
            played.maps.extend(map.map(|m| (m.name.clone(), m)));
        }
    }
    Ok(played)
}

/// Programs that the steps run, and those that sit in slots of the maps.
fn needed(programs: &[Program], run: &Scenario) -> Result<Vec<String>, Error> {
    let steps = run.steps.iter().map(|s| target(programs, s).map(str::to_owned)).collect::<Result<Vec<_>, _>>()?;
    let presets = run.maps.iter().chain(run.steps.iter().flat_map(|s| &s.maps));
    let given = presets.flat_map(|m| &m.entries).filter_map(|e| e.slot.clone());
    let own = slots(programs).into_iter().flat_map(|p| p.entries).filter_map(|e| e.slot);
    let mut names: Vec<String> = given.chain(own).filter(|n| programs.iter().any(|p| p.name == *n)).collect();
    names.extend(steps);
    names.sort();
    names.dedup();
    Ok(names)
}

/// The program that a step runs: the one that it names, or the only one.
pub fn target<'a>(programs: &'a [Program], step: &'a Step) -> Result<&'a str, Error> {
    match (&step.program, programs) {
        (Some(name), _) => Ok(name),
        (None, [one]) => Ok(&one.name),
        (None, _) => {
            let names: Vec<&str> = programs.iter().map(|p| p.name.as_str()).collect();
            Err(Error::unsupported(format!("a step names no `program`; there are {}", names.join(", "))))
        }
    }
}

/// Slots that the object itself fills with programs.
fn slots(programs: &[Program]) -> Vec<MapPreset> {
    let mut out: Vec<MapPreset> = Vec::new();
    for map in programs.iter().flat_map(|p| &p.maps) {
        if out.iter().any(|p| p.map == map.full_name) {
            continue;
        }
        for (slot, init) in &map.slots {
            if let SlotInit::Program(name) = init {
                let key = Blob(slot.to_le_bytes().to_vec());
                let entry = Entry { key, slot: Some(name.clone()), ..Entry::default() };
                out.push(MapPreset { map: map.full_name.clone(), entries: vec![entry], ..MapPreset::default() });
            }
        }
    }
    out
}

/// Compares what two engines left behind; `a` is the reference. Maps that only one side shows, and those in `unstable`, are left out.
pub fn compare(a: &Played, b: &Played, unstable: &[String]) -> Outcome {
    let mut all = Outcome::Agree;
    for (x, y) in a.steps.iter().zip(&b.steps) {
        all = all.and(outcome::outputs(x, y));
    }
    if a.events != b.events {
        let first = a.events.iter().zip(&b.events).take_while(|(x, y)| x == y).count();
        all = all.and(Outcome::Differ(vec![Difference::Events { a: a.events.len(), b: b.events.len(), first }]));
    }
    for (name, x) in &a.maps {
        let Some(y) = b.maps.get(name) else { continue };
        if x != y && !unstable.iter().any(|u| recorded_name(u) == name) {
            all = all.and(Outcome::Differ(vec![map_difference(x, y)]));
        }
    }
    all
}

fn map_difference(a: &recorded::Map, b: &recorded::Map) -> Difference {
    let same = a.entries.iter().zip(&b.entries).take_while(|(x, y)| x == y).count();
    let show = |m: &recorded::Map| {
        m.entries.get(same).map_or("nothing".to_owned(), |e| format!("{} = {}", e.key, e.values.join("|")))
    };
    Difference::Map { name: a.name.clone(), a: show(a), b: show(b) }
}
