//! Reports as people read them: every refused program of the corpus' rules and causes, and logs in the forms that kernels and loaders
//! gave them. What is asserted is the whole text, so that a change of words is seen and read.

mod common;

use common::{bpfverdict, corpus};

/// The refused programs of an object.
fn refused(object: &str) -> Vec<String> {
    let said = bpfverdict(&["verify", "--format", "json", object]);
    let rows = said.out.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
    rows.filter(|r| r["verdict"] == "reject").map(|r| r["program"].as_str().unwrap().to_owned()).collect()
}

fn objects(folder: &str) -> Vec<String> {
    let names = std::fs::read_dir(corpus(folder)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|n| n.ends_with(".bpf.o")).map(|n| format!("{folder}/{n}")).collect();
    names.sort();
    names
}

/// The report without the line that says which other kernels were asked: that depends on the profiles that are there.
fn report(text: &str) -> String {
    let mut out = String::new();
    let mut skipping = false;
    for line in text.lines() {
        let note = line.trim_start().starts_with("= note:");
        let kernels = line.contains("= note: every kernel asked") || line.contains("= note: refused by Linux");
        skipping = kernels || (skipping && !note && line.trim_start().len() + 10 < line.len());
        if !skipping {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[test]
fn every_refused_program_of_the_corpus_has_a_report() {
    let mut count = 0;
    for folder in ["rules", "causes"] {
        for object in objects(folder) {
            for program in refused(&object) {
                let said = bpfverdict(&["explain", "--only", &program, &object]);
                assert_eq!(said.status, 0, "{object} {program}: {}", said.all());
                let name = object.trim_end_matches(".bpf.o").replace('/', "_");
                insta::with_settings!({ snapshot_path => "snapshots/reports", prepend_module_to_snapshot => false }, {
                    insta::assert_snapshot!(format!("{name}_{program}"), report(&said.out));
                });
                count += 1;
            }
        }
    }
    assert!(count >= 45, "{count} reports");
}

#[test]
fn every_form_of_log_has_a_report() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for file in &files {
        let said = bpfverdict(&["explain", file.to_str().unwrap()]);
        assert_eq!(said.status, 0, "{}: {}", file.display(), said.err);
        let name = file.file_stem().unwrap().to_str().unwrap();
        insta::with_settings!({ snapshot_path => "snapshots/reports", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("log_{name}"), said.out);
        });
    }
    assert!(files.len() >= 12, "{} logs", files.len());
}
