//! `run`: one program on one input, in an engine of the user's choice.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use kernel_diff::play::play;
use kernel_diff::{Engine, Error, Input, LoadOptions, Loaded, MapDump, Output, expected};
use program::Program;
use scenario::{Scenario, Step};

use crate::args::{Format, Kernel, Select};
use crate::exit::{Failure, Status};
use crate::input::{Reader, visit_all};
use crate::output::{BAD, DIM, styled};
use crate::scenarios::{self, Which};

/// Execute a program on an input and show what it does
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The input is TOML or JSON (docs/input.md), or a capture of packets (pcap, pcapng), each packet a run.
--init writes a commented one for a program. What it expects is checked.

Exit status: 0 = ran, 1 = refused, stopped by a fault, or not what the input expects,
2 = bad usage or unreadable input, 3 = the environment lacks the engine.

Examples:
  bpfverdict run --init prog.bpf.o > input.toml
  bpfverdict run prog.bpf.o --only xdp_main --input input.toml
  bpfverdict run prog.bpf.o --engine jit --repeat 1000000")]
pub struct Args {
    /// ELF object, raw instructions, or text in the kernel's dialect
    #[arg(required_unless_present = "schema", value_name = "PATH")]
    path: Option<PathBuf>,

    #[command(flatten)]
    select: Select,

    #[command(flatten)]
    kernel: Kernel,

    #[arg(long, value_enum, default_value_t)]
    engine: Which,

    /// What the program gets, as TOML, JSON or a capture of packets
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// Write a commented input for the program instead of running it
    #[arg(long, conflicts_with_all = ["input", "repeat"])]
    init: bool,

    /// Print the JSON schema of inputs instead of running anything
    #[arg(long, exclusive = true)]
    schema: bool,

    /// How often to run; the time shown is the mean
    #[arg(long, value_name = "N", default_value_t = 1)]
    repeat: u32,

    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &Args) -> Result<Status, Failure> {
    let Some(path) = &args.path else {
        writeln!(std::io::stdout(), "{:#}", scenario::schema())?;
        return Ok(Status::Ok);
    };
    let profile = args.kernel.profile()?;
    let scenario = match &args.input {
        Some(file) => scenarios::read(file)?,
        None => Scenario::of(Step::default()),
    };
    let programs = programs(args, path, &profile)?;
    let chosen = choose(args, path, &programs, &scenario)?;
    if args.init {
        let text = crate::template::write(&programs, chosen, &profile);
        std::io::stdout().write_all(text.as_bytes())?;
        return Ok(Status::Ok);
    }
    if let (Some(what), Some(file)) = (scenarios::misfit(&scenario, &programs), &args.input) {
        return Err(Failure::file(file, what));
    }
    let mut engine = args.engine.engine(&profile)?;
    if args.engine != Which::Kernel {
        warn_if_refused(chosen, &profile);
    }
    match scenario.steps.as_slice() {
        [step] if !scenario.expects() => {
            let mut input = step.input();
            input.maps = [scenario.maps.clone(), input.maps].concat();
            once(args, &programs, chosen, &with_packet(input, chosen.prog_type), engine.as_mut())
        }
        _ => all(args, &programs, chosen, scenario, engine.as_mut()),
    }
}

/// One step that expects nothing: everything about it is shown.
fn once(
    args: &Args,
    programs: &[Program],
    chosen: &Program,
    input: &Input,
    engine: &mut dyn Engine,
) -> Result<Status, Failure> {
    // Programs in slots of program arrays must be there before the first run.
    for other in programs.iter().filter(|p| p.name != chosen.name && in_a_slot(chosen, &p.name)) {
        engine.load(other, &LoadOptions::with_level(0))?;
    }
    let load = engine.load(chosen, &LoadOptions::with_level(4))?;
    let Some(mut loaded) = load.program else {
        let why = load.judgement.message();
        crate::output::complain(BAD, "rejected", format!("{} refuses {}: {why}", engine.name(), chosen.name));
        return Ok(Status::Negative);
    };
    match loaded.run(input, args.repeat) {
        Ok(output) => {
            show(args, chosen, engine.name(), input, &output, loaded.as_mut())?;
            Ok(Status::Ok)
        }
        Err(e) => stopped(e),
    }
}

fn stopped(error: Error) -> Result<Status, Failure> {
    match error {
        Error::Fault(m) => {
            crate::output::complain(BAD, "fault", m);
            Ok(Status::Negative)
        }
        e => Err(Failure::environment(e)),
    }
}

/// Several steps, or expectations: what each returned, what is left, what does not hold.
fn all(
    args: &Args,
    programs: &[Program],
    chosen: &Program,
    mut scenario: Scenario,
    engine: &mut dyn Engine,
) -> Result<Status, Failure> {
    for step in &mut scenario.steps {
        step.program.get_or_insert_with(|| chosen.name.clone());
    }
    let played = match play(engine, programs, &scenario) {
        Ok(played) => played,
        Err(e) => return stopped(e),
    };
    let violations = expected::violations(&scenario, &played, programs);
    let mut out = crate::output::out();
    match args.format {
        Format::Human => {
            for (n, output) in played.steps.iter().enumerate() {
                let packet =
                    output.data.as_ref().map_or_else(String::new, |d| format!(", packet of {} bytes", d.len()));
                writeln!(out, "step {}: returns {} ({:#x}){packet}", n + 1, output.retval as i32, output.retval)?;
                for line in &output.trace {
                    writeln!(out, "  printk {line}")?;
                }
            }
            for event in &played.events {
                writeln!(out, "event   {}: {}", event.map, hex(&event.data))?;
            }
            for map in played.maps.values() {
                writeln!(out, "map     {}: {} entries", map.name, map.entries.len())?;
                for entry in map.entries.iter().take(32) {
                    writeln!(out, "  {} = {}", entry.key, entry.values.join(" | "))?;
                }
            }
            for violation in &violations {
                writeln!(out, "{}: {violation}", styled(BAD, "not as expected"))?;
            }
        }
        Format::Json => {
            let step = |o: &Output| serde_json::json!({ "retval": o.retval, "packet": o.data.as_deref().map(hex), "trace": o.trace });
            let value = serde_json::json!({
                "schema": 1, "program": chosen.name, "engine": engine.name(),
                "steps": played.steps.iter().map(step).collect::<Vec<_>>(),
                "events": played.events.iter().map(|e| serde_json::json!({ "map": e.map, "data": hex(&e.data) })).collect::<Vec<_>>(),
                "maps": played.maps.values().map(|m| serde_json::json!({
                    "name": m.name,
                    "entries": m.entries.iter().map(|e| serde_json::json!({ "key": e.key, "values": e.values })).collect::<Vec<_>>(),
                })).collect::<Vec<_>>(),
                "violations": violations,
            });
            writeln!(out, "{value}")?;
        }
        Format::Csv => {
            writeln!(out, "step,program,engine,retval")?;
            for (n, (output, step)) in played.steps.iter().zip(&scenario.steps).enumerate() {
                let program = step.program.as_deref().unwrap_or_default();
                writeln!(out, "{},{program},{},{}", n + 1, engine.name(), output.retval)?;
            }
        }
    }
    Ok(if violations.is_empty() { Status::Ok } else { Status::Negative })
}

fn programs(args: &Args, path: &PathBuf, profile: &spec::Profile) -> Result<Vec<Program>, Failure> {
    let all = Select { only: None, ..args.select.clone() };
    let reader = Reader::new(&all, profile)?;
    let mut programs = Vec::new();
    let mut bad = None;
    let status = visit_all(std::slice::from_ref(path), &reader, &mut |case| {
        match case.program {
            Ok(p) => programs.push(p),
            Err(e) if args.select.only.as_ref().is_none_or(|o| *o == e.name) => {
                bad = Some(format!("{}: {}", e.name, e.why))
            }
            Err(_) => {}
        }
        Ok(())
    })?;
    match bad {
        _ if status != Status::Ok => Err(Failure { status, ..Failure::input("") }),
        Some(why) => Err(Failure::file(path, why)),
        None => Ok(programs),
    }
}

/// The program that the command line names, or the first step, or the only one.
fn choose<'p>(
    args: &Args,
    path: &std::path::Path,
    programs: &'p [Program],
    scenario: &Scenario,
) -> Result<&'p Program, Failure> {
    let names = || programs.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
    let by_step = scenario.steps.first().and_then(|s| s.program.as_ref());
    match (args.select.only.as_ref().or(by_step), programs) {
        (Some(name), _) => programs
            .iter()
            .find(|p| p.name == *name)
            .ok_or_else(|| Failure::file(path, format!("no program `{name}`; there are {}", names()))),
        (None, [one]) => Ok(one),
        (None, _) => Err(Failure::file(path, format!("choose a program with --only; there are {}", names()))),
    }
}

fn in_a_slot(program: &Program, name: &str) -> bool {
    let slots = program.maps.iter().flat_map(|m| &m.slots);
    slots.into_iter().any(|(_, s)| matches!(s, program::SlotInit::Program(n) if n == name))
}

/// Types that run on a packet get an empty one of 64 bytes when none is given.
fn with_packet(mut input: Input, prog_type: u32) -> Input {
    let wants = kernel_diff::shape::of(prog_type).is_some_and(|s| s.data);
    if wants && input.packet.0.is_empty() {
        input.packet.0 = vec![0; 64];
    }
    input
}

fn warn_if_refused(program: &Program, profile: &spec::Profile) {
    let outcome = verifier::verify(program, profile, &verifier::Options::default());
    if outcome.verdict != verifier::Verdict::Accept {
        let last = outcome.message.lines().last().unwrap_or("");
        crate::output::note(format!("the kernel would not run this program: {last}"));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn show(
    args: &Args,
    program: &Program,
    engine: &str,
    input: &Input,
    output: &Output,
    loaded: &mut dyn Loaded,
) -> Result<(), Failure> {
    let maps = loaded.maps()?;
    let mut out = crate::output::out();
    match args.format {
        Format::Human => write!(out, "{}", human(args, input, output, &maps))?,
        Format::Json => writeln!(out, "{}", json(program, engine, output, &maps))?,
        Format::Csv => {
            writeln!(out, "program,engine,retval,duration_ns")?;
            writeln!(out, "{},{engine},{},{}", program.name, output.retval, output.duration_ns)?;
        }
    }
    Ok(())
}

fn human(args: &Args, input: &Input, output: &Output, maps: &[MapDump]) -> String {
    // Writing to a String cannot fail.
    let mut out = String::new();
    let _ = writeln!(out, "returns {} ({:#x})", output.retval as i32, output.retval);
    for line in &output.trace {
        let _ = writeln!(out, "printk  {line}");
    }
    match &output.data {
        Some(d) if *d == input.packet.0 => {
            let _ = writeln!(out, "packet  {} bytes, unchanged", d.len());
        }
        Some(d) => {
            let _ = writeln!(out, "packet  {} bytes\n  {}", d.len(), hex(d));
        }
        None => {}
    }
    for e in &output.events {
        let _ = writeln!(out, "event   {}: {}", e.map, hex(&e.data));
    }
    for m in maps.iter().filter(|m| !m.name.is_empty()) {
        let Some(entries) = &m.entries else { continue };
        let _ = writeln!(out, "map     {}: {} entries", m.name, entries.len());
        let zero = |v: &[u8]| v.iter().all(|b| *b == 0);
        for (key, value) in entries.iter().filter(|(_, v)| !zero(v)).take(32) {
            let _ = writeln!(out, "  {} = {}", hex(key), hex(value));
        }
    }
    if args.repeat > 1 {
        let _ = writeln!(out, "{}", styled(DIM, &format!("{} ns a run", output.duration_ns)));
    }
    out
}

fn json(program: &Program, engine: &str, output: &Output, maps: &[MapDump]) -> serde_json::Value {
    let map = |m: &MapDump| {
        let entries = m
            .entries
            .as_ref()
            .map(|e| e.iter().map(|(k, v)| serde_json::json!({ "key": hex(k), "value": hex(v) })).collect::<Vec<_>>());
        serde_json::json!({ "name": m.name, "entries": entries })
    };
    serde_json::json!({
        "schema": 1,
        "program": program.name,
        "engine": engine,
        "retval": output.retval,
        "packet": output.data.as_deref().map(hex),
        "ctx": output.ctx.as_deref().map(hex),
        "trace": output.trace,
        "events": output.events.iter().map(|e| serde_json::json!({ "map": e.map, "data": hex(&e.data) })).collect::<Vec<_>>(),
        "maps": maps.iter().filter(|m| !m.name.is_empty()).map(map).collect::<Vec<_>>(),
        "duration_ns": output.duration_ns,
    })
}
