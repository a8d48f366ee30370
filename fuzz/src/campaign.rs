//! Many programs through an oracle: seeds in order, findings grouped by key, the first of each group shrunk and kept as a load
//! record that can be run again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kernel_diff::Engine;
use program::Program;

use crate::generate::{self, Options};
use crate::mutate;
use crate::oracle::{Finding, result, verdict};
use crate::record;
use crate::rng::Rng;
use crate::shrink;

/// Programs whose walk is longer are not shrunk: every try would cost a second.
const MAX_SHRUNK: u64 = 50_000;

/// What to do and for how long: whichever limit is met first ends it.
#[derive(Clone, Debug)]
pub struct Plan {
    pub first_seed: u64,
    pub cases: u64,
    pub time: Duration,
    pub generator: Options,
    /// Percent of programs (without loops) that are mutated.
    pub mutate: u64,
    /// Compare level-2 logs too.
    pub logs: bool,
    /// Shrink the first case of each group; number of tries.
    pub shrink: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            first_seed: 0,
            cases: 1000,
            time: Duration::from_secs(u64::MAX / 4),
            generator: Options::default(),
            mutate: 40,
            logs: true,
            shrink: 400,
        }
    }
}

/// Findings of one kind.
#[derive(Clone, Debug)]
pub struct Group {
    pub count: u64,
    pub seed: u64,
    pub finding: Finding,
    /// The first case, shrunk.
    pub program: Program,
    /// The same as a load record.
    pub record: String,
}

/// What a campaign found.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub cases: u64,
    pub accepted: u64,
    pub findings: u64,
    /// Why cases could not be judged, with counts.
    pub skipped: BTreeMap<String, u64>,
    pub groups: BTreeMap<String, Group>,
    /// Seed that the next campaign should begin with.
    pub next_seed: u64,
}

impl Summary {
    /// Gravest and most frequent first.
    pub fn sorted(&self) -> Vec<(&String, &Group)> {
        let mut v: Vec<_> = self.groups.iter().collect();
        v.sort_by_key(|(_, g)| (!g.finding.grave, std::cmp::Reverse(g.count)));
        v
    }

    fn add(
        &mut self,
        seed: u64,
        program: &Program,
        finding: Finding,
        smaller: impl FnOnce(&Finding) -> (Program, Finding),
    ) {
        self.findings += 1;
        if let Some(g) = self.groups.get_mut(&finding.key) {
            g.count += 1;
            return;
        }
        let (small, shown) = smaller(&finding);
        let mut small = small;
        small.name.clone_from(&program.name);
        let record = record::line(&format!("seed {seed}"), &small);
        self.groups.insert(finding.key.clone(), Group { count: 1, seed, finding: shown, program: small, record });
    }

    fn skip(&mut self, why: String) {
        *self.skipped.entry(why).or_default() += 1;
    }
}

/// The program of a seed in a campaign: generated, then perhaps mutated.
pub fn case(plan: &Plan, seed: u64) -> Program {
    let mut program = generate::program(seed, &plan.generator);
    let mut rng = Rng::new(seed ^ 0x5eed_0fb1);
    if rng.chance(plan.mutate) {
        for _ in 0..=rng.below(3) {
            mutate::mutate(&mut program.insns, &mut rng);
        }
    }
    program
}

/// Throws programs at our verifier and a kernel. `progress` is told the number of cases and findings so far.
pub fn verdicts(
    kernel: &mut dyn Engine,
    ours: &mut dyn Engine,
    plan: &Plan,
    mut progress: impl FnMut(&Summary),
) -> Summary {
    let mut summary = Summary::default();
    for_each(plan, &mut summary, |summary, seed, program| {
        let report = verdict::check(kernel, ours, program, plan.logs);
        summary.accepted += u64::from(report.kernel_accepts);
        if let Some(why) = report.skipped {
            summary.skip(why);
        }
        if let Some(finding) = report.finding {
            let tries = if report.walked > MAX_SHRUNK { 0 } else { plan.shrink };
            summary.add(seed, program, finding, |f| {
                let mut last = f.clone();
                let small =
                    shrink::shrink(program, tries, |p| match verdict::check(kernel, ours, p, plan.logs).finding {
                        Some(g) if g.key == f.key => {
                            last = g;
                            true
                        }
                        _ => false,
                    });
                (small, last)
            });
        }
        progress(summary);
    });
    summary
}

/// Runs programs on a reference engine and on others, and compares what they do.
pub fn results(
    reference: &mut dyn Engine,
    others: &mut [Box<dyn Engine>],
    plan: &Plan,
    mut progress: impl FnMut(&Summary),
) -> Summary {
    let mut summary = Summary::default();
    for_each(plan, &mut summary, |summary, seed, program| {
        let inputs = result::inputs(program.prog_type, seed, 3);
        let report = result::check(reference, others, program, &inputs);
        summary.accepted += u64::from(report.runs > 0);
        if let Some(why) = report.skipped {
            summary.skip(why);
        }
        if let Some(finding) = report.finding {
            summary.add(seed, program, finding, |f| {
                let mut last = f.clone();
                let small = shrink::shrink(program, plan.shrink, |p| {
                    match result::check(reference, others, p, &inputs).finding {
                        Some(g) if g.key == f.key => {
                            last = g;
                            true
                        }
                        _ => false,
                    }
                });
                (small, last)
            });
        }
        progress(summary);
    });
    summary
}

fn for_each(plan: &Plan, summary: &mut Summary, mut body: impl FnMut(&mut Summary, u64, &Program)) {
    let start = Instant::now();
    let last = plan.first_seed.saturating_add(plan.cases);
    let mut seed = plan.first_seed;
    while seed < last && start.elapsed() < plan.time {
        let program = case(plan, seed);
        summary.cases += 1;
        body(summary, seed, &program);
        seed += 1;
    }
    summary.next_seed = seed;
}
