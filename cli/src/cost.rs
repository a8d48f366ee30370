//! Where the verifier's work goes, for people: per function, loop, line of source and branch; folded stacks and a flame graph. The counting
//! is the verifier's, and adds up to the kernel's counters.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use program::Program;
use serde::Serialize;
use spec::Profile;
use verifier::{Cost, Options, Outcome};

use crate::diagnosis;
use crate::exit::Failure;
use crate::output::{self, DIM, styled};

/// Lines of a table.
const TOP: usize = 12;
/// A branch is hot from so many queued states on.
const HOT: u64 = 4;

/// Work of one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    pub place: String,
    pub text: String,
    pub insns: u64,
    pub states: u64,
    pub branches: u64,
}

/// Where the work of one program went.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub program: String,
    pub insns: u64,
    pub states: u64,
    pub functions: Vec<Spent>,
    pub loops: Vec<Spent>,
    pub lines: Vec<Spent>,
    /// `main;called;file:line` and how often, as flame graphs read it.
    #[serde(skip)]
    pub folded: Vec<(String, u64)>,
}

pub fn count(program: &Program, profile: &Profile) -> (Outcome, Report) {
    let (outcome, cost) = verifier::verify_counted(program, profile, &Options::default());
    let report = report(program, &cost);
    (outcome, report)
}

/// Names of the places of a program.
struct Places<'p> {
    lines: Vec<(u32, diagnose::log::Source)>,
    functions: Vec<(u32, String)>,
    listing: Vec<(u32, String)>,
    program: &'p Program,
}

impl Places<'_> {
    fn line(&self, insn: u32) -> (String, String) {
        let at = self.lines.partition_point(|l| l.0 <= insn);
        match at.checked_sub(1).map(|i| &self.lines[i].1) {
            Some(s) => {
                let file = s.file.as_deref().unwrap_or_default().trim_start_matches("./");
                (format!("{file}:{}", s.line.unwrap_or(0)), s.text.trim().to_owned())
            }
            None => (format!("insn {insn}"), self.text(insn)),
        }
    }

    fn text(&self, insn: u32) -> String {
        let at = self.listing.binary_search_by_key(&insn, |l| l.0);
        at.map_or_else(|_| String::new(), |i| self.listing[i].1.clone())
    }

    fn function(&self, insn: u32) -> String {
        let at = self.functions.partition_point(|f| f.0 <= insn);
        at.checked_sub(1).map_or_else(|| self.program.name.clone(), |i| self.functions[i].1.clone())
    }
}

fn report(program: &Program, cost: &Cost) -> Report {
    let places = Places {
        lines: diagnosis::sources(program),
        functions: diagnosis::function_starts(program),
        listing: diagnosis::listing(program),
        program,
    };
    let total = cost.total();
    let mut lines: BTreeMap<(String, String), Spent> = BTreeMap::new();
    let mut functions: BTreeMap<String, Spent> = BTreeMap::new();
    for (insn, spent) in cost.by_insn.iter().enumerate().filter(|(_, s)| s.insns + s.states + s.branches > 0) {
        let insn = insn as u32;
        let (place, text) = places.line(insn);
        add(
            lines.entry((place.clone(), text.clone())).or_insert_with(|| Spent { place, text, ..Spent::default() }),
            spent,
        );
        let name = places.function(insn);
        add(functions.entry(name.clone()).or_insert_with(|| Spent { place: name, ..Spent::default() }), spent);
    }
    let mut folded: BTreeMap<String, u64> = BTreeMap::new();
    for ((chain, insn), n) in &cost.by_chain {
        let mut stack: Vec<String> = chain.iter().map(|c| places.function(*c)).collect();
        stack.push(places.function(*insn));
        let (place, text) = places.line(*insn);
        // `;` separates frames.
        stack.push(format!("{place} {}", text.replace(';', "")));
        *folded.entry(stack.join(";")).or_default() += n;
    }
    Report {
        program: program.name.clone(),
        insns: total.insns,
        states: total.states,
        functions: sorted(functions.into_values()),
        loops: loops(cost, &places),
        lines: sorted(lines.into_values()),
        folded: folded.into_iter().collect(),
    }
}

fn add(to: &mut Spent, s: &verifier::Spent) {
    to.insns += s.insns;
    to.states += s.states;
    to.branches += s.branches;
}

fn sorted(all: impl Iterator<Item = Spent>) -> Vec<Spent> {
    let mut all: Vec<Spent> = all.collect();
    all.sort_by(|a, b| b.insns.cmp(&a.insns).then_with(|| a.place.cmp(&b.place)));
    all
}

/// Loops by their jumps back: what lies between head and jump.
fn loops(cost: &Cost, places: &Places<'_>) -> Vec<Spent> {
    let mut by_head: BTreeMap<u32, u32> = BTreeMap::new();
    for (insn, text) in &places.listing {
        let by = text.rsplit_once("goto pc-").and_then(|(_, n)| n.split(' ').next()?.parse::<u32>().ok());
        if let Some(head) = by.and_then(|n| (insn + 1).checked_sub(n)) {
            let end = by_head.entry(head).or_default();
            *end = (*end).max(*insn);
        }
    }
    sorted(by_head.into_iter().map(|(head, end)| {
        let (place, text) = places.line(head);
        let mut spent = Spent { place, text, ..Spent::default() };
        cost.by_insn.iter().take(end as usize + 1).skip(head as usize).for_each(|s| add(&mut spent, s));
        spent
    }))
}

impl Report {
    /// Tables for a terminal.
    pub fn human(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "\n{}: {} instructions processed, {} states kept", self.program, self.insns, self.states);
        self.table(&mut out, "function", &self.functions);
        self.table(&mut out, "loop", &self.loops);
        self.table(&mut out, "line", &self.lines);
        for b in self.lines.iter().filter(|l| l.branches >= HOT).take(5) {
            let _ =
                writeln!(out, "{}: both sides of a branch were queued {} times: {}", b.place, b.branches, cut(&b.text));
        }
        out
    }

    fn table(&self, out: &mut String, what: &str, rows: &[Spent]) {
        if rows.is_empty() {
            return;
        }
        let mut table = output::table(&[what, "insns", "%", "states", "branches", ""]);
        for r in rows.iter().take(TOP) {
            let share = format!("{:.1}", r.insns as f64 * 100.0 / self.insns.max(1) as f64);
            table.add_row(vec![
                r.place.clone(),
                r.insns.to_string(),
                share,
                r.states.to_string(),
                r.branches.to_string(),
                cut(&r.text),
            ]);
        }
        for (i, line) in output::lines(&table).lines().enumerate() {
            let _ = writeln!(out, "{}", if i == 0 { styled(DIM, line) } else { line.to_owned() });
        }
        if rows.len() > TOP {
            let rest: u64 = rows[TOP..].iter().map(|r| r.insns).sum();
            let _ =
                writeln!(out, "{}", styled(DIM, &format!("and {} more with {rest} instructions", rows.len() - TOP)));
        }
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= 40 {
        return text.to_owned();
    }
    text.chars().take(39).chain(['…']).collect()
}

/// Writes folded stacks, or a flame graph where the file's name ends in `.svg`.
pub fn flame(path: &Path, reports: &[Report]) -> Result<(), Failure> {
    let many = reports.len() > 1;
    let mut lines: Vec<String> = Vec::new();
    for r in reports {
        let prefix = if many { format!("{};", r.program) } else { String::new() };
        lines.extend(r.folded.iter().map(|(stack, n)| format!("{prefix}{stack} {n}")));
    }
    let bytes = if path.extension().is_some_and(|e| e == "svg") {
        let mut options = inferno::flamegraph::Options::default();
        options.title = "Verification cost".to_owned();
        options.count_name = "instructions".to_owned();
        let mut svg = Vec::new();
        inferno::flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)
            .map_err(|e| Failure::file(path, e))?;
        svg
    } else {
        (lines.join("\n") + "\n").into_bytes()
    };
    std::fs::write(path, bytes).map_err(|e| Failure::file(path, e))
}
