//! From cells to findings: what is refused, what passed a limit, what is worse than the baseline, what is put up with, and until when.

use std::collections::BTreeMap;

use report::{Cell, Change, ChangeKind, Finding, Level, Place, Report, Rule, Suppression, Verdict, fingerprint, shape};

use crate::baseline::{Baseline, key};
use crate::config::{Bound, Config, Policy, Suppress, fits};

/// Rules of the gate itself: id, name, what it says.
const RULES: &[(&str, &str, &str)] = &[
    ("BG001", "LimitPassed", "A program costs more than the configuration allows."),
    (
        "BG002",
        "GrewOverBaseline",
        "A program costs more than the baseline says, by more than the configuration allows.",
    ),
    ("BG003", "SuppressionExpired", "A suppression is past its last day."),
    ("BG004", "SuppressionUnused", "A suppression fits no finding."),
    ("BG005", "Unreadable", "An object cannot be read."),
    ("BG006", "CannotBePutTogether", "A program cannot be put together for a kernel."),
];

/// The gate's own rules.
pub fn rules() -> Vec<Rule> {
    let rule = |(id, name, short): &(&str, &str, &str)| Rule {
        id: (*id).to_owned(),
        name: (*name).to_owned(),
        short: (*short).to_owned(),
        ..Rule::default()
    };
    RULES.iter().map(rule).collect()
}

/// What decides.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    pub config: &'a Config,
    pub baseline: Option<&'a Baseline>,
    /// `2026-12-01`.
    pub today: &'a str,
    /// Every program was looked at: what is missing is gone, what suppresses nothing is unused.
    pub complete: bool,
}

impl Gate<'_> {
    /// Fills in findings and changes; `unreadable` are files with what is wrong about them.
    pub fn evaluate(&self, report: &mut Report, unreadable: &[(String, String)]) {
        let mut found = Vec::new();
        for (file, why) in unreadable {
            found.push(Finding {
                rule: "BG005".to_owned(),
                level: Level::Error,
                message: why.clone(),
                object: file.clone(),
                ..Finding::default()
            });
        }
        for cell in &report.cells {
            self.cell(cell, &mut found, &mut report.changes);
        }
        if let (Some(baseline), true) = (self.baseline, self.complete) {
            let now: std::collections::BTreeSet<_> = report.cells.iter().map(key).collect();
            for (gone, line) in baseline.lines.iter().filter(|(k, _)| !now.contains(*k)) {
                let (object, program, configuration, kernel) = gone.clone();
                let what = format!("was {}", line.verdict.name());
                report.changes.push(Change { kind: ChangeKind::Gone, object, program, configuration, kernel, what });
            }
        }
        report.baseline = self.baseline.is_some();
        report.findings.extend(merge(found));
        self.suppress(&mut report.findings);
        let named = |r: &Rule| report.findings.iter().any(|f| f.rule == r.id);
        report.rules.extend(rules().into_iter().filter(named));
        report.sort();
    }

    fn cell(&self, c: &Cell, found: &mut Vec<Finding>, changes: &mut Vec<Change>) {
        let line = self.baseline.and_then(|b| b.lines.get(&key(c)));
        let change = match (self.baseline, line) {
            (None, _) => None,
            (Some(_), None) => Some(ChangeKind::New),
            (Some(_), Some(line)) => Some(line.verdict_change(c)),
        };
        let mut note = |kind, what: String| {
            changes.push(Change {
                kind,
                object: c.object.clone(),
                program: c.program.clone(),
                configuration: c.configuration.clone(),
                kernel: c.kernel.clone(),
                what,
            });
        };
        let words = |v: Verdict, id: Option<&str>| format!("{} {}", v.name(), id.unwrap_or("")).trim().to_owned();
        match (change, line) {
            (Some(ChangeKind::New), _) => note(ChangeKind::New, words(c.verdict, c.id.as_deref())),
            (Some(kind), Some(line)) if kind != ChangeKind::Known => {
                let (was, is) = (words(line.verdict, line.id.as_deref()), words(c.verdict, c.id.as_deref()));
                note(kind, format!("{was} -> {is}"));
            }
            _ => {}
        }
        if c.verdict != Verdict::Accept {
            found.push(refusal(c, self.level(c, change), change));
            return;
        }
        for (name, limit) in self.config.limits.all() {
            let is = measure(c, name);
            // The file was checked when it was read.
            for bound in limit.and_then(|l| l.bounds().ok()).unwrap_or_default() {
                match bound {
                    Bound::Most(most) if is > most => {
                        let message = format!("{name} is {is}, the limit is {most}");
                        found.push(cost("BG001", c, message, Level::Error, change));
                    }
                    Bound::Growth(percent) => {
                        let Some(was) = line.filter(|l| l.verdict == Verdict::Accept).map(|l| measured(l, name)) else {
                            continue;
                        };
                        if is > was && (is - was) as f64 > was as f64 * percent / 100.0 {
                            let grown = (is - was) as f64 * 100.0 / was.max(1) as f64;
                            let what = format!("{name} {was} -> {is} (+{grown:.1} %)");
                            note(ChangeKind::Worse, what.clone());
                            let message = format!("{what}, allowed is +{percent} %");
                            found.push(cost("BG002", c, message, Level::Error, Some(ChangeKind::Worse)));
                        }
                    }
                    Bound::Most(_) => {}
                }
            }
        }
    }

    /// Without a baseline what is not accepted fails; with one only what is worse.
    fn level(&self, c: &Cell, change: Option<ChangeKind>) -> Level {
        let of = |policy| match policy {
            Policy::Fail => Level::Error,
            Policy::Warn => Level::Warning,
            Policy::Ignore => Level::Note,
        };
        match change {
            Some(ChangeKind::New) => of(self.config.new),
            Some(ChangeKind::Known | ChangeKind::Changed | ChangeKind::Better) => Level::Note,
            _ if c.verdict == Verdict::Unsupported => of(self.config.unsupported),
            _ => Level::Error,
        }
    }

    fn suppress(&self, findings: &mut Vec<Finding>) {
        let mut more = Vec::new();
        for s in &self.config.suppress {
            let hits = |f: &Finding| {
                f.rule == s.rule
                    && s.object.as_ref().is_none_or(|p| fits(p, &f.object))
                    && s.program.as_ref().is_none_or(|p| fits(p, &f.program))
            };
            // Days in this form sort as text.
            let expired = s.until.as_deref().is_some_and(|until| self.today > until);
            let mut used = false;
            for f in findings.iter_mut().filter(|f| hits(f)) {
                used = true;
                if !expired {
                    let (reason, owner, until) = (s.reason.clone(), s.owner.clone(), s.until.clone());
                    f.suppressed = Some(Suppression { reason, owner, until, in_source: false });
                }
            }
            if expired {
                let owner = s.owner.as_ref().map_or_else(String::new, |o| format!(", owner {o}"));
                let until = s.until.as_deref().unwrap_or_default();
                let message = format!("the suppression of {} ended on {until}{owner}: {}", s.rule, s.reason);
                more.push(about("BG003", Level::Error, s, message));
            } else if !used && self.complete {
                let message = format!("the suppression of {} fits nothing any more: {}", s.rule, s.reason);
                more.push(about("BG004", Level::Warning, s, message));
            }
        }
        findings.extend(merge(more));
    }
}

fn about(rule: &str, level: Level, s: &Suppress, message: String) -> Finding {
    let object = s.object.clone().unwrap_or_else(|| crate::config::FILE.to_owned());
    Finding { rule: rule.to_owned(), level, message, object, ..Finding::default() }
}

fn measure(c: &Cell, name: &str) -> u64 {
    match name {
        "insns" => c.insns,
        "total_states" => c.total_states,
        "peak_states" => c.peak_states,
        "stack" => c.stack.iter().copied().max().unwrap_or(0).into(),
        _ => c.size.into(),
    }
}

fn measured(l: &crate::baseline::Line, name: &str) -> u64 {
    match name {
        "insns" => l.insns,
        "total_states" => l.total_states,
        "peak_states" => l.peak_states,
        "stack" => l.stack.iter().copied().max().unwrap_or(0).into(),
        _ => l.size.into(),
    }
}

fn refusal(c: &Cell, level: Level, change: Option<ChangeKind>) -> Finding {
    let why = c.refusal.clone().unwrap_or_default();
    let rule = match (&c.id, c.verdict) {
        (Some(id), _) => id.clone(),
        (None, _) => "BG006".to_owned(),
    };
    let message = if c.message.is_empty() { format!("refused with errno {}", -c.errno) } else { c.message.clone() };
    Finding {
        rule,
        level,
        // The last lines are the reason.
        message,
        object: c.object.clone(),
        program: c.program.clone(),
        configurations: vec![c.configuration.clone()],
        kernels: vec![c.kernel.clone()],
        places: why.places,
        cause: why.cause,
        story: why.story,
        fixes: why.fixes,
        change,
        ..Finding::default()
    }
}

/// What a program costs concerns the whole program: its place is its first line, or its most costly one.
fn cost(rule: &str, c: &Cell, message: String, level: Level, change: Option<ChangeKind>) -> Finding {
    let place = c.hot.first().map(|h| Place {
        file: Some(h.file.clone()),
        line: h.line,
        text: h.text.clone(),
        function: Some(c.program.clone()),
        ..Place::default()
    });
    Finding {
        rule: rule.to_owned(),
        level,
        message,
        object: c.object.clone(),
        program: c.program.clone(),
        configurations: vec![c.configuration.clone()],
        kernels: vec![c.kernel.clone()],
        places: place.into_iter().collect(),
        change,
        ..Finding::default()
    }
}

/// Findings that are one on several kernels or configurations become one, and get their fingerprints.
pub fn merge(found: Vec<Finding>) -> Vec<Finding> {
    let mut out: Vec<Finding> = Vec::new();
    for f in found {
        let place = |f: &Finding| f.place().map(|p| (p.file.clone(), p.line));
        let same = |g: &&mut Finding| {
            g.rule == f.rule
                && g.object == f.object
                && g.program == f.program
                && g.level == f.level
                && place(g) == place(&f)
                && shape(&g.message) == shape(&f.message)
        };
        match out.iter_mut().find(same) {
            Some(g) => {
                for k in f.kernels {
                    if !g.kernels.contains(&k) {
                        g.kernels.push(k);
                    }
                }
                for c in f.configurations {
                    if !g.configurations.contains(&c) {
                        g.configurations.push(c);
                    }
                }
            }
            None => out.push(f),
        }
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for f in &mut out {
        let nth = seen.entry(fingerprint(f, 0)).and_modify(|n| *n += 1).or_insert(0);
        f.fingerprint = fingerprint(f, *nth);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(kernel: &str, verdict: Verdict, insns: u64) -> Cell {
        let id = (verdict == Verdict::Reject).then(|| "BV0202".to_owned());
        let message = id.as_ref().map_or_else(String::new, |_| "R3 !read_ok".to_owned());
        let (object, program, configuration) = ("a.o".into(), "p".into(), "-".into());
        Cell { object, program, configuration, kernel: kernel.into(), verdict, insns, id, message, ..Cell::default() }
    }

    fn run(config: &str, before: Option<&[Cell]>, now: Vec<Cell>) -> Report {
        let config = Config::parse(config).expect("a good file");
        let baseline = before.map(Baseline::of);
        let mut report = Report { cells: now, ..Report::default() };
        let gate = Gate { config: &config, baseline: baseline.as_ref(), today: "2026-12-01", complete: true };
        gate.evaluate(&mut report, &[]);
        report
    }

    #[test]
    fn only_what_is_newly_worse_fails() {
        use Verdict::{Accept, Reject};
        let before = [cell("6.1", Reject, 5), cell("6.12", Accept, 5), cell("6.18", Accept, 5)];
        let now = vec![cell("6.1", Reject, 5), cell("6.12", Reject, 5), cell("7.2", Reject, 5)];
        let report = run("", Some(&before), now);
        let levels: Vec<_> = report.findings.iter().map(|f| (f.level, f.kernels.clone())).collect();
        let k = |k: &str| vec![k.to_owned()];
        assert_eq!(levels, [(Level::Error, k("6.12")), (Level::Warning, k("7.2")), (Level::Note, k("6.1"))]);
        let kinds: Vec<_> = report.changes.iter().map(|c| c.kind).collect();
        assert_eq!(kinds, [ChangeKind::Worse, ChangeKind::New, ChangeKind::Gone]);
        let first = run("", None, vec![cell("6.1", Reject, 5), cell("6.12", Reject, 5)]);
        assert_eq!((first.findings.len(), first.failed()), (1, true), "one finding for all kernels");
    }

    #[test]
    fn growth_beyond_the_limit_fails() {
        let before = [cell("6.1", Verdict::Accept, 100)];
        let limits = "[limits]\ninsns = [1000, \"+10%\"]";
        assert!(!run(limits, Some(&before), vec![cell("6.1", Verdict::Accept, 110)]).failed());
        let grown = run(limits, Some(&before), vec![cell("6.1", Verdict::Accept, 111)]);
        assert_eq!(grown.findings[0].message, "insns 100 -> 111 (+11.0 %), allowed is +10 %");
        assert!(run(limits, None, vec![cell("6.1", Verdict::Accept, 1001)]).failed());
    }

    #[test]
    fn suppressions_count_until_their_day() {
        let text = |until: &str| {
            format!("[[suppress]]\nrule = \"BV0202\"\nprogram = \"p\"\nreason = \"old\"\nuntil = \"{until}\"")
        };
        let cells = || vec![cell("6.1", Verdict::Reject, 5)];
        assert!(!run(&text("2026-12-01"), None, cells()).failed());
        let late = run(&text("2026-11-30"), None, cells());
        let rules: Vec<_> = late.findings.iter().map(|f| f.rule.as_str()).collect();
        assert_eq!((late.failed(), rules), (true, vec!["BV0202", "BG003"]));
        let unused = run(&text("2027-01-01"), None, vec![cell("6.1", Verdict::Accept, 5)]);
        assert_eq!((unused.failed(), unused.findings[0].rule.as_str()), (false, "BG004"));
    }
}
