//! The verifier as other kernels than 6.18, on the corpus: against what those kernels were recorded to say (`kernels/<series>.jsonl`, by
//! `cargo xtask judge --record`). Verdict, errno, message and counters.

use std::collections::BTreeMap;
use std::path::Path;

use corpus::Corpus;
use serde::Deserialize;
use spec::Profile;
use verifier::{Options, verify};

/// Programs of which only our counters differ. An entry that agrees fails the test.
const COUNTERS_DIFFER: &[(&str, &str)] = &[
    ("6.1", "syscall/sum_loop.bpf.o:sum_loop"),
    ("6.1", "xdp/parse_deep.bpf.o:parse_deep"),
    ("7.2", "xdp/parse_deep.bpf.o:parse_deep"),
];

/// One kernel's answer to one program.
#[derive(Debug, PartialEq, Deserialize)]
struct Answer {
    verdict: String,
    errno: i32,
    message: String,
    insns: Option<u64>,
    total: Option<u64>,
    peak: Option<u64>,
}

/// By `xdp/drop_udp.bpf.o:drop_udp`.
fn recorded(series: &str) -> BTreeMap<String, Answer> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("kernels/{series}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let line = |l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{}: {l}: {e}", path.display()));
    text.lines().map(line).collect()
}

/// Judges the whole corpus for a kernel and compares what it was asked.
fn compare(series: &str) {
    let profile = Profile::load(series).expect("a profile in the source tree");
    let recorded = recorded(series);
    let (mut compared, mut wrong) = (0, Vec::new());
    for entry in Corpus::embedded().expect("the embedded corpus").entries {
        let options =
            loader::Options { object_name: entry.object.name.clone(), ..loader::Options::for_profile(&profile) };
        let object = loader::open(&entry.elf, &options).unwrap_or_else(|e| panic!("{}: {e}", entry.id()));
        let mut linker = object.linker(Some(profile.btf()));
        for (index, program) in object.programs.iter().enumerate() {
            let name = format!("{}.bpf.o:{}", entry.id(), program.name);
            let made = linker.program(index);
            let Some(kernel) = recorded.get(&name) else {
                // What it attaches to is not in that kernel.
                assert!(made.is_err(), "Linux {series} was not asked about {name}");
                continue;
            };
            if kernel.verdict == "not asked" {
                continue;
            }
            let made = made.unwrap_or_else(|e| panic!("{name}: {e}"));
            let said = verify(&made, &profile, &Options::default());
            // Refusals before the verification have no statistics, and where the kernel is silent, the words are ours.
            let counted = |n: u32| kernel.insns.is_some().then_some(u64::from(n));
            let silent = kernel.message.is_empty() && said.id == Some("BV0003");
            let mut ours = Answer {
                verdict: said.verdict.name().to_owned(),
                errno: said.errno,
                message: if silent { String::new() } else { said.message.trim_end().to_owned() },
                insns: counted(said.stats.insns_processed),
                total: counted(said.stats.total_states),
                peak: counted(said.stats.peak_states),
            };
            compared += 1;
            if COUNTERS_DIFFER.contains(&(series, &name)) {
                assert_ne!(ours, *kernel, "Linux {series}: {name} agrees: remove it from the list");
                (ours.insns, ours.total, ours.peak) = (kernel.insns, kernel.total, kernel.peak);
            }
            if ours != *kernel {
                wrong.push(format!("{name}\n  ours   {ours:?}\n  kernel {kernel:?}"));
            }
        }
    }
    let all = recorded.len();
    assert!(wrong.is_empty(), "Linux {series}: {} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared * 100 >= all * 95, "Linux {series}: only {compared} of {all} programs could be compared");
}

#[test]
fn linux_5_10() {
    compare("5.10");
}

#[test]
fn linux_6_1() {
    compare("6.1");
}

#[test]
fn linux_6_12() {
    compare("6.12");
}

#[test]
fn linux_7_2() {
    compare("7.2");
}
