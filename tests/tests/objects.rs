//! Whole objects against what libbpf and Linux 6.18.44 made of them; `tests/objects/README.md` has the format.

use std::fs;
use std::path::Path;

use spec::Profile;
use verifier::{Options, Verdict, verify};

fn verdict_of(path: &Path, profile: &Profile) -> String {
    let bytes = fs::read(path).expect("an object");
    let object = loader::open(&bytes, &loader::Options::for_profile(profile)).expect("opens");
    let mut linker = object.linker(Some(profile.btf()));
    for (index, entry) in object.programs.iter().enumerate() {
        let program = linker.program(index).expect("links");
        let outcome = verify(&program, profile, &Options::default());
        if outcome.verdict == Verdict::Accept {
            continue;
        }
        if outcome.rule == Some("MapCreate") {
            let map = outcome.message.split('\'').nth(1).unwrap_or_default();
            return format!("map\t{map}\t{}", outcome.errno);
        }
        let last = outcome.message.lines().last().unwrap_or_default();
        return format!("program\t{}\t{}\t{last}", entry.name, outcome.errno);
    }
    "accept".to_owned()
}

#[test]
fn objects_load_as_libbpf_loads_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("objects");
    let answers = fs::read_to_string(folder.join("answers.tsv")).expect("the answers");
    let profile = Profile::reference();
    let mut wrong = Vec::new();
    for line in answers.lines() {
        let (name, answer) = line.split_once('\t').expect("name and answer");
        let ours = verdict_of(&folder.join(format!("{name}.bpf.o")), &profile);
        if ours != answer {
            wrong.push(format!("{name}: libbpf {answer:?}, we {ours:?}"));
        }
    }
    assert!(answers.lines().count() > 30, "answers are missing");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_object_has_an_answer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("objects");
    let answers = fs::read_to_string(folder.join("answers.tsv")).expect("the answers");
    let files = fs::read_dir(&folder).expect("the folder").filter_map(|f| f.ok()?.file_name().into_string().ok());
    for name in files.filter_map(|f| f.strip_suffix(".bpf.o").map(str::to_owned)) {
        assert!(answers.lines().any(|l| l.split('\t').next() == Some(&name)), "{name} has none");
    }
}

#[test]
fn loaders_may_give_maps_their_sizes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("objects/hash_of_nothing.bpf.o");
    let bytes = fs::read(path).expect("an object");
    let profile = Profile::reference();
    let open = |preset: &str| {
        let options = loader::Options { presets: vec![preset.to_owned()], ..loader::Options::for_profile(&profile) };
        loader::open(&bytes, &options)
    };
    let object = open("values.max_entries=16").expect("opens");
    let program = object.program(0, Some(profile.btf())).expect("links");
    assert_eq!(verify(&program, &profile, &Options::default()).verdict, Verdict::Accept);
    let refused = open("values.max_entries=many").map(|_| ()).expect_err("no number").to_string();
    assert!(refused.contains("values.max_entries=many"), "{refused}");
}
