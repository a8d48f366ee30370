//! One judged program as a row: what `verify` prints in every format. The JSON form is a contract; fields are only ever added.

use std::time::{Duration, Instant};

use diagnose::{Certainty, Fix, PathLine, Place};
use serde::Serialize;
use spec::{Profile, ProgType};
use verifier::{Options, Verdict};

use crate::diagnosis::{self, Report};
use crate::input::Case;
use crate::min_kernel::{self, Needed};

pub const SCHEMA: u32 = 1;

/// The answer for one program.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    pub schema: u32,
    pub file: String,
    pub program: String,
    pub section: String,
    pub prog_type: String,
    /// `accept`, `reject`, `unsupported` (we do not model it) or `error` (the program cannot be put together).
    pub verdict: &'static str,
    /// The load record's id; without one, the same as `code`.
    pub id: Option<String>,
    /// Stable id of the refusal: `BV0202`.
    pub code: Option<String>,
    /// Its name: `RegNotReadable`.
    pub rule: Option<String>,
    pub errno: i32,
    pub message: String,
    pub insn: Option<u32>,
    pub source: Option<String>,
    pub insns_processed: u64,
    pub total_states: u64,
    pub peak_states: u64,
    pub max_states_per_insn: u64,
    pub stack_depth: String,
    pub duration_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The kernel that this is the verdict of, as it was asked for.
    pub kernel: String,
    /// How well that kernel is known: `exact` where it was held against the kernel, `lacks only` where a program is only refused for what
    /// that kernel does not have.
    pub confidence: &'static str,
    /// Only when asked for: the oldest kernel that has all that the program needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_kernel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<Vec<Needed>>,
    /// Of a refusal: what it really means, an id of the list of causes.
    pub cause: Option<&'static str>,
    /// How sure that is: `sure`, `likely` or `guess`.
    pub cause_confidence: Option<Certainty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub places: Option<Vec<Place>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Vec<Fix>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Vec<PathLine>>,
    /// An input that breaks the program, as `run --input` takes it, and what happens then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterexample: Option<serde_json::Value>,
    /// What other kernels say to the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernels: Option<Vec<diagnose::Kernel>>,
    /// What the report for a terminal is drawn from.
    #[serde(skip)]
    pub report: Option<Box<Report>>,
}

impl Row {
    fn explain(&mut self, report: Report) {
        let d = &report.diagnosis;
        self.cause = Some(d.cause.id());
        self.cause_confidence = Some(d.cause_confidence);
        self.title = Some(d.title.clone());
        self.evidence = Some(d.evidence.clone());
        self.places = Some(d.places.clone());
        self.fix = Some(d.fix.clone());
        self.notes = Some(d.notes.clone());
        self.path = Some(d.path.clone());
        self.counterexample.clone_from(&d.counterexample);
        self.kernels = (!d.kernels.is_empty()).then(|| d.kernels.clone());
        self.report = Some(Box::new(report));
    }

    /// Lists have no place in a table.
    pub fn flat(&mut self) {
        (self.log, self.needs, self.title) = (None, None, None);
        (self.evidence, self.notes) = (None, None);
        (self.places, self.fix, self.path) = (None, None, None);
        (self.counterexample, self.kernels) = (None, None);
    }
}

pub const ACCEPT: &str = "accept";
pub const REJECT: &str = "reject";
pub const UNSUPPORTED: &str = "unsupported";
pub const ERROR: &str = "error";

/// Name of a program type, or its number.
pub fn type_name(raw: u32) -> String {
    ProgType::from_raw(raw).map_or_else(|| format!("type {raw}"), |t| t.libbpf_name())
}

/// Judges one program. A panic of the verifier becomes an `error` row: one bad program must not cost the others.
pub fn judge(case: &Case, profile: &Profile, log_level: u32, with_needs: bool) -> Row {
    let id = case.id.clone();
    let mut row =
        Row { schema: SCHEMA, file: case.file.clone(), program: case.name().to_owned(), id, ..Row::default() };
    row.kernel = format!("{}.{}", profile.version.major, profile.version.minor);
    row.confidence = if profile.modelled { "exact" } else { "lacks only" };
    let program = match &case.program {
        Ok(p) => p,
        Err(bad) => {
            row.section.clone_from(&bad.section);
            row.verdict = if bad.kernel_lacks { UNSUPPORTED } else { ERROR };
            row.message.clone_from(&bad.why);
            return row;
        }
    };
    row.section.clone_from(&program.section);
    row.prog_type = type_name(program.prog_type);
    let mut own = profile.clone();
    if let Some(btf) = &case.vmlinux {
        own = own.with_btf(btf.clone());
    }
    if let Some(caps) = case.caps {
        own = own.with_caps(caps);
    }
    let start = Instant::now();
    let outcome = engines::guarded(|| verifier::verify(program, &own, &Options { log_level }));
    row.duration_us = micros(start.elapsed());
    let outcome = match outcome {
        Ok(o) => o,
        Err(panic) => {
            row.verdict = ERROR;
            row.message = format!("internal error: {panic}");
            return row;
        }
    };
    if outcome.verdict == Verdict::Reject
        && let Ok(report) = engines::guarded(|| diagnosis::of(program, &own, &outcome))
    {
        row.explain(report);
    }
    row.verdict = outcome.verdict.name();
    row.errno = outcome.errno;
    row.message = outcome.message;
    row.code = outcome.id.map(str::to_owned);
    row.rule = outcome.rule.map(str::to_owned);
    if row.id.is_none() {
        row.id.clone_from(&row.code);
    }
    row.insn = outcome.insn;
    row.source = outcome.source;
    let s = outcome.stats;
    row.insns_processed = s.insns_processed.into();
    row.total_states = s.total_states.into();
    row.peak_states = s.peak_states.into();
    row.max_states_per_insn = s.max_states_per_insn.into();
    row.stack_depth = s.stack_depths.iter().map(i32::to_string).collect::<Vec<_>>().join("+");
    if with_needs {
        let needs = min_kernel::needs(program, &own, outcome.reached.as_deref());
        row.min_kernel = Some(min_kernel::oldest(&needs));
        row.needs = Some(needs);
    }
    row.log = (log_level != 0).then_some(outcome.log);
    debug_assert!(outcome.verdict != Verdict::Accept || row.errno == 0);
    row
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}
