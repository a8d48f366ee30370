//! From a refused program to its diagnosis: judges it once more with the log that `diagnose` reads, and adds what only the program itself
//! knows (lines of source, instructions, stack by function). What the log means is `diagnose`'s matter.

use diagnose::log::{Refusal, Source};
use diagnose::{Diagnosis, Extra, FunctionStack};
use program::Program;
use spec::{Errno, Profile};
use verifier::{Options, Outcome};

/// A diagnosis with what a report about it is drawn from.
#[derive(Clone, Debug)]
pub struct Report {
    pub diagnosis: Diagnosis,
    pub refusal: Refusal,
    pub extra: Extra,
}

impl Report {
    /// The report for a terminal; anstream drops the colours where there is none.
    pub fn text(&self) -> String {
        diagnose::render(&self.diagnosis, &self.refusal, &self.extra, diagnose::Style::Coloured)
    }
}

/// Processed instructions above which the budget itself is the matter: the path is of no interest then, and too long to print.
const LONG: u32 = 500_000;

/// The diagnosis of a program that was refused.
pub fn of(program: &Program, profile: &Profile, outcome: &Outcome) -> Report {
    // Where memory is the matter, every line of the path would list all that is held.
    let long = outcome.stats.insns_processed > LONG || outcome.errno == Errno::ENOMEM.negative();
    let log = match long {
        true => outcome.message.clone(),
        // Level 1 keeps exactly the failing path.
        false => verifier::verify(program, profile, &Options { log_level: 1 }).log,
    };
    let mut refusal = diagnose::log::own(&log);
    refusal.program = Some(program.name.clone());
    if refusal.message.is_empty() {
        // What fails before the verifier has no log; the words are ours then.
        refusal.message = outcome.message.lines().map(str::to_owned).collect();
    }
    if refusal.message.is_empty() {
        refusal.notes.push(format!("{} ({})", std::io::Error::from_raw_os_error(-outcome.errno), outcome.errno));
    }
    let extra = Extra {
        prog_type: Some(crate::verdict::type_name(program.prog_type)),
        id: outcome.id,
        rule: outcome.rule,
        insn: outcome.insn,
        functions: functions(program, outcome),
        sources: sources(program),
        listing: listing(program),
        maps: program.maps.len(),
        hot: if long { hot(program, profile) } else { Vec::new() },
    };
    let mut diagnosis = diagnose::diagnose(&refusal, &extra);
    crate::proof::add(program, profile, outcome, &mut diagnosis);
    Report { diagnosis, refusal, extra }
}

/// Every line record: from which instruction on, and the line as the object has it.
pub fn sources(program: &Program) -> Vec<(u32, Source)> {
    let Some(btf) = &program.btf else { return Vec::new() };
    let row = |r: Vec<u32>| {
        let [insn, file, text, place] = r[..].first_chunk::<4>().copied()?;
        let source = Source {
            text: crate::output::shown(btf.try_string(text)?),
            file: btf.try_string(file).map(crate::output::shown),
            line: Some(place >> 10),
            column: Some(place & 0x3ff).filter(|c| *c != 0),
        };
        Some((insn, source))
    };
    let mut all: Vec<(u32, Source)> = program.line_info.rows().filter_map(row).collect();
    all.sort_by_key(|s| s.0);
    all
}

pub fn listing(program: &Program) -> Vec<(u32, String)> {
    let mut at = 0;
    let mut out = Vec::new();
    while at < program.insns.len() {
        out.push((at as u32, isa::text(&program.insns, at, &crate::cmd::disasm::Helpers)));
        at += isa::slots(&program.insns, at);
    }
    out
}

/// The functions of a program with the stack that each takes.
fn functions(program: &Program, outcome: &Outcome) -> Vec<FunctionStack> {
    let lines = sources(program);
    let starts = function_starts(program);
    starts
        .into_iter()
        .map(|(insn, name)| (insn, name, lines.iter().find(|l| l.0 >= insn).map(|l| l.1.clone())))
        .zip(&outcome.stats.stack_depths)
        .map(|((insn, name, source), bytes)| FunctionStack { name, bytes: *bytes, source, insn })
        .collect()
}

/// How often each instruction was looked at.
fn hot(program: &Program, profile: &Profile) -> Vec<(u32, u64)> {
    let (_, cost) = verifier::verify_counted(program, profile, &Options::default());
    let all = cost.by_insn.iter().enumerate().map(|(i, s)| (i as u32, s.insns));
    all.filter(|h| h.1 > 0).collect()
}

/// Where each function begins, and its name; without BTF by what is called.
pub fn function_starts(program: &Program) -> Vec<(u32, String)> {
    if let Some(btf) = program.btf.as_ref().filter(|_| !program.func_info.bytes.is_empty()) {
        let rows = program.func_info.rows().filter(|r| r.len() >= 2);
        return rows.map(|r| (r[0], btf.name(r[1]).to_owned())).collect();
    }
    let mut starts = vec![0];
    for (at, text) in listing(program) {
        let by = text.strip_prefix("call pc").and_then(|n| n.trim_start_matches('+').parse::<i64>().ok());
        starts.extend(by.and_then(|by| u32::try_from(i64::from(at) + 1 + by).ok()));
    }
    starts.sort_unstable();
    starts.dedup();
    let name = |at: u32| if at == 0 { program.name.clone() } else { format!("the function at {at}") };
    starts.into_iter().map(|at| (at, name(at))).collect()
}
