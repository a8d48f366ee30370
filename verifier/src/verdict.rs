//! One verification from the outside: options in, outcome out, with the kernel's order of attribute checks, passes and statistics.

use crate::cost::Cost;
use crate::env::Verifier;
use crate::reject::{R, Reject, errno};
use crate::versions;
use program::Program;
use program::facts::Facts;
use spec::Profile;
use std::fmt::Write;

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Bits as in `log_level`: 1 or 2 ask for the trace, 4 for statistics in it.
    pub log_level: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Reject,
    /// The program needs something that is not modelled.
    Unsupported,
}

impl Verdict {
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Accept => "accept",
            Verdict::Reject => "reject",
            Verdict::Unsupported => "unsupported",
        }
    }
}

/// What the statistics lines say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub insns_processed: u32,
    pub max_states_per_insn: u32,
    pub total_states: u32,
    pub peak_states: u32,
    /// Per subprogram, as after all passes.
    pub stack_depths: Vec<i32>,
    /// Of the deepest call chain, 0 if the check was not reached.
    pub max_stack_depth: i32,
    /// Instructions processed of main and of each global function.
    pub insns_by_function: Vec<u32>,
}

#[derive(Clone, Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    /// 0 or negative, as `bpf(2)` returns it.
    pub errno: i32,
    /// The kernel's log at level 4 without its statistics lines.
    pub message: String,
    /// Id and name of the refusal (`BV0202`, `RegNotReadable`).
    pub id: Option<&'static str>,
    pub rule: Option<&'static str>,
    /// Instruction at which the walk was refused.
    pub insn: Option<u32>,
    /// `file:line` of that instruction.
    pub source: Option<String>,
    pub stats: Stats,
    /// The log in the kernel's format at the level asked for.
    pub log: String,
    /// What was proven about each instruction; only for accepted programs.
    pub facts: Option<Facts>,
    /// Per slot, whether a path reaches it; only if the walk was completed.
    pub reached: Option<Vec<bool>>,
}

/// Judges a program as `BPF_PROG_LOAD` would.
pub fn verify(prog: &Program, profile: &Profile, opts: &Options) -> Outcome {
    judge(prog, profile, opts, &mut None)
}

/// The same, and where the work went. `Cost` adds up to the counters of the outcome.
pub fn verify_counted(prog: &Program, profile: &Profile, opts: &Options) -> (Outcome, Cost) {
    let mut cost = Some(Box::new(Cost::new(prog.insns.len())));
    let outcome = judge(prog, profile, opts, &mut cost);
    (outcome, cost.map_or_else(Cost::default, |c| *c))
}

fn judge(prog: &Program, profile: &Profile, opts: &Options, cost: &mut Option<Box<Cost>>) -> Outcome {
    // What fails before the verifier has neither log nor statistics.
    if let Err(r) = before_verification(prog, profile) {
        let message = crate::reject::text(&r, profile.version);
        return refused(r, None, None, Stats::default(), message, String::new());
    }
    let mut v = Verifier::new(prog, profile, opts);
    v.cost = cost.take();
    let mut walking = false;
    let result = run(&mut v, &mut walking);
    *cost = v.cost.take();
    let result = versions::settle(Some(&v), profile, result);
    let stats = v.stats();
    let insn = (walking && result.is_err()).then_some(v.insn_idx.max(0) as u32);
    let source = insn.and_then(|i| v.source_of(i));
    let walked = result.is_ok() || v.final_depths.is_some();
    let reached = walked.then(|| v.aux.iter().map(|a| a.seen).collect());
    let facts = result.is_ok().then(|| std::mem::take(&mut v.facts));
    if let Err(r) = &result {
        v.note(r);
    }
    let (message, mut log) = std::mem::take(&mut v.log).into_parts();
    if opts.log_level & 3 == 0 {
        log = if opts.log_level == 0 { String::new() } else { message.clone() };
    }
    if opts.log_level != 0 {
        stats_lines(&mut log, &stats, opts.log_level, profile.changes.more_statistics);
    }
    match result {
        Ok(()) => Outcome {
            verdict: Verdict::Accept,
            errno: 0,
            message,
            id: None,
            rule: None,
            insn: None,
            source: None,
            stats,
            log,
            facts,
            reached,
        },
        Err(r) => Outcome { reached, ..refused(r, insn, source, stats, message, log) },
    }
}

fn before_verification(prog: &Program, profile: &Profile) -> R {
    crate::pass::object::check_maps(prog, profile)?;
    let Some(other) = profile.other() else { return crate::pass::load::check(prog, profile) };
    versions::before_load(prog, other)?;
    crate::pass::load::check(prog, profile).or_else(|r| versions::settle(None, profile, Err(r)))
}

fn run(v: &mut Verifier<'_>, walking: &mut bool) -> R {
    v.before_walk()?;
    *walking = true;
    v.walk_program()?;
    *walking = false;
    v.after_walk()
}

fn refused(
    r: Reject,
    insn: Option<u32>,
    source: Option<String>,
    stats: Stats,
    message: String,
    log: String,
) -> Outcome {
    let unsupported = matches!(r, Reject::Unsupported { .. });
    let message = match &r {
        Reject::Unsupported { what } => format!("unsupported: {what}"),
        _ => message.trim_end_matches('\n').to_owned(),
    };
    Outcome {
        verdict: if unsupported { Verdict::Unsupported } else { Verdict::Reject },
        errno: if unsupported { -errno::EOPNOTSUPP } else { -r.errno() },
        message,
        id: Some(r.id()),
        rule: Some(r.name()),
        insn,
        source,
        stats,
        log,
        facts: None,
        reached: None,
    }
}

fn stats_lines(log: &mut String, s: &Stats, level: u32, more: bool) {
    if level & 4 != 0 {
        // The kernel's figure is wall-clock time: it is never the same twice, so the log says nothing about it.
        let _ = write!(log, "stack depth {}", sum(&s.stack_depths));
        let _ = match more {
            true => writeln!(log, " max {}\ninsns processed {}", s.max_stack_depth, sum(&s.insns_by_function)),
            false => writeln!(log),
        };
    }
    let _ = writeln!(
        log,
        "processed {} insns (limit {}) max_states_per_insn {} total_states {} peak_states {} mark_read 0",
        s.insns_processed,
        crate::walk::MAX_PROCESSED,
        s.max_states_per_insn,
        s.total_states,
        s.peak_states
    );
}

/// `8+16+0`.
fn sum<T: ToString>(numbers: &[T]) -> String {
    numbers.iter().map(T::to_string).collect::<Vec<_>>().join("+")
}

impl Verifier<'_> {
    fn stats(&self) -> Stats {
        Stats {
            insns_processed: self.count.insns,
            max_states_per_insn: self.count.max_states_per_insn,
            total_states: self.count.total_states,
            peak_states: self.count.peak_states,
            max_stack_depth: self.count.max_stack_depth,
            insns_by_function: (self.subprogs.iter().enumerate())
                .filter(|(i, s)| *i == 0 || s.is_global())
                .map(|(_, s)| s.insns)
                .collect(),
            stack_depths: self
                .final_depths
                .clone()
                .unwrap_or_else(|| self.subprogs.iter().map(|s| s.stack_depth).collect()),
        }
    }
}
