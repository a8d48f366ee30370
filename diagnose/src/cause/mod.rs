//! Causes and how they are found: the table of ids, what rules get to see, what they answer, and the order in which they are asked. A rule
//! goes by evidence on the path; the message only says which rules to ask. The ids are a contract and are only added to.

mod environment;
mod memory;
mod objects;
mod packet;
mod pointers;
mod range;
mod resources;
mod stack;
mod text;

use serde::{Serialize, Serializer};

use crate::diagnosis::{Certainty, Extra, Fix, Place, Role, Trial};
use crate::log::Source;
use crate::log::state::{self, Value};
use crate::path::Path;

macro_rules! causes {
    ($($name:ident $id:literal $meaning:literal;)*) => {
        /// What a refusal really means.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Cause { $($name),* }

        impl Cause {
            pub const ALL: &'static [Cause] = &[$(Cause::$name),*];
            pub const fn id(self) -> &'static str {
                match self { $(Cause::$name => $id),* }
            }
            /// One line for people.
            pub const fn meaning(self) -> &'static str {
                match self { $(Cause::$name => $meaning),* }
            }
        }
    };
}

causes! {
    PktMissing "PKT-MISSING" "packet bytes are used without a check against the packet's end that covers them";
    PktLost "PKT-LOST" "the packet is checked, but the check gives this pointer no range";
    PktStale "PKT-STALE" "a packet pointer is used after a helper that may move the packet";
    MemOob "MEM-OOB" "an access that really is out of bounds";
    Range "RANGE" "a length or index whose range is not proven";
    RangeLost "RANGE-LOST" "the range was checked, but the proof does not reach the use";
    StackInit "STACK-INIT" "stack bytes are read before they are written, often padding";
    StackSize "STACK-SIZE" "more stack than a BPF program has";
    Null "NULL" "a pointer that may be NULL is used without a test on this path";
    RawDeref "RAW-DEREF" "an address that is only a number to the verifier is dereferenced directly";
    ProvLost "PROV-LOST" "the verifier lost what a pointer points to";
    PtrOp "PTR-OP" "an operation that is never allowed on this pointer";
    Sig "SIG" "a register or argument that holds nothing is used";
    ArgType "ARG-TYPE" "wrong kind of argument for a helper or kfunc";
    Ctx "CTX" "a context field, size or offset that this program type does not have";
    Ref "REF" "an acquired object is not released exactly once";
    Subprog "SUBPROG" "a global function or callback is verified alone, without what its callers know";
    HelperNa "HELPER-NA" "this kernel, program type or licence does not offer it";
    Retval "RETVAL" "the return value is outside of what the hook allows";
    Complex "COMPLEX" "the verifier's budget is used up before it has seen all paths";
    Loop "LOOP" "a loop that the verifier cannot see the end of";
    ObjLimit "OBJ-LIMIT" "a limit of objects per program";
    CoreBtf "CORE-BTF" "CO-RE relocation or BTF does not fit this kernel or object";
    Loader "LOADER" "the bytecode is not what was meant: relocation, section or build";
    KernelBug "KERNEL-BUG" "depends on a bug or back-port of a kernel's verifier";
    Priv "PRIV" "privileges, sysctl or lockdown";
    Log "LOG" "the real error is hidden: the log is cut or missing";
    Lang "LANG" "a language feature that BPF does not have";
    Align "ALIGN" "a misaligned access where alignment is checked";
    Dynptr "DYNPTR" "a dynptr used against its rules";
    Iter "ITER" "an iterator used outside of new, next, destroy";
    Lock "LOCK" "a lock, RCU, preemption or IRQ state is not what this needs";
    Context "CONTEXT" "a call that is not allowed in this context";
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.id())
    }
}

impl Cause {
    pub fn from_id(id: &str) -> Option<Cause> {
        Cause::ALL.iter().copied().find(|c| c.id().eq_ignore_ascii_case(id))
    }
}

/// What rules get to see.
pub struct Facts<'a> {
    pub path: &'a Path<'a>,
    pub extra: &'a Extra,
    /// All message lines.
    pub text: String,
    /// Step of the refused instruction.
    pub at: Option<usize>,
}

/// A place to be shown.
#[derive(Clone, Debug)]
pub struct Mark {
    pub role: Role,
    pub spot: Spot,
    pub label: String,
}

#[derive(Clone, Debug)]
pub enum Spot {
    Step(usize),
    Insn(u32, Option<Source>),
    Source(Source),
}

/// What a rule answers.
pub struct Finding {
    pub cause: Cause,
    pub certainty: Certainty,
    pub title: String,
    pub evidence: Vec<String>,
    pub marks: Vec<Mark>,
    pub fix: Vec<Fix>,
    pub notes: Vec<String>,
}

impl Finding {
    pub fn new(cause: Cause, certainty: Certainty, title: impl Into<String>) -> Finding {
        Finding {
            cause,
            certainty,
            title: title.into(),
            evidence: Vec::new(),
            marks: Vec::new(),
            fix: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub fn sure(cause: Cause, title: impl Into<String>) -> Finding {
        Finding::new(cause, Certainty::Sure, title)
    }

    pub fn likely(cause: Cause, title: impl Into<String>) -> Finding {
        Finding::new(cause, Certainty::Likely, title)
    }

    pub fn guess(cause: Cause, title: impl Into<String>) -> Finding {
        Finding::new(cause, Certainty::Guess, title)
    }

    pub fn because(mut self, text: impl Into<String>) -> Finding {
        self.evidence.push(text.into());
        self
    }

    pub fn mark(mut self, role: Role, step: usize, label: impl Into<String>) -> Finding {
        self.marks.push(Mark { role, spot: Spot::Step(step), label: label.into() });
        self
    }

    pub fn fix(mut self, text: impl Into<String>) -> Finding {
        self.fix.push(Fix { text: text.into(), ..Fix::default() });
        self
    }

    pub fn fixed(mut self, fix: Fix) -> Finding {
        self.fix.push(fix);
        self
    }

    pub fn note(mut self, text: impl Into<String>) -> Finding {
        self.notes.push(text.into());
        self
    }
}

impl Mark {
    pub fn place(&self, f: &Facts<'_>) -> Place {
        let (source, insn, bpf) = match &self.spot {
            Spot::Step(i) => {
                let s = f.path.steps.get(*i);
                (f.source(*i).cloned(), s.map(|s| s.insn), s.map(|s| s.text.clone()))
            }
            Spot::Insn(n, source) => {
                let known = source.clone().or_else(|| f.extra.source(*n).cloned());
                (known, Some(*n), f.extra.text(*n).map(str::to_owned))
            }
            Spot::Source(s) => (Some(s.clone()), None, None),
        };
        let source = source.unwrap_or_default();
        Place {
            role: self.role,
            file: source.file,
            line: source.line,
            column: source.column,
            text: (!source.text.is_empty()).then_some(source.text),
            insn,
            label: self.label.clone(),
            bpf,
        }
    }
}

impl<'a> Facts<'a> {
    pub fn new(path: &'a Path<'a>, extra: &'a Extra) -> Facts<'a> {
        let text = path.refusal.message.join("\n");
        // A log of a walk ends with the refused instruction; errors of later passes name theirs.
        let at = path.last().filter(|_| !path.refusal.message.is_empty() || path.refusal.report.is_some());
        Facts { path, extra, text, at }
    }

    pub fn has(&self, words: &str) -> bool {
        self.text.contains(words)
    }

    pub fn source(&self, step: usize) -> Option<&Source> {
        // The program's own record has the line as it was written, and the column.
        let insn = self.path.steps.get(step)?.insn;
        self.extra.source(insn).or_else(|| self.path.source(step))
    }

    /// Value of a register at the refused instruction.
    pub fn reg(&self, reg: u8) -> Option<Value> {
        self.path.value(self.at?, state::Place::Reg(reg))
    }

    /// The register that the message speaks of: `R2 ...`, `..., R1(id=0`, `arg#0`.
    pub fn message_reg(&self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        let lines = self.text.lines().rev();
        for line in lines {
            let found = line.match_indices('R').find_map(|(i, _)| {
                let before = i == 0 || !line.as_bytes()[i - 1].is_ascii_alphanumeric();
                let digits: String = line[i + 1..].chars().take_while(char::is_ascii_digit).collect();
                before.then(|| digits.parse::<u8>().ok()).flatten().filter(|r| *r <= 10)
            });
            if found.is_some() {
                return found;
            }
        }
        debug_assert!(bytes.len() == self.text.len());
        None
    }

    /// A number behind `name` in the message: `off=13`, `size 8`.
    pub fn number(&self, name: &str) -> Option<i64> {
        let at = self.text.find(name)? + name.len();
        let rest = self.text[at..].trim_start_matches(['=', ' ', '+']);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        state::number(&rest[..end])
    }

    /// What a program of this type returns to let things pass.
    pub fn give_up(&self) -> &'static str {
        match self.extra.prog_type.as_deref() {
            Some("xdp") => "return XDP_PASS;",
            Some("sched_cls" | "tc" | "classifier" | "sched_act") => "return TC_ACT_OK;",
            _ if self.path.refusal.sources.iter().any(|s| s.text.contains("xdp_md")) => "return XDP_PASS;",
            _ => "return 0;",
        }
    }

    /// Packet of the text of a source line that begins with `name =`, or declares it: the name a value was given.
    pub fn name_given(&self, step: usize) -> Option<String> {
        text::assigned(&self.source(step)?.text)
    }

    /// The fix that puts a line before that of a step.
    pub fn before(&self, step: usize, text: impl Into<String>, code: impl Into<String>) -> Fix {
        let source = self.source(step);
        Fix {
            text: text.into(),
            code: Some(code.into()),
            how: Some("before"),
            file: source.and_then(|s| s.file.clone()),
            line: source.and_then(|s| s.line),
            proven: false,
            trial: None,
        }
    }

    /// The fix that changes the line of a step.
    pub fn replace(&self, step: usize, text: impl Into<String>, code: impl Into<String>) -> Fix {
        Fix { how: Some("replace"), ..self.before(step, text, code) }
    }

    /// The trial of a check against the packet's end, if a register has that end or can get it.
    pub fn packet_trial(&self, at: usize, reg: u8, needed: i64) -> Option<Trial> {
        let insn = self.path.steps.get(at)?.insn;
        let value = |r: u8| self.path.value(at, state::Place::Reg(r));
        if let Some(end) = (0..=9).find(|r| value(*r).is_some_and(|v| v.is_packet_end())) {
            return Some(Trial::Packet { insn, reg, end, needed, load: None });
        }
        let ctx = (1..=9).find(|r| value(*r).is_some_and(|v| v.kind == "ctx" && v.off == 0))?;
        let free = (0..=5).find(|r| *r != reg && value(*r).is_none())?;
        let off = match self.extra.prog_type.as_deref()? {
            "xdp" => 4,
            _ => 80,
        };
        Some(Trial::Packet { insn, reg, end: free, needed, load: Some((ctx, off)) })
    }

    /// The marks that most findings have: what is refused.
    pub fn rejected(&self, finding: Finding, label: impl Into<String>) -> Finding {
        match (self.at, self.extra.insn) {
            (Some(at), _) => {
                let mut f = finding;
                f.marks.insert(0, Mark { role: Role::Rejected, spot: Spot::Step(at), label: label.into() });
                f
            }
            (None, Some(insn)) => {
                let mut f = finding;
                f.marks.insert(0, Mark { role: Role::Rejected, spot: Spot::Insn(insn, None), label: label.into() });
                f
            }
            _ => finding,
        }
    }
}

/// The cause of a refusal. Rules are asked in an order in which the more telling message comes first; the first answer counts.
pub fn find(f: &Facts<'_>) -> Finding {
    let rules: &[fn(&Facts<'_>) -> Option<Finding>] = &[
        environment::hidden,
        objects::rule,
        environment::rule,
        resources::rule,
        stack::rule,
        packet::rule,
        pointers::null,
        memory::rule,
        range::rule,
        pointers::rule,
        environment::last_resort,
    ];
    rules.iter().find_map(|r| r(f)).map(|found| settle(f, found)).unwrap_or_else(|| unknown(f))
}

/// What holds for every finding: the refused place is marked, and 7.3's own words are kept.
fn settle(f: &Facts<'_>, mut found: Finding) -> Finding {
    if !found.marks.iter().any(|m| matches!(m.role, Role::Rejected | Role::Loop | Role::Function)) {
        found = f.rejected(found, "refused here");
    }
    if let Some(report) = &f.path.refusal.report {
        if !found.marks.iter().any(|m| m.role == Role::Rejected)
            && let Some(place) = &report.place
        {
            let label = "refused here".to_owned();
            found.marks.insert(0, Mark { role: Role::Rejected, spot: Spot::Source(place.clone()), label });
        }
        if !report.reason.is_empty() {
            found.notes.push(format!("the kernel's own report: {}", report.reason));
        }
    }
    if f.path.refusal.truncated
        && found.certainty == Certainty::Sure
        && f.path.steps.first().is_none_or(|s| s.insn != 0)
    {
        found.certainty = Certainty::Likely;
        found.notes.push("the beginning of the log is missing: what was checked before is not known".to_owned());
    }
    found
}

fn unknown(f: &Facts<'_>) -> Finding {
    let title = f.path.refusal.message.last().cloned().unwrap_or_else(|| "refused without a reason".to_owned());
    Finding::guess(Cause::Log, title).because("no rule knows this message; the cause may be elsewhere")
}
