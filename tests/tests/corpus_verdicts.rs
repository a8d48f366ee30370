//! The verifier on the corpus, against what the kernel was recorded to say: verdict, errno, message, every counter, and the level-2 log line
//! by line. Execution is tested beside the engines.

use std::sync::Arc;

use corpus::recorded::{Log, Stats, Verdict};
use corpus::{Corpus, Entry};
use program::Program;
use spec::Profile;
use verifier::{Options, Outcome, verify};

fn program(entry: &Entry, name: &str, vmlinux: &Arc<btf::Btf>) -> Program {
    let options = loader::Options { object_name: entry.object.name.clone(), ..loader::Options::default() };
    let object = loader::open(&entry.elf, &options).unwrap_or_else(|e| panic!("{}: {e}", entry.id()));
    let index = object.programs.iter().position(|p| p.name == name);
    let index = index.unwrap_or_else(|| panic!("{}: no program {name}", entry.id()));
    object.program(index, Some(vmlinux)).unwrap_or_else(|e| panic!("{} {name}: {e}", entry.id()))
}

/// The lines that differ first.
fn log_difference(ours: &str, kernel: &Log) -> Option<String> {
    let ours = Log::new(ours);
    if ours.hash == kernel.hash {
        return None;
    }
    let (Some(a), Some(b)) = (&ours.text, &kernel.text) else {
        return Some(format!("logs differ: {} lines, the kernel's {}", ours.lines, kernel.lines));
    };
    // From there on it is the loader that speaks: it names the member that was not found.
    let by_kernel = |(_, (_, b)): &(usize, (&str, &str))| !b.ends_with("<invalid CO-RE relocation>");
    let mut lines = a.lines().zip(b.lines()).enumerate().take_while(by_kernel);
    let (n, (a, b)) = lines.find(|(_, (a, b))| without_btf_id(a) != without_btf_id(b))?;
    Some(format!("log line {}:\n  ours   {a}\n  kernel {b}", n + 1))
}

/// A call without the id of a kernel function: ids are those of the BTF of one build of the kernel. Numbers of helpers are small.
fn without_btf_id(line: &str) -> &str {
    let Some((call, id)) = line.rsplit_once('#').filter(|(call, _)| call.contains("call ")) else { return line };
    let id = id.trim_end_matches([' ', ';']);
    if id.len() >= 4 && id.bytes().all(|b| b.is_ascii_digit()) { call } else { line }
}

fn stats_difference(ours: &Outcome, kernel: &Stats) -> Option<String> {
    let s = &ours.stats;
    let depth = s.stack_depths.iter().map(i32::to_string).collect::<Vec<_>>().join("+");
    let ours = Stats {
        insns_processed: s.insns_processed.into(),
        max_states_per_insn: s.max_states_per_insn.into(),
        total_states: s.total_states.into(),
        peak_states: s.peak_states.into(),
        stack_depth: kernel.stack_depth.is_some().then_some(depth),
    };
    (ours != *kernel).then(|| format!("counters {ours:?}\n  kernel {kernel:?}"))
}

fn differences(ours: &Outcome, kernel: &Verdict) -> Vec<String> {
    let (wanted, errno, message, stats, log) = match kernel {
        Verdict::Accept { stats, log } => (verifier::Verdict::Accept, 0, String::new(), Some(stats), log.as_ref()),
        Verdict::Reject { errno, message, stats, log } => {
            (verifier::Verdict::Reject, *errno, message.join("\n"), stats.as_ref(), log.as_ref())
        }
        Verdict::NotComparable { .. } => return Vec::new(),
    };
    if ours.verdict != wanted {
        return vec![format!("{:?}: {}; the kernel: {wanted:?} {message}", ours.verdict, ours.message)];
    }
    let mut found = Vec::new();
    if ours.errno != errno {
        found.push(format!("errno {}, the kernel's {errno}", ours.errno));
    }
    if ours.message != message {
        found.push(format!("message {:?}, the kernel's {message:?}", ours.message));
    }
    found.extend(stats.and_then(|s| stats_difference(ours, s)));
    let log = log.filter(|_| !ours.log.is_empty());
    found.extend(log.and_then(|log| log_difference(&ours.log, log)));
    found
}

#[test]
fn every_verdict_and_log_is_the_kernels() {
    let profile = Profile::reference();
    let vmlinux = Arc::clone(profile.btf());
    let mut wrong = Vec::new();
    let mut compared = 0;
    for entry in Corpus::embedded().expect("the embedded corpus").entries {
        let recorded = entry.recorded.as_ref().unwrap_or_else(|| panic!("{}: not recorded", entry.id()));
        for kernel in &recorded.programs {
            let log_level = match &kernel.outcome {
                Verdict::NotComparable { .. } => continue,
                Verdict::Accept { log, .. } | Verdict::Reject { log, .. } => {
                    if log.is_some() {
                        2
                    } else {
                        0
                    }
                }
            };
            // Another kernel's log names the ids of its own BTF.
            let log_level = if kernel.kernel.is_none() { log_level } else { 0 };
            let outcome = verify(&program(&entry, &kernel.name, &vmlinux), &profile, &Options { log_level });
            compared += 1;
            for difference in differences(&outcome, &kernel.outcome) {
                wrong.push(format!("{} {}: {difference}", entry.id(), kernel.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences in {compared} programs:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 136, "only {compared} programs compared");
}
