//! How long our verifier takes beside the kernel's own `verification time`, program by program, in one run on one machine.
//!
//! ```text
//! cargo bench -p bpfverdict-tests --bench verify
//! BPFVERDICT_RECORDS=records.jsonl cargo bench ...        load records besides the corpus
//! ```
//! Without the feature, or without the privilege to ask the kernel, only our times are shown, and that is said. The goals: in sum
//! no slower than the kernel, half its time in the median, 200 MB at the most. Nothing is asserted: machines differ.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use corpus::Corpus;
use criterion::{BatchSize, Criterion};
use kernel_diff::{Engine, LoadOptions};
use program::Program;
use spec::Profile;
use verifier::{Options, verify};

/// The best of so many rounds counts: a busy machine only ever adds.
const ROUNDS: usize = 5;

struct Case {
    name: String,
    program: Program,
    profile: Profile,
    insns: u32,
    ours_us: f64,
    kernel_us: Option<f64>,
}

fn corpus_cases() -> Vec<Case> {
    let profile = Profile::default();
    let vmlinux = Arc::clone(profile.btf());
    let mut cases = Vec::new();
    for entry in Corpus::embedded().expect("the embedded corpus").entries {
        let options = loader::Options { object_name: entry.object.name.clone(), ..loader::Options::default() };
        let object = loader::open(&entry.elf, &options).unwrap_or_else(|e| panic!("{}: {e}", entry.id()));
        for (i, p) in object.programs.iter().enumerate() {
            let program = object.program(i, Some(&vmlinux));
            let program = program.unwrap_or_else(|e| panic!("{} {}: {e}", entry.id(), p.name));
            cases.push(case(format!("{} {}", entry.id(), p.name), program, &profile));
        }
    }
    cases
}

/// The records of a file of JSON lines; those that cannot be read are named.
fn record_cases(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut reader = loader::records::Reader::new(path.parent().unwrap_or(Path::new(".")));
    let mut profile = Profile::default();
    let mut cases = Vec::new();
    for line in text.lines() {
        match reader.parse_line(line) {
            Ok(record) => {
                if let Some(b) = record.vmlinux {
                    profile = profile.with_btf(b);
                }
                cases.push(case(record.id.unwrap_or_default(), record.program, &profile));
            }
            Err(e) => eprintln!("skipped: {e}"),
        }
    }
    cases
}

fn case(name: String, program: Program, profile: &Profile) -> Case {
    Case { name, program, profile: profile.clone(), insns: 0, ours_us: f64::INFINITY, kernel_us: None }
}

/// One round. A warm-up before it would hide what a first look at a type costs; the best of several rounds does too.
fn measure(c: &mut Case, kernel: Option<&mut Box<dyn Engine>>) {
    let start = Instant::now();
    let outcome = verify(&c.program, &c.profile, &Options::default());
    c.ours_us = c.ours_us.min(start.elapsed().as_secs_f64() * 1e6);
    c.insns = outcome.stats.insns_processed;
    let Some(kernel) = kernel else { return };
    kernel.forget_maps();
    let answer = kernel.load(&c.program, &LoadOptions::with_level(4));
    if let Some(us) = answer.ok().and_then(|l| l.judgement.stats.verification_us) {
        let us = us as f64;
        c.kernel_us = Some(c.kernel_us.map_or(us, |best| best.min(us)));
    }
}

fn compare(cases: &mut [Case]) {
    let mut kernel =
        kernel_diff::live::host().map_err(|e| eprintln!("*** OUR TIMES ONLY, NO KERNEL TO COMPARE WITH: {e} ***")).ok();
    for _ in 0..ROUNDS {
        for c in cases.iter_mut() {
            measure(c, kernel.as_mut());
        }
    }
    let ours: f64 = cases.iter().map(|c| c.ours_us).sum();
    println!("{} programs, ours {:.1} ms in sum", cases.len(), ours / 1e3);
    let mut pairs: Vec<(&Case, f64)> = cases.iter().filter_map(|c| Some((c, c.kernel_us?.max(1.0)))).collect();
    if pairs.is_empty() {
        return;
    }
    let (ours, theirs) = pairs.iter().fold((0.0, 0.0), |(o, k), (c, t)| (o + c.ours_us, k + t));
    pairs.sort_by(|(a, s), (b, t)| (a.ours_us / s).total_cmp(&(b.ours_us / t)));
    let median = pairs[pairs.len() / 2];
    println!(
        "{} that the kernel timed: ours {:.1} ms, the kernel's {:.1} ms, ratio {:.2}; median ratio {:.2}",
        pairs.len(),
        ours / 1e3,
        theirs / 1e3,
        ours / theirs,
        median.0.ours_us / median.1
    );
    pairs.sort_by(|(a, s), (b, t)| (b.ours_us - t).total_cmp(&(a.ours_us - s)));
    println!("most time lost to the kernel:");
    for (c, t) in pairs.iter().take(10) {
        println!("  {:>9.0} us, kernel {t:>9.0} us, {:>7} insns  {}", c.ours_us, c.insns, c.name);
    }
}

/// Peak resident set of this process in MB since the last [`forget_peak`]; `None` where `/proc` does not tell.
fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kb| kb / 1024.0)
}

fn forget_peak() {
    // Where this is refused the peak is that of the whole run: an upper bound.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn memory(cases: &[Case]) {
    let mut worst: Option<(f64, &str)> = None;
    let mut heaviest: Vec<&Case> = cases.iter().collect();
    heaviest.sort_by_key(|c| std::cmp::Reverse(c.insns));
    for c in heaviest.into_iter().take(5) {
        forget_peak();
        verify(&c.program, &c.profile, &Options::default());
        if let Some(mb) = peak_mb().filter(|mb| worst.is_none_or(|(w, _)| *mb > w)) {
            worst = Some((mb, &c.name));
        }
    }
    match worst {
        Some((mb, name)) => println!("peak resident set {mb:.0} MB, on {name}"),
        None => println!("peak resident set unknown: no /proc/self/status"),
    }
}

/// The same under criterion, for comparing one commit with another: the whole corpus, and its heaviest programs.
fn ours(c: &mut Criterion, cases: &[Case]) {
    let mut group = c.benchmark_group("verify");
    group.sample_size(10);
    group.bench_function("corpus", |b| {
        b.iter(|| {
            cases.iter().map(|c| verify(&c.program, &c.profile, &Options::default()).stats.insns_processed).sum::<u32>()
        });
    });
    let mut heaviest: Vec<&Case> = cases.iter().collect();
    heaviest.sort_by_key(|c| std::cmp::Reverse(c.insns));
    for case in heaviest.into_iter().take(5) {
        group.bench_function(&case.name, |b| {
            b.iter_batched(
                || (),
                |()| verify(&case.program, &case.profile, &Options::default()),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn main() {
    let mut cases = corpus_cases();
    let in_corpus = cases.len();
    if let Some(path) = std::env::var_os("BPFVERDICT_RECORDS") {
        cases.extend(record_cases(Path::new(&path)));
    }
    compare(&mut cases);
    memory(&cases);
    let mut criterion = Criterion::default().configure_from_args();
    ours(&mut criterion, &cases[..in_corpus]);
    criterion.final_summary();
}
