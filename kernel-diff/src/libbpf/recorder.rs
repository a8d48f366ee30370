//! Makes the corpus's recordings on the running kernel, loading with libbpf itself: what our own loader makes of an object must not decide
//! what the kernel is recorded to have said about it. The format is `corpus::recorded`'s.

#![allow(unsafe_code, reason = "libbpf's log buffer and the errno of a load have no safe interface")]

use std::cell::RefCell;

use corpus::recorded::{self, Recorded, RunOutcome, Verdict};
use corpus::{Entry, Expected, literal};
use libbpf_rs::{
    AsRawLibbpf, MapCore, MapFlags, MapType, Object, ObjectBuilder, OpenObject, ProgramInput, ProgramMut,
    RingBufferBuilder,
};
use program::Program;

use crate::engine::Error;
use crate::judgement::Judgement;
use crate::{canonical, raw, shape};

/// What does not fit is not recorded: the kernel keeps the end of a longer log.
const LOG_SIZE: usize = 4 << 20;
const OUT_SIZE: usize = 1 << 16;

/// Asks this machine's kernel.
pub struct Recorder {
    kernel: recorded::Kernel,
}

fn failed(e: libbpf_rs::Error) -> Error {
    Error::Environment(e.to_string())
}

impl Recorder {
    pub fn new() -> Result<Self, Error> {
        let text =
            std::fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|e| Error::Environment(e.to_string()))?;
        // The build's name behind the number says nothing to others.
        let release = text.trim().split('-').next().unwrap_or_default().to_owned();
        let arch = std::env::consts::ARCH.to_owned();
        libbpf_rs::set_print(None);
        Ok(Self { kernel: recorded::Kernel { release, arch, via: "host".to_owned() } })
    }

    /// Loads every program and runs every run of an entry.
    pub fn record(&self, entry: &Entry) -> Result<Recorded, Error> {
        let programs =
            entry.object.programs.iter().map(|p| {
                Ok(recorded::Program { name: p.name.clone(), outcome: verdict(entry, &p.name)?, kernel: None })
            });
        let runs = entry.object.runs.iter().map(|run| {
            let outcome = match self::run(entry, run) {
                Ok(outcome) => outcome,
                Err(Error::Unsupported(why)) => RunOutcome::NotComparable { why },
                Err(error) => return Err(error),
            };
            Ok(recorded::Run { name: run.name.clone(), outcome })
        });
        Ok(Recorded {
            schema: recorded::SCHEMA,
            kernel: self.kernel.clone(),
            object_hash: recorded::hash(&entry.elf),
            programs: programs.collect::<Result<_, Error>>()?,
            runs: runs.collect::<Result<_, Error>>()?,
        })
    }
}

/// The programs that load with `name`: it alone, or all accepted ones where a program array wants its initial programs.
fn companions<'a>(entry: &'a Entry, object: &OpenObject, name: &'a str) -> Vec<&'a str> {
    let accepted = || entry.object.programs.iter().filter(|p| p.verdict == Expected::Accept).map(|p| p.name.as_str());
    let array = object.maps().any(|m| m.map_type() == MapType::ProgArray);
    if array && accepted().any(|n| n == name) { accepted().collect() } else { vec![name] }
}

fn open(entry: &Entry) -> Result<OpenObject, Error> {
    // libbpf puts the object's name before those of the maps of global variables.
    ObjectBuilder::default().name(&entry.object.name).map_err(failed)?.open_memory(&entry.elf).map_err(failed)
}

fn select(object: &mut OpenObject, names: &[&str]) {
    for mut program in object.progs_mut() {
        let wanted = program.name().to_str().is_some_and(|n| names.contains(&n));
        program.set_autoload(wanted);
    }
}

/// The kernel's answer at a log level: errno and the log.
fn load(entry: &Entry, name: &str, level: u32) -> Result<(i32, Vec<u8>), Error> {
    let mut log = vec![0u8; LOG_SIZE];
    let mut object = open(entry)?;
    let names = companions(entry, &object, name);
    select(&mut object, &names);
    for mut program in object.progs_mut().filter(|p| p.name() == name) {
        program.set_log_level(level);
        // SAFETY: `log` outlives `object`, which is dropped at the end of this function, before `log`; its length is the one given.
        let answer = unsafe {
            libbpf_sys::bpf_program__set_log_buf(
                program.as_libbpf_object().as_ptr(),
                log.as_mut_ptr().cast(),
                log.len() as libbpf_sys::size_t,
            )
        };
        if answer != 0 {
            return Err(Error::Environment(format!("bpf_program__set_log_buf: {answer}")));
        }
    }
    // The safe `load` keeps no errno.
    // SAFETY: the pointer is that of an open object, which stays alive and is not loaded yet.
    let errno = unsafe { libbpf_sys::bpf_object__load(object.as_libbpf_object().as_ptr()) };
    drop(object);
    log.truncate(log.iter().position(|b| *b == 0).unwrap_or(log.len()));
    Ok((errno, log))
}

fn verdict(entry: &Entry, name: &str) -> Result<Verdict, Error> {
    // At the level of statistics alone the log holds the message and the numbers, nothing else.
    let (errno, log) = load(entry, name, 4)?;
    let judgement = Judgement::from_log(errno == 0, errno, &log);
    if judgement.errno == -libc::EPERM && judgement.log.is_empty() {
        return Ok(Verdict::NotComparable { why: "the recording host refuses this program type: EPERM".to_owned() });
    }
    let (_, log) = load(entry, name, 2)?;
    let whole = log.len() + 1 < LOG_SIZE;
    let log = whole.then(|| recorded::Log::new(&String::from_utf8_lossy(&log)));
    let s = &judgement.stats;
    let stats = s.insns_processed.map(|insns_processed| recorded::Stats {
        insns_processed,
        max_states_per_insn: s.max_states_per_insn.unwrap_or_default(),
        total_states: s.total_states.unwrap_or_default(),
        peak_states: s.peak_states.unwrap_or_default(),
        stack_depth: s.stack_depth.clone(),
    });
    Ok(match (judgement.accepted, stats) {
        (true, Some(stats)) => Verdict::Accept { stats, log },
        (true, None) => return Err(Error::Environment(format!("{name}: accepted without statistics"))),
        (false, stats) => {
            let message = judgement.message().lines().map(str::to_owned).collect();
            Verdict::Reject { errno: judgement.errno, message, stats, log }
        }
    })
}

fn run(entry: &Entry, run: &corpus::Run) -> Result<RunOutcome, Error> {
    if let Some(why) = &run.user_space_only {
        return Err(Error::unsupported(why.clone()));
    }
    let accepted = entry.object.programs.iter().filter(|p| p.verdict == Expected::Accept);
    let names: Vec<&str> = accepted.map(|p| p.name.as_str()).collect();
    let mut object = open(entry)?;
    select(&mut object, &names);
    let object = object.load().map_err(|e| Error::unsupported(format!("the object does not load: {e}")))?;
    for preset in &run.maps {
        let map = object.maps().find(|m| m.name() == preset.map.as_str());
        let map = map.ok_or_else(|| Error::unsupported(format!("no map `{}`", preset.map)))?;
        for entry in &preset.entries {
            map.update(&entry.key.0, &entry.value.0, MapFlags::ANY)
                .map_err(|e| Error::unsupported(format!("map `{}` takes no preset: {e}", preset.map)))?;
        }
    }
    let mut steps = Vec::new();
    for step in &run.steps {
        let name = step.program.as_deref().unwrap_or_default();
        let program = object.progs_mut().find(|p| p.name() == name);
        let program = program.ok_or_else(|| Error::unsupported(format!("no program `{name}`")))?;
        steps.push(execute(&program, step)?);
    }
    let events = events(&object)?;
    let stable =
        object.maps().filter(|m| m.name().to_str().is_some_and(|n| !entry.object.unstable.iter().any(|u| u == n)));
    let maps = stable.map(|m| contents(&m)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    Ok(RunOutcome::Ran { steps, maps, events })
}

fn execute(program: &ProgramMut<'_>, step: &corpus::Step) -> Result<recorded::Step, Error> {
    let prog_type = program.prog_type() as u32;
    let shape = shape::of(prog_type).ok_or_else(|| Error::unsupported("the kernel has no test run for this type"))?;
    let typed = Program { prog_type, ..Program::default() };
    let mut input = raw::input(&typed, &shape, &step.input())?;
    // The classifiers' context comes back; give one even where the step says nothing.
    let is_classifier = matches!(shape.name, "sched_cls" | "sched_act");
    if is_classifier && input.ctx.is_none() {
        input.ctx = Some(vec![0; shape.ctx_size]);
    }
    let mut data_out = vec![0; OUT_SIZE];
    let mut ctx_out = vec![0; shape.ctx_size];
    // Socket filters give no packet back.
    let wants_data = input.data.is_some() && shape.name != "socket_filter";
    let output = program
        .test_run(ProgramInput {
            data_in: input.data.as_deref(),
            data_out: wants_data.then_some(&mut data_out),
            context_in: input.ctx.as_deref_mut(),
            context_out: is_classifier.then_some(&mut ctx_out),
            repeat: u32::from(shape.repeat),
            ..ProgramInput::default()
        })
        .map_err(|e| Error::unsupported(format!("the kernel refuses the test run: {e}")))?;
    let returns = output.return_value;
    let packet_out = output.data.map(|d| literal::hex(d));
    let ctx_out = if shape.name == "syscall" {
        // This type's context comes back in the buffer that it went in by.
        input.ctx.as_deref().map(literal::hex)
    } else {
        output.context.map(|c| literal::hex(c))
    };
    Ok(recorded::Step { returns, packet_out, ctx_out })
}

/// What waits in the ring buffers, map by map.
fn events(object: &Object) -> Result<Vec<recorded::Event>, Error> {
    let found = RefCell::new(Vec::new());
    for map in object.maps().filter(|m| m.map_type() == MapType::RingBuf) {
        let name = map.name().to_string_lossy().into_owned();
        let mut builder = RingBufferBuilder::new();
        builder
            .add(&map, |data| {
                found.borrow_mut().push(recorded::Event { map: name.clone(), data: literal::hex(data) });
                0
            })
            .map_err(failed)?;
        builder.build().map_err(failed)?.consume().map_err(failed)?;
    }
    Ok(found.into_inner())
}

/// A map's contents in canonical form; `None` for maps that recordings leave out.
fn contents(map: &libbpf_rs::Map<'_>) -> Result<Option<recorded::Map>, Error> {
    let map_type = map.map_type();
    let per_cpu = matches!(map_type, MapType::PercpuHash | MapType::PercpuArray | MapType::LruPercpuHash);
    let mut entries = Vec::new();
    match map_type {
        MapType::Queue | MapType::Stack => {
            while let Ok(Some(value)) = map.lookup_and_delete(&[]) {
                entries.push((Vec::new(), value));
            }
        }
        MapType::Hash | MapType::Array | MapType::LruHash | MapType::LpmTrie => {
            for key in map.keys() {
                if let Some(value) = map.lookup(&key, MapFlags::ANY).map_err(failed)? {
                    entries.push((key, value));
                }
            }
            entries.sort();
        }
        _ if per_cpu => {
            for key in map.keys() {
                if let Some(values) = map.lookup_percpu(&key, MapFlags::ANY).map_err(failed)? {
                    let slot = (map.value_size() as usize).next_multiple_of(8);
                    let padded = values.into_iter().flat_map(|mut v| {
                        v.resize(slot, 0);
                        v
                    });
                    entries.push((key, padded.collect()));
                }
            }
            entries.sort();
        }
        _ => return Ok(None),
    }
    let name = map.name().to_string_lossy().into_owned();
    let dump = crate::input::MapDump { name, entries: Some(entries), per_cpu };
    Ok(canonical::recorded_map(&dump, map_type as u32, map.value_size() as usize))
}
