//! A counterexample: an input on which the program really does what was refused. Inputs are derived from the failing path (what it compares
//! with what) and run in the checked interpreter; the first that faults at the refused instruction is kept.

use std::collections::BTreeMap;

use diagnose::Probe;
use program::Program;
use runtime::Input;
use runtime::input::{Blob, Entry, FieldValue, MapPreset};
use runtime::session::Session;
use runtime::{Fault, FaultKind, World};
use spec::Profile;

/// Instructions of one run. A program that needs more on a packet of a few bytes is in a loop.
const BUDGET: u64 = 1 << 16;
/// Runs per refusal: what is not found by then is not found at all.
const MOST: usize = 400;

/// An input that breaks the program.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Counterexample {
    pub input: Input,
    pub fault: String,
    pub insn: u32,
}

/// Tries inputs. `Err` with the number tried if none breaks the program; `Ok(None)` if the program cannot be run here.
pub fn find(program: &Program, profile: &Profile, at: u32, probe: &Probe) -> Option<Result<Counterexample, usize>> {
    kernel_diff::shape::of(program.prog_type).filter(|s| s.data || s.ctx_in)?;
    let options = runtime::Options { vmlinux: Some(profile.btf().clone()), ..runtime::Options::default() };
    let (mut tried, mut skipped) = (0, 0);
    for maps in presets(program) {
        for input in inputs(program, probe) {
            if tried == MOST {
                return (skipped < tried).then_some(Err(tried - skipped));
            }
            tried += 1;
            let input = Input { maps: maps.clone(), ..input };
            match run(program, &options, &input) {
                Ok(()) => {}
                Err(None) => skipped += 1,
                Err(Some(fault)) if counts(&fault, at) => {
                    return Some(Ok(Counterexample { input, insn: fault.pc, fault: words(&fault) }));
                }
                Err(Some(_)) => {}
            }
        }
    }
    (skipped < tried).then_some(Err(tried - skipped))
}

/// A fault at another place is another matter, but for loops, which end anywhere.
fn counts(fault: &Fault, at: u32) -> bool {
    match *fault.kind {
        FaultKind::Unsupported(_) => false,
        FaultKind::Budget(_) => true,
        // Arithmetic is refused before the access that it leads to.
        _ => (at..at + 8).contains(&fault.pc),
    }
}

/// Addresses are of this run alone.
fn words(fault: &Fault) -> String {
    match &*fault.kind {
        FaultKind::Memory { access, len, near, .. } => {
            let way = if *access == runtime::Access::Read { "reads" } else { "writes" };
            let bytes = if *len == 1 { "a byte".to_owned() } else { format!("{len} bytes") };
            let place = if near.contains("null") { "at NULL" } else { "outside of what it may touch" };
            format!("{way} {bytes} {place}")
        }
        FaultKind::Budget(_) => format!("is still in the loop after {BUDGET} instructions"),
        other => other.to_string(),
    }
}

/// `Err(None)`: it cannot be run at all.
fn run(program: &Program, options: &runtime::Options, input: &Input) -> Result<(), Option<Fault>> {
    let mut session = Session::default();
    let image = session.add(program, options).map_err(|_| None)?;
    session.link();
    // A map that takes no such entry stays as it is.
    let _ = session.preset(&input.maps);
    let mut world = World::default();
    let mut run = Session::start(&image, input, &mut world).map_err(|_| None)?;
    run.set_budget(BUDGET);
    match interpreter::run(&image, &mut run) {
        Ok(_) => Ok(()),
        Err(f) if matches!(*f.kind, FaultKind::Unsupported(_)) => Err(None),
        Err(f) => Err(Some(f)),
    }
}

/// Maps empty, then with one entry full of zeroes, then of ones.
fn presets(program: &Program) -> Vec<Vec<MapPreset>> {
    let mut all = vec![Vec::new()];
    for byte in [0u8, 0xff, 0x7f] {
        let maps = program
            .maps
            .iter()
            .filter(|m| m.value0.is_none() && m.key_size > 0 && m.value_size > 0 && m.key_size <= 64);
        let filled: Vec<MapPreset> = maps
            .map(|m| MapPreset {
                map: if m.full_name.is_empty() { m.name.clone() } else { m.full_name.clone() },
                entries: vec![Entry {
                    key: Blob(vec![0; m.key_size as usize]),
                    value: Blob(vec![byte; m.value_size as usize]),
                    ..Entry::default()
                }],
                ..MapPreset::default()
            })
            .collect();
        if filled.is_empty() {
            break;
        }
        all.push(filled);
    }
    all
}

/// Packets and contexts, the likeliest first.
fn inputs(program: &Program, probe: &Probe) -> Vec<Input> {
    let shape = kernel_diff::shape::of(program.prog_type);
    let packets =
        if shape.is_some_and(|s| s.data) { packets(probe, shape.map_or(0, |s| s.min_data)) } else { vec![Vec::new()] };
    let contexts = contexts(program, probe);
    let mut out = Vec::new();
    for ctx in &contexts {
        for packet in &packets {
            out.push(Input { packet: Blob(packet.clone()), ctx: ctx.clone(), ..Input::default() });
        }
    }
    out
}

fn packets(probe: &Probe, least: usize) -> Vec<Vec<u8>> {
    let mut sizes: Vec<usize> = probe.sizes.iter().flat_map(|s| [s.saturating_sub(1), *s, s + 1]).collect();
    sizes.extend([least, 14, 15, 20, 34, 42, 54, 64, 128]);
    sizes.retain(|s| *s > 0 && *s <= 4096);
    let mut seen = Vec::new();
    sizes.retain(|s| {
        !seen.contains(s) && {
            seen.push(*s);
            true
        }
    });
    let mut out = Vec::new();
    for fill in [0u8, 0xff, 0x45, 0x01] {
        for size in &sizes {
            let mut packet = vec![fill; *size];
            for (off, bytes) in &probe.bytes {
                for (i, b) in bytes.iter().enumerate() {
                    if let Some(at) = packet.get_mut(off + i) {
                        *at = *b;
                    }
                }
            }
            out.push(packet);
        }
    }
    out
}

/// Fields of the context that the path reads, at their extremes.
fn contexts(program: &Program, probe: &Probe) -> Vec<BTreeMap<String, FieldValue>> {
    let mut out = vec![BTreeMap::new()];
    let names: Vec<&str> = probe.ctx.iter().filter_map(|off| field(program.prog_type, *off)).collect();
    if names.is_empty() {
        return out;
    }
    for value in [0xffff_ffffu64, 0x7fff_ffff, 0x8000_0000, 0xffff, 4096, 256, 64, 16, 1] {
        out.push(names.iter().map(|n| ((*n).to_owned(), FieldValue::UInt(value))).collect());
    }
    out
}

/// Fields of `__sk_buff` that user space may set.
fn field(prog_type: u32, off: i32) -> Option<&'static str> {
    let skb = matches!(prog_type, 1 | 3 | 4 | 8 | 10..=12);
    match off {
        8 if skb => Some("mark"),
        32 if skb => Some("priority"),
        _ => None,
    }
}
