//! The corpus that is embedded keeps its promises: complete, compiled from what is there, and recorded with the outcome that its authors
//! expect. Whether our own engines agree is tested where they are.

use std::collections::BTreeSet;

use corpus::literal::hex;
use corpus::recorded::{self, RunOutcome, Verdict};
use corpus::{Corpus, Entry, Expected, Recorded};

fn corpus() -> Corpus {
    Corpus::embedded().expect("the embedded corpus is readable")
}

fn recording(entry: &Entry) -> &Recorded {
    entry.recorded.as_ref().unwrap_or_else(|| panic!("{}: not recorded", entry.id()))
}

#[test]
fn the_folder_and_the_embedded_copy_are_the_same() {
    let folder = Corpus::open(env!("CARGO_MANIFEST_DIR").as_ref()).expect("the folder is readable");
    let ids = |c: &Corpus| c.entries.iter().map(|e| (e.id(), recorded::hash(&e.elf))).collect::<Vec<_>>();
    assert_eq!(ids(&folder), ids(&corpus()));
}

#[test]
fn every_source_is_in_a_manifest_and_small_when_compiled() {
    let corpus = corpus();
    let ids: BTreeSet<String> = corpus.entries.iter().map(Entry::id).collect();
    assert_eq!(ids.len(), corpus.entries.len(), "two objects have one name");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in std::fs::read_dir(root).unwrap().map(|f| f.unwrap().path()).filter(|p| p.is_dir()) {
        for file in std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()) {
            let path = file.strip_prefix(root).unwrap().display().to_string();
            if let Some(id) = path.strip_suffix(".bpf.c").or(path.strip_suffix(".bpf.o")) {
                assert!(ids.contains(id), "{path} is in no manifest");
            }
        }
    }
    for entry in &corpus.entries {
        assert_eq!(entry.elf.get(..4), Some(&b"\x7fELF"[..]), "{}", entry.id());
        assert_eq!(entry.elf.get(18..20), Some(&[247, 0][..]), "{}: not for BPF", entry.id());
        assert!(entry.elf.len() < 16 << 10, "{}: {} bytes", entry.id(), entry.elf.len());
        assert!(entry.source.as_ref().is_some_and(|s| s.starts_with(b"// SPDX-License-Identifier: MIT OR Apache-2.0")));
    }
}

#[test]
fn the_kernel_gives_the_expected_verdicts() {
    for entry in corpus().entries {
        let recorded = recording(&entry);
        assert!(entry.is_fresh(), "{}: recorded from another object; run `cargo xtask corpus record`", entry.id());
        assert_eq!(recorded.programs.len(), entry.object.programs.len(), "{}", entry.id());
        for (expected, got) in entry.object.programs.iter().zip(&recorded.programs) {
            let id = format!("{} {}", entry.id(), expected.name);
            assert_eq!(expected.name, got.name, "{id}");
            match (&got.outcome, expected.verdict) {
                (Verdict::Accept { stats, .. }, Expected::Accept) => assert!(stats.insns_processed > 0, "{id}"),
                (Verdict::Reject { message, errno, .. }, Expected::Reject) => {
                    assert!(*errno < 0, "{id}");
                    let wanted = expected.message.as_deref().unwrap_or_default();
                    assert!(message.join("\n").contains(wanted), "{id}: {message:?} lacks {wanted:?}");
                }
                (Verdict::NotComparable { why }, _) => assert!(!why.is_empty(), "{id}"),
                (outcome, expected) => panic!("{id}: expected {expected:?}, the kernel says {outcome:?}"),
            }
        }
    }
}

#[test]
fn the_kernel_gives_the_expected_results() {
    for entry in corpus().entries {
        let recorded = recording(&entry);
        assert_eq!(recorded.runs.len(), entry.object.runs.len(), "{}", entry.id());
        for (expected, got) in entry.object.runs.iter().zip(&recorded.runs) {
            let id = format!("{} / {}", entry.id(), expected.name);
            assert_eq!(expected.name, got.name, "{id}");
            let RunOutcome::Ran { steps, maps, events } = &got.outcome else { continue };
            assert_eq!(steps.len(), expected.steps.len(), "{id}");
            for (want, step) in expected.steps.iter().zip(steps) {
                assert_eq!(Some(step.returns), want.returns.map(|n| n as u32), "{id}");
                if let Some(packet) = &want.packet_out {
                    assert_eq!(step.packet_out.as_deref(), Some(hex(packet.bytes()).as_str()), "{id}");
                }
                if let Some(record) = &want.record_out {
                    assert_eq!(step.ctx_out.as_deref(), Some(hex(&record.0).as_str()), "{id}");
                }
            }
            for want in &expected.after {
                let map =
                    maps.iter().find(|m| m.name == want.map).unwrap_or_else(|| panic!("{id}: no map {}", want.map));
                let found = map.entries.iter().find(|e| e.key == hex(&want.key.0)).map(|e| e.values.clone());
                assert_eq!(found, want.value.as_ref().map(|v| vec![hex(&v.0)]), "{id}: {}", want.map);
            }
            let sent: Vec<_> = events.iter().map(|e| (e.map.clone(), e.data.clone())).collect();
            let wanted: Vec<_> = expected.events.iter().map(|e| (e.map.clone(), hex(&e.data.0))).collect();
            assert_eq!(sent, wanted, "{id}");
        }
    }
}

#[test]
fn every_rule_is_kept_by_one_program_and_broken_by_another() {
    let corpus = corpus();
    let rules: Vec<_> = corpus.entries.iter().filter(|e| e.kind == "rules").collect();
    assert!(rules.len() >= 25, "{} rules", rules.len());
    for entry in rules {
        for verdict in [Expected::Accept, Expected::Reject] {
            assert!(entry.object.programs.iter().any(|p| p.verdict == verdict), "{}: no {verdict:?}", entry.id());
        }
    }
}

#[test]
fn mistakes_in_a_manifest_are_named() {
    let refuse = |manifest: &str, complaint: &str| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("xdp")).unwrap();
        std::fs::write(dir.path().join("xdp/corpus.toml"), manifest).unwrap();
        let error = Corpus::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    };
    refuse("object = 1", "xdp/corpus.toml");
    let object = "[[object]]\nname = \"a\"\nshows = \"\"\n";
    refuse(&format!("{object}programs = [{{ name = \"p\", verdict = \"reject\" }}]"), "no message");
    let accepted = format!("{object}programs = [{{ name = \"p\", verdict = \"accept\" }}]\n");
    refuse(&accepted, "a.bpf.o is missing");
    let run = |step: &str| format!("{accepted}[[object.run]]\nname = \"r\"\nsteps = [{{ {step}, returns = 0 }}]");
    refuse(&run("program = \"q\""), "no program `q`");
    refuse(&run("program = \"p\", packet = \"nowhere\""), "bad byte literal");
}
