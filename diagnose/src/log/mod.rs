//! Reading logs: any text with verifier output in it to the refusals that it holds, each with the steps that were printed, the lines behind
//! them and what the loader said. The format is the kernel's (4.15 to 7.3); what surrounds it is `clean`'s matter. What a refusal means
//! is not decided here.

mod clean;
pub mod insn;
mod line;
pub mod state;

use insn::Op;
use line::Line;
use state::State;

/// A line of the program's source as a log has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    pub text: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub column: Option<u32>,
}

/// One instruction that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub insn: u32,
    pub text: String,
    pub op: Op,
    /// Index into `Refusal::sources`.
    pub source: Option<usize>,
    /// The whole state before it, where the log has one.
    pub before: Option<State>,
    /// What changed.
    pub after: Option<State>,
    /// A branch is taken up here: the jump that it comes from.
    pub from: Option<u32>,
    pub frame: u8,
}

/// One program that was not accepted, or whose log ends without saying so.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    pub program: Option<String>,
    /// All steps of the log, in its order.
    pub steps: Vec<Step>,
    pub sources: Vec<Source>,
    /// The kernel's lines behind the last step.
    pub message: Vec<String>,
    /// Lines of tools: loaders, CI.
    pub notes: Vec<String>,
    /// The function that was verified on its own when it ended: `Validating f() func#1...`.
    pub validating: Option<String>,
    /// From the `processed N insns` line.
    pub processed: Option<u64>,
    /// The report that Linux 7.3 puts at the end.
    pub report: Option<Report>,
    /// Parts are missing: lines left out, no beginning or no end.
    pub truncated: bool,
    /// Line of the text at which the message begins, from 1.
    pub at_line: usize,
    /// A `-O0`-like or trace-less log has a call depth here all the same.
    pub functions: Vec<(u32, u32)>,
}

/// What Linux 7.3 says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub what: String,
    pub reason: String,
    pub function: Option<String>,
    pub place: Option<Source>,
    pub suggestion: Option<String>,
}

/// The refusals in a text.
pub fn refusals(text: &str) -> Vec<Refusal> {
    let mut builder = Builder::default();
    for (n, line) in clean::lines(text).iter().enumerate() {
        builder.take(n + 1, line);
    }
    builder.end();
    let Builder { mut done, notes, .. } = builder;
    // A loader that sums a log up before it prints it says the same thing twice.
    let mut n = 1;
    while n < done.len() {
        let (a, b) = (&done[n - 1], &done[n]);
        if a.message.last() == b.message.last() && a.steps.len() <= 1 && (a.program == b.program || a.program.is_none())
        {
            done.remove(n - 1);
        } else {
            n += 1;
        }
    }
    if done.is_empty() && !notes.is_empty() {
        done.push(Refusal { notes, truncated: true, ..Refusal::default() });
    }
    done
}

/// The one refusal of a log in the kernel's bare form, as our own walk prints it.
pub fn own(log: &str) -> Refusal {
    let mut builder = Builder::default();
    for (n, line) in log.lines().enumerate() {
        builder.take(n + 1, line);
    }
    builder.end();
    builder.done.pop().unwrap_or_default()
}

#[derive(Default)]
struct Builder {
    now: Refusal,
    /// A state that stands before the next instruction.
    pending: Option<State>,
    from: Option<u32>,
    /// Indentation-free section of a 7.3 report that is being read.
    section: Section,
    ended: bool,
    done: Vec<Refusal>,
    /// Of the tool, between logs.
    notes: Vec<String>,
    program: Option<String>,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum Section {
    #[default]
    None,
    Reason,
    At,
    Path,
    Suggestion,
}

impl Builder {
    fn take(&mut self, number: usize, text: &str) {
        if self.report_line(text) {
            return;
        }
        match line::read(text) {
            Line::Nothing | Line::Noise => {}
            Line::Begin(name) => {
                self.end();
                if name.is_some() {
                    self.program = name;
                }
            }
            Line::Program(name) => {
                if self.program.as_ref() != Some(&name) {
                    self.end();
                }
                self.program = Some(name);
                self.note(text);
            }
            Line::Tool => self.note(text),
            Line::Gap => {
                self.now.truncated = true;
                self.from = None;
            }
            Line::Function(func, at) => {
                self.fresh();
                self.now.functions.push((func, at));
            }
            Line::Validating(name) => {
                self.now.validating = Some(name);
                self.now.steps.clear();
                self.now.message.clear();
            }
            Line::Safe => {
                self.now.validating = None;
                self.now.message.clear();
            }
            Line::Source(source) => {
                self.fresh();
                self.now.message.clear();
                self.now.sources.push(source);
            }
            Line::Insn { insn, text, state, next, message } => {
                self.step(insn, &text, state, next);
                if message.is_some() {
                    self.now.at_line = number;
                }
                self.now.message.extend(message);
            }
            Line::From { from, state } => {
                self.fresh();
                self.now.message.clear();
                self.from = Some(from);
                self.pending = state;
            }
            Line::Pruned => self.from = None,
            Line::State { insn, state } => {
                if insn == Some(0) && self.now.steps.iter().any(|s| s.insn == 0) && self.pending.is_none() && self.ended
                {
                    self.end();
                }
                self.fresh();
                self.state(state);
            }
            Line::Processed(n) => {
                self.now.processed = Some(n);
                self.ended = true;
            }
            Line::Message => {
                self.fresh_message();
                if self.now.message.is_empty() {
                    self.now.at_line = number;
                }
                self.now.message.push(text.to_owned());
            }
        }
    }

    /// Something of a next log after the end of one: closes that.
    fn fresh(&mut self) {
        if self.ended {
            self.end();
        }
    }

    fn fresh_message(&mut self) {
        if self.ended && !self.now.message.is_empty() {
            self.end();
        }
    }

    fn note(&mut self, text: &str) {
        self.now.notes.push(text.to_owned());
        self.notes.push(text.to_owned());
    }

    fn step(&mut self, insn: u32, text: &str, state: Option<State>, next: Option<State>) {
        if insn == 0 && self.ended {
            self.end();
        }
        // A line of text behind an instruction that another one follows was no refusal.
        self.now.message.clear();
        let before = self.pending.take();
        let frame = before.as_ref().or(state.as_ref()).map_or_else(|| self.next_frame(insn), |s| s.frame);
        let source = self.now.sources.len().checked_sub(1);
        self.now.steps.push(Step {
            insn,
            text: text.to_owned(),
            op: Op::parse(text),
            source,
            before,
            after: state,
            from: self.from.take(),
            frame,
        });
        self.pending = next;
    }

    fn next_frame(&self, insn: u32) -> u8 {
        let Some(last) = self.now.steps.last() else { return 0 };
        match last.op {
            Op::Call { by } if i64::from(last.insn) + 1 + i64::from(by) == i64::from(insn) => last.frame + 1,
            Op::Exit => last.frame.saturating_sub(1),
            _ => last.frame,
        }
    }

    /// A state on a line of its own: before the next instruction.
    fn state(&mut self, state: State) {
        match &mut self.pending {
            Some(p) if p.frame == state.frame => p.values.extend(state.values),
            p => *p = Some(state),
        }
    }

    /// The lines of 7.3's own report. True if this was one.
    fn report_line(&mut self, text: &str) -> bool {
        let t = text.trim();
        if let Some(what) = t.strip_prefix("Verification failed: ") {
            self.now.report = Some(Report { what: what.to_owned(), ..Report::default() });
            self.section = Section::None;
            return true;
        }
        let Some(report) = &mut self.now.report else { return false };
        let (section, rest) = if let Some(r) = t.strip_prefix("Reason:") {
            (Section::Reason, r)
        } else if let Some(r) = t.strip_prefix("At:") {
            (Section::At, r)
        } else if let Some(r) = t.strip_prefix("Causal path:") {
            (Section::Path, r)
        } else if let Some(r) = t.strip_prefix("Suggestion:") {
            (Section::Suggestion, r)
        } else if t.starts_with("processed ") || t.starts_with("libbpf:") || t.starts_with("-- ") {
            self.section = Section::None;
            return false;
        } else {
            (self.section, t)
        };
        self.section = section;
        let rest = rest.trim();
        match section {
            Section::None => return false,
            Section::Reason => append(&mut report.reason, rest),
            Section::Suggestion => append(report.suggestion.get_or_insert_default(), rest),
            Section::At if report.place.is_none() && rest.contains('@') => {
                if let Some((function, place)) = rest.split_once('@') {
                    report.function = Some(function.trim().to_owned());
                    report.place = Some(line::place("", place.trim()));
                }
            }
            Section::At | Section::Path => {}
        }
        true
    }

    /// Closes the log that is being read and keeps it if it is a refusal.
    fn end(&mut self) {
        let mut now = std::mem::take(&mut self.now);
        self.pending = None;
        self.from = None;
        self.section = Section::None;
        let ended = std::mem::take(&mut self.ended);
        now.program = now.program.or_else(|| self.program.clone());
        now.truncated |=
            now.steps.first().is_some_and(|s| s.insn != 0 && s.before.is_none() && now.validating.is_none());
        let said = !now.message.is_empty() || now.report.is_some();
        if said || (!now.steps.is_empty() && !ended) {
            now.truncated |= !said;
            self.done.push(now);
        } else if !now.notes.is_empty()
            && let Some(last) = self.done.last_mut()
        {
            // What the loader says behind a log belongs to it.
            last.notes.extend(now.notes);
        }
    }
}

fn append(to: &mut String, text: &str) {
    if text.is_empty() {
        return;
    }
    if !to.is_empty() {
        to.push(' ');
    }
    to.push_str(text);
}

#[cfg(test)]
mod tests;
