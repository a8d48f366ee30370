//! The pages of causes are true: their programs are judged as they say, on every kernel that is modelled, and the ids they name exist.

use corpus::Corpus;
use explain::Example;
use spec::{Caps, Profile};
use verifier::{Options, Verdict, verify};

/// The kernels that pages speak of.
const KERNELS: &[&str] = &["5.10", "6.1", "6.12", "6.18", "7.2"];

fn caps(names: &str) -> Caps {
    let mut caps = Caps::NONE;
    for name in names.split(',') {
        match name {
            "cap_bpf" => caps.bpf = true,
            "cap_perfmon" => caps.perfmon = true,
            "cap_net_admin" => caps.net_admin = true,
            _ => panic!("{name}"),
        }
    }
    caps
}

/// Verdict and id of one program; refused without an id where the loader already cannot.
fn judge(corpus: &Corpus, example: &Example, name: &str, kernel: &str) -> (bool, Option<&'static str>) {
    let mut profile = Profile::load(kernel).expect("a modelled kernel");
    if let Some(names) = &example.caps {
        profile.caps = caps(names);
    }
    let entry = corpus.entries.iter().find(|e| e.id() == example.object).expect("an object of the corpus");
    let options = loader::Options { object_name: entry.object.name.clone(), ..loader::Options::for_profile(&profile) };
    let object = loader::open(&entry.elf, &options).expect("an object that opens");
    let index = object.programs.iter().position(|p| p.name == name).unwrap_or_else(|| panic!("{name}"));
    let Ok(program) = object.linker(Some(profile.btf())).program(index) else { return (false, None) };
    let said = verify(&program, &profile, &Options::default());
    (said.verdict == Verdict::Accept, said.id)
}

#[test]
fn examples_do_what_their_pages_say() {
    let corpus = Corpus::embedded().expect("the embedded corpus");
    let mut wrong = Vec::new();
    for cause in explain::causes().expect("pages") {
        for example in &cause.examples {
            for kernel in KERNELS {
                let at = format!("{}: {} on {kernel}", cause.id, example.object);
                // An unprivileged loader is not modelled on every kernel: nothing is claimed there.
                let (good, id) = judge(&corpus, example, &example.good, kernel);
                if id == Some("BV0000") {
                    continue;
                }
                if good == example.good_fails_on.iter().any(|k| k == kernel) {
                    wrong.push(format!("{at}: {} loads: {good} {id:?}", example.good));
                }
                let (bad, id) = judge(&corpus, example, &example.bad, kernel);
                if bad != example.bad_loads_on.iter().any(|k| k == kernel) {
                    wrong.push(format!("{at}: {} loads: {bad} {id:?}", example.bad));
                }
                let foreign = id.is_some_and(|id| !cause.rejections.iter().any(|r| r == id));
                if *kernel == "6.18" && foreign {
                    wrong.push(format!("{at}: {} is refused with {id:?}, which the page does not list", example.bad));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ids_on_pages_exist() {
    let known = |id: &str| verifier::Reject::TABLE.iter().any(|row| row.0 == id);
    for cause in explain::causes().expect("pages") {
        for id in &cause.rejections {
            assert!(known(id), "{}: {id}", cause.id);
        }
    }
}
