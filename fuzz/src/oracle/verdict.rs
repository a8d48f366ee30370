//! Oracle: our verifier and a kernel give a program the same verdict, message, counters and, on demand, the same log line by line.

use kernel_diff::outcome::{Difference, Outcome, judgements};
use kernel_diff::{Engine, LoadOptions};
use program::Program;

use super::Finding;
use engines::guarded;

/// Compare full logs only of walks up to this long: a log grows with the walk.
const MAX_LOGGED: u64 = 20_000;

/// What one program showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub kernel_accepts: bool,
    /// Instructions that the kernel walked.
    pub walked: u64,
    /// One of the two could not be asked.
    pub skipped: Option<String>,
    pub finding: Option<Finding>,
}

/// Asks both. `logs` also compares the level-2 logs.
pub fn check(kernel: &mut dyn Engine, ours: &mut dyn Engine, program: &Program, logs: bool) -> Report {
    kernel.forget_maps();
    let k = match kernel.load(program, &LoadOptions::with_level(4)) {
        Ok(l) => l.judgement,
        Err(e) => return Report { skipped: Some(format!("{}: {e}", kernel.name())), ..Report::default() },
    };
    let mut report =
        Report { kernel_accepts: k.accepted, walked: k.stats.insns_processed.unwrap_or(0), ..Report::default() };
    let o = match guarded(|| ours.load(program, &LoadOptions::with_level(4))) {
        Ok(Ok(l)) => l.judgement,
        Ok(Err(e)) => {
            report.skipped = Some(format!("{}: {e}", ours.name()));
            return report;
        }
        Err(panic) => {
            report.finding = Some(Finding { key: format!("PANIC {panic}"), text: panic, grave: true });
            return report;
        }
    };
    let mut outcome = judgements(&k, &o, false);
    if logs && (1..=MAX_LOGGED).contains(&report.walked) {
        // The log says where two walks part, which counters do not.
        let both = kernel
            .load(program, &LoadOptions::with_level(2))
            .ok()
            .zip(guarded(|| ours.load(program, &LoadOptions::with_level(2))).ok().and_then(Result::ok));
        if let Some((k2, o2)) = both {
            outcome = outcome.and(judgements(&k2.judgement, &o2.judgement, true));
        }
    }
    report.finding = finding(&outcome);
    report
}

fn finding(outcome: &Outcome) -> Option<Finding> {
    let Outcome::Differ(differences) = outcome else { return None };
    let grave = differences.iter().any(|d| matches!(d, Difference::FalseAccept { .. }));
    let log = differences.iter().find_map(|d| match d {
        Difference::Log(l) => Some(l),
        _ => None,
    });
    let verdict =
        differences.iter().find(|d| matches!(d, Difference::FalseAccept { .. } | Difference::FalseReject { .. }));
    let first = differences.first()?;
    let kind = verdict.map_or("", |d| match d {
        Difference::FalseAccept { .. } => "FALSE ACCEPT ",
        _ => "false reject ",
    });
    let key = match log {
        Some(l) => format!("{kind}{}", l.key()),
        None => format!("{kind}{}", blank(&first.to_string())),
    };
    let mut text = String::new();
    for d in differences {
        text.push_str(&format!("  {d}\n"));
    }
    if let Some(l) = log {
        text.push_str(&format!("  after  {}\n  kernel {}\n  ours   {}\n", l.after, l.kernel, l.ours));
    }
    Some(Finding { key, text, grave })
}

/// Numbers become `N`, so that one kind of difference has one key.
fn blank(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match (c.is_ascii_digit(), out.ends_with('N')) {
            (true, true) => {}
            (true, false) => out.push('N'),
            (false, _) => out.push(c),
        }
    }
    out
}
