//! Oracle: a program that a reference engine accepts does the same thing on every engine: return value, packet, context, maps,
//! events.

use kernel_diff::outcome::{self, Outcome};
use kernel_diff::{Engine, Input, LoadOptions};
use program::Program;
use runtime::input::{Argument, Blob};

use super::Finding;
use crate::rng::Rng;
use engines::guarded;

/// What one program showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Runs that were compared.
    pub runs: usize,
    pub skipped: Option<String>,
    pub finding: Option<Finding>,
}

/// Inputs for one program type, from a seed.
pub fn inputs(prog_type: u32, seed: u64, count: usize) -> Vec<Input> {
    let mut rng = Rng::new(seed ^ 0x1_4e57);
    let shape = kernel_diff::shape::of(prog_type);
    (0..count)
        .map(|_| {
            let mut bytes = |n: usize| -> Vec<u8> { (0..n).map(|_| rng.number() as u8).collect() };
            let len = 14 + (bytes(1)[0] as usize % 100);
            let mut data = bytes(len);
            // An IPv4 header where one would be: some types look at it.
            if data.len() > 34 {
                data[12..15].copy_from_slice(&[8, 0, 0x45]);
            }
            let name = shape.map_or("", |s| s.name);
            Input {
                packet: Blob(if shape.is_some_and(|s| s.data) { data } else { Vec::new() }),
                record: Blob(if name == "syscall" { bytes(96) } else { Vec::new() }),
                args: if name == "raw_tracepoint" {
                    bytes(12).into_iter().map(|b| Argument::Number(i64::from(b) - 100)).collect()
                } else {
                    Vec::new()
                },
                ..Input::default()
            }
        })
        .collect()
}

/// Runs `program` on `reference` and on each of `others` with the same inputs, fresh maps for each engine.
pub fn check(
    reference: &mut dyn Engine,
    others: &mut [Box<dyn Engine>],
    program: &Program,
    inputs: &[Input],
) -> Report {
    let mut report = Report::default();
    reference.forget_maps();
    let loaded = match reference.load(program, &LoadOptions::with_level(0)) {
        Ok(l) => l.program,
        Err(e) => {
            report.skipped = Some(format!("{}: {e}", reference.name()));
            return report;
        }
    };
    let Some(mut reference_program) = loaded else {
        report.skipped = Some("refused".into());
        return report;
    };
    let mut candidates = Vec::new();
    for engine in others.iter_mut() {
        let name = engine.name().to_owned();
        engine.forget_maps();
        match guarded(|| engine.load(program, &LoadOptions::with_level(0))) {
            Ok(Ok(l)) => candidates.extend(l.program.map(|p| (name, p))),
            Ok(Err(e)) => report.skipped = Some(format!("{name}: {e}")),
            Err(panic) => {
                report.finding = Some(Finding { key: format!("PANIC {name} {panic}"), text: panic, grave: true });
                return report;
            }
        }
    }
    for (n, input) in inputs.iter().enumerate() {
        let expected = match reference_program.run(input, 1) {
            Ok(o) => o,
            Err(e) => {
                report.skipped = Some(format!("{}: {e}", reference.name()));
                return report;
            }
        };
        let expected_maps = reference_program.maps().unwrap_or_default();
        for (name, p) in &mut candidates {
            let got = match guarded(|| p.run(input, 1)) {
                Ok(Ok(o)) => o,
                Ok(Err(kernel_diff::Error::Fault(m))) => {
                    report.finding = Some(Finding {
                        key: format!("{name} FAULT {m}"),
                        text: format!("  input {n}: {m}\n"),
                        grave: true,
                    });
                    return report;
                }
                Ok(Err(e)) => {
                    report.skipped = Some(format!("{name}: {e}"));
                    continue;
                }
                Err(panic) => {
                    report.finding = Some(Finding { key: format!("PANIC {name} {panic}"), text: panic, grave: true });
                    return report;
                }
            };
            let got_maps = p.maps().unwrap_or_default();
            let outcome = outcome::outputs(&expected, &got).and(outcome::maps(&expected_maps, &got_maps));
            report.runs += 1;
            if let Outcome::Differ(d) = &outcome {
                let key = format!("{name}: {}", d.iter().map(|d| d.what().to_owned()).collect::<Vec<_>>().join(", "));
                report.finding = Some(Finding { key, text: format!("  input {n}: {outcome}\n"), grave: true });
                return report;
            }
        }
    }
    report
}
