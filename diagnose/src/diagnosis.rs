//! A diagnosis as data: what `--format json` prints and reports are drawn from. How causes are found is in `cause`.

use serde::Serialize;

use crate::cause::{self, Cause, Facts};
use crate::ids;
use crate::log::{Refusal, Source};
use crate::path::Path;
use crate::probe::{Probe, probe};

/// How sure a diagnosis is. A guess says that it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    Guess,
    Likely,
    Sure,
}

/// What a place is to the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Rejected,
    Made,
    Checked,
    Lost,
    Loop,
    Function,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    pub role: Role,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub column: Option<u32>,
    /// The line of source.
    pub text: Option<String>,
    pub insn: Option<u32>,
    /// What happens here, in words.
    pub label: String,
    /// The instruction.
    pub bpf: Option<String>,
}

/// A change to the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// What to do.
    pub text: String,
    /// The changed or new line, where one can be named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// `replace` or `before`: how `code` relates to `line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The same change was made to the bytecode, and it was accepted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proven: bool,
    /// How it can be tried on the instructions.
    #[serde(skip)]
    pub trial: Option<Trial>,
}

/// A change to instructions that stands for a fix in the source: whoever has the program can judge it again with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// Leave before `insn` if the register is 0.
    NotNull { insn: u32, reg: u8 },
    /// Leave before `insn` unless `needed` bytes from the register on are inside of the packet. `end` holds data_end, or is free to get it
    /// by `load`: the register with the context, and the field's offset.
    Packet { insn: u32, reg: u8, end: u8, needed: i64, load: Option<(u8, i32)> },
    /// Leave before `insn` unless the register is from `least` to one of `most`, which are tried in turn.
    Limit { insn: u32, reg: u8, least: u64, most: Vec<u64> },
    /// Zero a stretch of the main function's stack when it begins.
    Zero { off: i64, len: i64 },
}

/// What one kernel says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kernel {
    pub kernel: String,
    pub accepts: bool,
    pub message: String,
}

/// A stretch of the path on one line of source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathLine {
    pub file: Option<String>,
    pub line: Option<u32>,
    pub text: Option<String>,
    pub insn: u32,
    /// More than 1: a loop, with the lines that follow it and have the same number.
    pub times: u32,
}

#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    pub program: Option<String>,
    pub id: Option<&'static str>,
    pub rule: Option<&'static str>,
    pub message: String,
    pub cause: Cause,
    pub meaning: &'static str,
    pub cause_confidence: Certainty,
    /// One sentence for people.
    pub title: String,
    /// Why this cause.
    pub evidence: Vec<String>,
    pub places: Vec<Place>,
    pub fix: Vec<Fix>,
    pub notes: Vec<String>,
    /// The path, loops folded, its last lines.
    pub path: Vec<PathLine>,
    /// An input that breaks the program, as `run --input` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterexample: Option<serde_json::Value>,
    /// What other kernels say to the same program.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kernels: Vec<Kernel>,
    #[serde(skip)]
    pub probe: Probe,
}

/// Stack of one function.
#[derive(Clone, Debug, Default)]
pub struct FunctionStack {
    pub name: String,
    pub bytes: i32,
    pub source: Option<Source>,
    pub insn: u32,
}

/// What is known besides the log, when the program itself is there.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// As libbpf names it: `xdp`, `sched_cls`.
    pub prog_type: Option<String>,
    pub id: Option<&'static str>,
    pub rule: Option<&'static str>,
    /// The refused instruction and its text, if the walk had begun.
    pub insn: Option<u32>,
    pub functions: Vec<FunctionStack>,
    /// Source of every instruction that has one.
    pub sources: Vec<(u32, Source)>,
    /// The instructions' texts.
    pub listing: Vec<(u32, String)>,
    /// Maps that the program refers to.
    pub maps: usize,
    /// Where the work went: instruction, how often.
    pub hot: Vec<(u32, u64)>,
}

impl Extra {
    pub fn source(&self, insn: u32) -> Option<&Source> {
        let at = self.sources.partition_point(|s| s.0 <= insn);
        at.checked_sub(1).map(|i| &self.sources[i].1)
    }

    pub fn text(&self, insn: u32) -> Option<&str> {
        let at = self.listing.binary_search_by_key(&insn, |l| l.0).ok()?;
        Some(&self.listing[at].1)
    }
}

/// The diagnosis of one refusal.
pub fn diagnose(refusal: &Refusal, extra: &Extra) -> Diagnosis {
    let path = Path::of(refusal);
    let facts = Facts::new(&path, extra);
    let finding = cause::find(&facts);
    let (id, rule) = match extra.id {
        Some(id) => (Some(id), extra.rule),
        None => {
            let row = refusal.message.iter().rev().find_map(|l| ids::by_message(l));
            (row.map(|r| r.0), row.map(|r| r.1))
        }
    };
    let places = finding.marks.iter().map(|m| m.place(&facts)).collect();
    Diagnosis {
        program: refusal.program.clone(),
        id,
        rule,
        message: refusal.message.join("\n"),
        cause: finding.cause,
        meaning: finding.cause.meaning(),
        cause_confidence: finding.certainty,
        title: finding.title,
        evidence: finding.evidence,
        places,
        fix: finding.fix,
        notes: finding.notes,
        path: fold(&path),
        counterexample: None,
        kernels: Vec::new(),
        probe: probe(&path),
    }
}

/// Longest path that a diagnosis carries.
const PATH_LINES: usize = 60;

/// The path by lines of source, with repeated stretches once.
fn fold(path: &Path<'_>) -> Vec<PathLine> {
    let mut lines: Vec<(Option<usize>, u32)> = Vec::new();
    for step in &path.steps {
        if lines.last().is_none_or(|l| l.0 != step.source || step.source.is_none()) {
            lines.push((step.source, step.insn));
        }
    }
    let key = |l: &(Option<usize>, u32)| match l.0.and_then(|s| path.refusal.sources.get(s)) {
        Some(s) => (s.text.clone(), s.line.unwrap_or(0)),
        None => (String::new(), l.1),
    };
    let mut out: Vec<PathLine> = Vec::new();
    let mut keys: Vec<(String, u32)> = Vec::new();
    for line in &lines {
        let k = key(line);
        let source = line.0.and_then(|s| path.refusal.sources.get(s));
        keys.push(k);
        out.push(PathLine {
            file: source.and_then(|s| s.file.clone()),
            line: source.and_then(|s| s.line),
            text: source.map(|s| s.text.clone()),
            insn: line.1,
            times: 1,
        });
        // A stretch that repeats the one before it is a turn of a loop.
        for len in 1..=(keys.len() / 2).min(64) {
            let n = keys.len();
            if keys[n - len..] == keys[n - 2 * len..n - len] {
                keys.truncate(n - len);
                out.truncate(n - len);
                out[n - 2 * len..].iter_mut().for_each(|l| l.times += 1);
                break;
            }
        }
    }
    let from = out.len().saturating_sub(PATH_LINES);
    out.split_off(from)
}
