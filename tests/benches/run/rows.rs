//! The rows of the table: programs, the inputs that they get, and what their maps hold before. Not here: engines and timing.

use std::sync::Arc;

use corpus::Corpus;
use program::Program;
use runtime::Input;
use runtime::input::{Blob, Entry, MapPreset};
use spec::Profile;

/// One workload.
pub struct Row {
    pub name: String,
    /// All programs of the object; tail calls lead from one to another.
    pub programs: Vec<Program>,
    /// Which of them is run.
    pub main: usize,
    pub input: Input,
    /// Map contents, put in once.
    pub presets: Vec<MapPreset>,
    /// Runs in a row that take a few milliseconds at most.
    pub repeat: u32,
}

impl Row {
    pub fn is_empty(&self) -> bool {
        self.name == "empty run"
    }

    pub fn program(&self) -> &Program {
        &self.programs[self.main]
    }
}

/// Title, program, repeat.
const OWN: [(&str, &str, u32); 20] = [
    ("empty run", "empty", 20_000),
    ("ALU loop 100k", "alu_loop", 10),
    ("stack copy", "stack_copy", 300),
    ("prime sieve", "prime_sieve", 300),
    ("checksum 1,500 B", "checksum", 3_000),
    ("checksum, stepwise", "checksum_stepwise", 2_000),
    ("jhash", "jhash", 3_000),
    ("array look-up 100x", "array_lookup", 2_000),
    ("per-CPU array 100x", "percpu_lookup", 2_000),
    ("hash look-up 100x", "hash_lookup", 500),
    ("hash update 100x", "hash_update", 200),
    ("LRU look-up 100x", "lru_lookup", 500),
    ("LRU update 100x", "lru_update", 200),
    ("bpf-to-bpf call 1k", "bpf_calls", 200),
    ("tail calls 10", "tail_calls", 5_000),
    ("bpf_loop 1k", "loop_helper", 200),
    ("ring buffer 10x", "ring_buffer", 3_000),
    ("atomics 300x", "atomics", 500),
    ("atomics, fetch 600x", "atomics_fetch", 200),
    (".bss counter 100x", "bss_counter", 2_000),
];

const REAL: [&str; 4] = ["xdp/parse_deep", "xdp/count_by_source", "xdp/lpm_route", "xdp/load_balance"];

pub fn rows() -> Vec<Row> {
    let vmlinux = Arc::clone(Profile::default().btf());
    let elf: &[u8] = include_bytes!("workloads.bpf.o");
    let programs = programs(elf, "workloads", &vmlinux);
    let mut rows: Vec<Row> = OWN
        .iter()
        .map(|(name, program, repeat)| Row {
            name: (*name).into(),
            main: programs.iter().position(|p| p.name == *program).unwrap_or_else(|| panic!("no program {program}")),
            programs: programs.clone(),
            input: Input { packet: Blob((0..1514u32).map(|i| (i * 7 % 251) as u8).collect()), ..Input::default() },
            presets: full(&programs, program),
            repeat: *repeat,
        })
        .collect();
    let corpus = Corpus::embedded().expect("the embedded corpus");
    rows.extend(REAL.iter().map(|id| real(&corpus, id, &vmlinux)));
    rows
}

fn programs(elf: &[u8], name: &str, vmlinux: &Arc<btf::Btf>) -> Vec<Program> {
    let options = loader::Options { object_name: name.into(), ..loader::Options::default() };
    let object = loader::open(elf, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
    (0..object.programs.len())
        .map(|i| object.program(i, Some(vmlinux)).unwrap_or_else(|e| panic!("{name}: {e}")))
        .collect()
}

/// Keys from 0 on in the program's hash maps, up to what they hold.
fn full(programs: &[Program], name: &str) -> Vec<MapPreset> {
    let maps = programs.iter().filter(|p| p.name == name).flat_map(|p| &p.maps);
    let hashes = maps.filter(|m| matches!(m.map_type, 1 | 9) && name != "hash_update");
    let entry = |i: u32| Entry {
        key: Blob(i.to_le_bytes().to_vec()),
        value: Blob(u64::from(i).to_le_bytes().to_vec()),
        slot: None,
    };
    hashes
        .map(|m| MapPreset {
            map: m.name.clone(),
            entries: (0..m.max_entries.min(if m.map_type == 1 { 100 } else { 50_000 })).map(entry).collect(),
            ..MapPreset::default()
        })
        .collect()
}

fn real(corpus: &Corpus, id: &str, vmlinux: &Arc<btf::Btf>) -> Row {
    let entry = corpus.find(id).unwrap_or_else(|| panic!("no {id} in the corpus"));
    let run = &entry.object.runs[0];
    let step = &run.steps[0];
    let programs = programs(&entry.elf, &entry.object.name, vmlinux);
    Row {
        name: format!("real: {}", entry.object.name),
        main: programs.iter().position(|p| Some(&p.name) == step.program.as_ref()).unwrap_or(0),
        programs,
        input: step.input(),
        presets: run.maps.clone(),
        repeat: 20_000,
    }
}
