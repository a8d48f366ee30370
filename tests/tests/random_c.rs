//! Random C programs: what a compiler makes of them is judged on every kernel that is modelled, none `unsupported`. What those kernels say is
//! asked by `cargo xtask judge`. Needs clang; without it nothing is judged, which is said.

use std::process::{Command, Stdio};

use spec::Profile;
use verifier::{Options, Verdict, verify};

/// Seeds whose programs are walked quickly.
const SEEDS: std::ops::Range<u64> = 10..18;

fn compile(seed: u64) -> Option<Vec<u8>> {
    let source = fuzz::generate::c::source(seed);
    let dir = std::env::temp_dir();
    let name = |extension: &str| dir.join(format!("bpfverdict-{}-{seed}.{extension}", std::process::id()));
    let (from, to) = (name("c"), name("o"));
    std::fs::write(&from, &source.text).expect("the temporary folder can be written");
    let done = Command::new("clang-19")
        .args([source.optimise, source.cpu, "-g", "-w", "-target", "bpf", "-c"])
        .arg(&from)
        .arg("-o")
        .arg(&to)
        .stderr(Stdio::inherit())
        .status();
    let object = std::fs::read(&to).ok();
    for file in [from, to] {
        // A file in the temporary folder that stays is no harm.
        let _ = std::fs::remove_file(file);
    }
    assert!(done.ok()?.success(), "seed {seed}: the compiler refuses it");
    object
}

#[test]
fn every_kernel_has_an_answer() {
    let profiles: Vec<(&str, Profile)> = ["5.10", "6.1", "6.12", "6.18", "6.18.15", "7.2"]
        .map(|name| (name, Profile::load(name).expect("a profile in the source tree")))
        .into();
    let (mut judged, mut accepted) = (0, 0);
    for seed in SEEDS {
        let Some(elf) = compile(seed) else {
            eprintln!("RANDOM C: NOT JUDGED: there is no clang-19");
            return;
        };
        for (name, profile) in &profiles {
            let options = loader::Options::for_profile(profile);
            let object = loader::open(&elf, &options).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            let mut linker = object.linker(Some(profile.btf()));
            for index in 0..object.programs.len() {
                let program = linker.program(index).unwrap_or_else(|e| panic!("seed {seed} on {name}: {e}"));
                let said = verify(&program, profile, &Options::default());
                assert_ne!(said.verdict, Verdict::Unsupported, "seed {seed} on {name}: {}", said.message);
                judged += 1;
                accepted += u32::from(said.verdict == Verdict::Accept);
            }
        }
    }
    assert!(judged > 300 && accepted * 4 > judged, "{accepted} of {judged} accepted");
}
