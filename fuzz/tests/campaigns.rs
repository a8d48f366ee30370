//! Short campaigns that need no kernel: the verifier against hostile programs, the JIT against the interpreter.

use engines::guarded;
use engines::userspace::{Backend, Userspace};
use engines::verifier::{Checked, Verifier};
use fuzz::campaign::{Plan, case, results};
use fuzz::generate::Options;
use kernel_diff::{Engine, LoadOptions};
use spec::Profile;

fn plan(cases: u64) -> Plan {
    Plan {
        cases,
        mutate: 0,
        shrink: 50,
        generator: Options { deterministic: true, ..Options::default() },
        ..Plan::default()
    }
}

/// What the verifier accepts does the same in the interpreter and in the JIT, with and without its checks, and never faults.
#[test]
fn engines_agree_on_accepted_programs() {
    let profile = Profile::default();
    let mut reference = Checked { profile: profile.clone(), inner: Userspace::new(Backend::Interpreter, None) };
    let mut others: Vec<Box<dyn Engine>> = vec![
        Box::new(Userspace::new(Backend::Jit, None)),
        Box::new(Userspace::new(Backend::Jit, None).with_facts(profile)),
    ];
    let summary = results(&mut reference, &mut others, &plan(150), |_| {});
    assert!(summary.accepted > 75, "{} ran", summary.accepted);
    let shown: Vec<String> =
        summary.sorted().iter().map(|(key, g)| format!("{key}\n{}\n{}", g.finding.text, g.record)).collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
}

/// Spoilt programs get a verdict, not a panic; and the same one twice.
#[test]
fn verdicts_are_total_and_stable() {
    let mut verifier = Verifier { profile: Profile::default() };
    let plan = Plan { mutate: 100, generator: Options::default(), ..plan(0) };
    for seed in 0..300 {
        let program = case(&plan, seed);
        let mut judge = || guarded(|| verifier.load(&program, &LoadOptions::with_level(2)).map(|l| l.judgement));
        let (a, b) = (judge(), judge());
        assert!(a.is_ok(), "seed {seed}: {a:?}");
        assert_eq!(a, b, "seed {seed}");
    }
}

/// A saved case is the program that it was made from.
#[test]
fn records_keep_the_program() {
    for seed in 0..200 {
        let program = case(&Plan::default(), seed);
        let dir = std::env::temp_dir().join(format!("bpfverdict-record-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("btf")).unwrap();
        for (name, bytes) in fuzz::record::attachments(&program) {
            std::fs::write(dir.join("btf").join(name), bytes).unwrap();
        }
        let line = fuzz::record::line("x", &program);
        let record = loader::records::parse_line(&line, &dir).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        let again = record.program;
        assert_eq!(record.id.as_deref(), Some("x"));
        assert_eq!((again.insns, again.prog_type, again.flags), (program.insns, program.prog_type, program.flags));
        assert_eq!((again.func_info, again.maps.len()), (program.func_info, program.maps.len()));
    }
}
