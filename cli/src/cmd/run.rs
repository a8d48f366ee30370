//! `run`: one program on one input, in an engine of the user's choice.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use engines::userspace::{Backend, Userspace};
use kernel_diff::{Engine, Error, Input, LoadOptions, Loaded, MapDump, Output};
use program::Program;

use crate::args::{Format, Kernel, Select};
use crate::exit::{Failure, Status};
use crate::input::{Reader, visit_all};
use crate::output::{BAD, DIM, WARN, styled};

/// Execute a program on an input and show what it does
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The input is TOML or JSON: packet, meta, ctx, args, record, maps, world. Bytes are hex digits.

Exit status: 0 = ran, 1 = refused or stopped by a fault, 2 = bad usage or unreadable input,
3 = the environment lacks the engine.

Examples:
  bpfverdict run prog.bpf.o --only xdp_main --input udp.toml
  bpfverdict run prog.bpf.o --engine jit --repeat 1000000
  echo 'packet = \"ffffffffffff0000000000000800\"' > udp.toml")]
pub struct Args {
    /// ELF object, raw instructions, or text in the kernel's dialect
    path: PathBuf,

    #[command(flatten)]
    select: Select,

    #[command(flatten)]
    kernel: Kernel,

    #[arg(long, value_enum, default_value_t)]
    engine: Which,

    /// What the program gets, as TOML or JSON
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// How often to run; the time shown is the mean
    #[arg(long, value_name = "N", default_value_t = 1)]
    repeat: u32,

    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    /// The interpreter: every access checked
    #[default]
    Interp,
    /// The x86-64 JIT
    Jit,
    /// The kernel of this machine (BPF_PROG_TEST_RUN)
    Kernel,
}

pub fn run(args: &Args) -> Result<Status, Failure> {
    let profile = args.kernel.profile()?;
    let input = match &args.input {
        Some(path) => parse_input(path)?,
        None => Input::default(),
    };
    let programs = programs(args, &profile)?;
    let chosen = choose(args, &programs)?;
    let input = with_packet(input, chosen.prog_type);
    let btf = Some(profile.btf().clone());
    let mut engine: Box<dyn Engine> = match args.engine {
        Which::Interp => Box::new(Userspace::new(Backend::Interpreter, btf).with_facts(profile.clone())),
        Which::Jit => Box::new(Userspace::new(Backend::Jit, btf).with_facts(profile.clone())),
        Which::Kernel => kernel_diff::live::host()?,
    };
    if args.engine != Which::Kernel {
        warn_if_refused(chosen, &profile);
    }
    // Programs in slots of program arrays must be there before the first run.
    for other in programs.iter().filter(|p| p.name != chosen.name && in_a_slot(chosen, &p.name)) {
        engine.load(other, &LoadOptions::with_level(0))?;
    }
    let load = engine.load(chosen, &LoadOptions::with_level(4))?;
    let Some(mut loaded) = load.program else {
        let why = load.judgement.message();
        anstream::eprintln!("{}: {} refuses {}: {why}", styled(BAD, "rejected"), engine.name(), chosen.name);
        return Ok(Status::Negative);
    };
    match loaded.run(&input, args.repeat) {
        Ok(output) => {
            show(args, chosen, engine.name(), &input, &output, loaded.as_mut())?;
            Ok(Status::Ok)
        }
        Err(Error::Fault(m)) => {
            anstream::eprintln!("{}: {m}", styled(BAD, "fault"));
            Ok(Status::Negative)
        }
        Err(e) => Err(Failure::environment(e)),
    }
}

fn programs(args: &Args, profile: &spec::Profile) -> Result<Vec<Program>, Failure> {
    let all = Select { only: None, ..args.select.clone() };
    let reader = Reader::new(&all, profile)?;
    let mut programs = Vec::new();
    let mut bad = None;
    let status = visit_all(std::slice::from_ref(&args.path), &reader, &mut |case| {
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
        Some(why) => Err(Failure::file(&args.path, why)),
        None => Ok(programs),
    }
}

fn choose<'p>(args: &Args, programs: &'p [Program]) -> Result<&'p Program, Failure> {
    let names = || programs.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
    match (&args.select.only, programs) {
        (Some(name), _) => programs
            .iter()
            .find(|p| p.name == *name)
            .ok_or_else(|| Failure::file(&args.path, format!("no program `{name}`; there are {}", names()))),
        (None, [one]) => Ok(one),
        (None, _) => Err(Failure::file(&args.path, format!("choose a program with --only; there are {}", names()))),
    }
}

fn in_a_slot(program: &Program, name: &str) -> bool {
    let slots = program.maps.iter().flat_map(|m| &m.slots);
    slots.into_iter().any(|(_, s)| matches!(s, program::SlotInit::Program(n) if n == name))
}

fn parse_input(path: &Path) -> Result<Input, Failure> {
    let bytes = crate::input::read(path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|e| Failure::file(path, format!("offset {}: expected text", e.valid_up_to())))?;
    if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|e| Failure::file(path, e))
    } else {
        toml::from_str(text).map_err(|e| Failure::file(path, e))
    }
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
        anstream::eprintln!("{}: the kernel would not run this program: {last}", styled(WARN, "note"));
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
    let mut out = anstream::stdout();
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
