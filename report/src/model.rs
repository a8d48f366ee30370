//! The model of findings: what was judged (a cell for each object, program, configuration and kernel), what was found (a finding names a
//! rule and a place, once for all kernels it holds for) and what changed since the baseline. Every format is a view of this; the JSON
//! format is this, and reports of shards are merged from it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the model; it grows by addition.
pub const SCHEMA: u32 = 1;

/// Everything about one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub schema: u32,
    pub tool: Tool,
    /// The kernels that were asked about, oldest first.
    pub kernels: Vec<Kernel>,
    /// Sorted by object, program, configuration; kernels in their order.
    pub cells: Vec<Cell>,
    /// Worst first, then by place.
    pub findings: Vec<Finding>,
    /// The rules that findings name.
    pub rules: Vec<Rule>,
    /// What is not as the baseline says; empty without one.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// Whether there was a baseline.
    #[serde(default)]
    pub baseline: bool,
    /// Remarks about the run as a whole.
    #[serde(default)]
    pub notes: Vec<String>,
    /// `2/3`: only this part of the programs was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    pub name: String,
    pub version: String,
}

impl Default for Tool {
    fn default() -> Self {
        Self { name: "bpfverdict".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// One column of the matrix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Kernel {
    /// As it was asked for: `6.1`, `host`.
    pub name: String,
    /// The version whose answers these are: `6.1.192`.
    pub version: String,
}

/// How far an answer is to be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// The kernel was recorded, and our answers were compared with its own.
    #[default]
    Exact,
    /// Two recorded kernels on both sides of it say the same.
    Between,
    /// Nobody knows: ask the kernel.
    Ask,
    /// The kernel itself was asked.
    Confirmed,
}

impl Confidence {
    pub const fn name(self) -> &'static str {
        match self {
            Confidence::Exact => "exact",
            Confidence::Between => "between",
            Confidence::Ask => "ask",
            Confidence::Confirmed => "confirmed",
        }
    }
}

/// Better verdicts come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    #[default]
    Accept,
    /// Needs something that is not modelled.
    Unsupported,
    Reject,
    /// The program cannot be put together.
    Error,
}

impl Verdict {
    pub const ALL: [Verdict; 4] = [Verdict::Accept, Verdict::Unsupported, Verdict::Reject, Verdict::Error];

    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Accept => "accept",
            Verdict::Unsupported => "unsupported",
            Verdict::Reject => "reject",
            Verdict::Error => "error",
        }
    }

    pub fn from_name(name: &str) -> Option<Verdict> {
        Verdict::ALL.into_iter().find(|v| v.name() == name)
    }
}

/// One program of one object, in one configuration, judged for one kernel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// Path below the folder of the configuration, with `/`.
    pub object: String,
    pub program: String,
    pub section: String,
    pub prog_type: String,
    #[serde(default)]
    pub attach_type: String,
    /// Name of the set of `.rodata` values; `-` for the object as it is.
    pub configuration: String,
    pub kernel: String,
    pub verdict: Verdict,
    #[serde(default)]
    pub confidence: Confidence,
    /// Id and name of the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    pub errno: i32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    pub insns: u64,
    pub total_states: u64,
    pub peak_states: u64,
    pub max_states_per_insn: u64,
    /// Bytes of stack of each function.
    pub stack: Vec<u32>,
    /// Of the deepest chain of calls.
    #[serde(default)]
    pub max_stack: u32,
    /// Instructions (slots) of the program.
    pub size: u32,
    pub maps: u32,
    pub duration_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Costly lines, most costly first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hot: Vec<Hot>,
}

impl Cell {
    /// `8+16`.
    pub fn stack_text(&self) -> String {
        self.stack.iter().map(u32::to_string).collect::<Vec<_>>().join("+")
    }
}

/// Why a program is refused, and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// Id of the cause behind the message: `PKT-MISSING`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What is the matter, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub story: Option<String>,
    /// The refused place first.
    pub places: Vec<Place>,
    #[serde(default)]
    pub fixes: Vec<Fix>,
}

/// Share of a line in what the verifier walked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hot {
    pub file: String,
    pub line: u32,
    pub text: String,
    pub insns: u64,
}

/// What a place has to do with a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    #[default]
    Rejected,
    Made,
    Checked,
    Lost,
    Loop,
    Function,
}

impl Role {
    pub const ALL: [Role; 6] = [Role::Rejected, Role::Made, Role::Checked, Role::Lost, Role::Loop, Role::Function];

    pub const fn name(self) -> &'static str {
        match self {
            Role::Rejected => "rejected",
            Role::Made => "made",
            Role::Checked => "checked",
            Role::Lost => "lost",
            Role::Loop => "loop",
            Role::Function => "function",
        }
    }

    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|r| r.name() == name)
    }

    /// For people, beside the place.
    pub const fn words(self) -> &'static str {
        match self {
            Role::Rejected => "here",
            Role::Made => "the value comes from here",
            Role::Checked => "it is checked here",
            Role::Lost => "what was known is lost here",
            Role::Loop => "in this loop",
            Role::Function => "in this function",
        }
    }
}

/// A place in source, in the program, or only in the object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    pub role: Role,
    /// As the compiler recorded it, made relative to the folder of the configuration where it lies below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// From 1; 0 when the file is not known.
    #[serde(default)]
    pub line: u32,
    /// From 1; 0 when unknown.
    #[serde(default)]
    pub column: u32,
    /// The line of source.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insn: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// What is to be said about this place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Place {
    /// `file:line:column`, as far as it is known.
    pub fn text_form(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        Some(match (self.line, self.column) {
            (0, _) => file.clone(),
            (line, 0) => format!("{file}:{line}"),
            (line, column) => format!("{file}:{line}:{column}"),
        })
    }
}

/// What would help.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fix {
    pub text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
}

/// Lines of a file to replace; `last` below `first` inserts before `first`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Edit {
    pub file: String,
    pub first: u32,
    pub last: u32,
    pub with: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Makes the gate fail.
    Error,
    Warning,
    #[default]
    Note,
}

impl Level {
    pub const fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        }
    }
}

/// Something that somebody should look at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// `BV0202`, `BL012`, `BG001`.
    pub rule: String,
    pub level: Level,
    /// One sentence, or the kernel's words.
    pub message: String,
    pub object: String,
    #[serde(default)]
    pub program: String,
    /// Configurations and kernels that it holds for.
    #[serde(default)]
    pub configurations: Vec<String>,
    #[serde(default)]
    pub kernels: Vec<String>,
    /// The main place first.
    #[serde(default)]
    pub places: Vec<Place>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub story: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<Fix>,
    /// How it relates to the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeKind>,
    /// It is known and put up with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<Suppression>,
    /// The same for the same finding after lines moved.
    pub fingerprint: String,
}

impl Finding {
    pub fn place(&self) -> Option<&Place> {
        self.places.first()
    }

    /// Whether it makes the run fail.
    pub fn fails(&self) -> bool {
        self.level == Level::Error && self.suppressed.is_none()
    }

    /// `all kernels` or their names; with configurations where there are some.
    pub fn scope(&self, report: &Report) -> String {
        let all = report.kernels.len() > 1 && self.kernels.len() == report.kernels.len();
        let mut out = if all { "all kernels".to_owned() } else { self.kernels.join(", ") };
        let named: Vec<&str> = self.configurations.iter().map(String::as_str).filter(|c| *c != "-").collect();
        if !named.is_empty() {
            let sep = if out.is_empty() { "" } else { "; " };
            match named.len() {
                1..=3 => out.push_str(&format!("{sep}with {}", named.join(", "))),
                n => out.push_str(&format!("{sep}with {} and {} more configurations", named[0], n - 1)),
            }
        }
        out
    }
}

/// Why somebody put up with a finding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Suppression {
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The last day on which it counts: `2027-01-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// It stands in the source, not in the configuration.
    #[serde(default)]
    pub in_source: bool,
}

/// A rule that findings name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    pub id: String,
    /// `RegNotReadable`.
    pub name: String,
    /// One sentence.
    pub short: String,
    /// Its page, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub page: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// What happened to a cell since the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    Worse,
    New,
    Gone,
    Better,
    /// Refused as before, for another reason.
    Changed,
    /// As the baseline says.
    Known,
}

impl ChangeKind {
    pub const fn name(self) -> &'static str {
        match self {
            ChangeKind::Worse => "worse",
            ChangeKind::New => "new",
            ChangeKind::Gone => "gone",
            ChangeKind::Better => "better",
            ChangeKind::Changed => "changed",
            ChangeKind::Known => "known",
        }
    }
}

/// One cell that is not as the baseline says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    pub kind: ChangeKind,
    pub object: String,
    pub program: String,
    pub configuration: String,
    pub kernel: String,
    /// `accept -> reject BV0202`, `insns 120 -> 240 (+100.0 %)`.
    pub what: String,
}

impl Report {
    /// Whether the run failed.
    pub fn failed(&self) -> bool {
        self.findings.iter().any(Finding::fails)
    }

    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|f| f.level == level && f.suppressed.is_none()).count()
    }

    pub fn suppressed(&self) -> usize {
        self.findings.iter().filter(|f| f.suppressed.is_some()).count()
    }

    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|r| r.id == id)
    }

    /// Changes of a kind.
    pub fn changed(&self, kind: ChangeKind) -> usize {
        self.changes.iter().filter(|c| c.kind == kind).count()
    }

    /// Rows of the matrix: object, program and configuration, with the cells in the order of kernels.
    pub fn rows(&self) -> Vec<Row<'_>> {
        let mut rows: Vec<Row<'_>> = Vec::new();
        for cell in &self.cells {
            let same = rows.last().is_some_and(|r| {
                r.object == cell.object && r.program == cell.program && r.configuration == cell.configuration
            });
            if !same {
                rows.push(Row {
                    object: &cell.object,
                    program: &cell.program,
                    configuration: &cell.configuration,
                    cells: vec![None; self.kernels.len()],
                });
            }
            let column = self.kernels.iter().position(|k| k.name == cell.kernel);
            if let (Some(row), Some(column)) = (rows.last_mut(), column) {
                row.cells[column] = Some(cell);
            }
        }
        rows
    }

    /// The totals in one line.
    pub fn totals(&self) -> String {
        let objects = distinct(self.cells.iter().map(|c| c.object.as_str()));
        let programs = distinct(self.cells.iter().map(|c| (c.object.as_str(), c.program.as_str())));
        let s = |n: usize| if n == 1 { "" } else { "s" };
        let (kernels, cells) = (self.kernels.len(), self.cells.len());
        format!(
            "{objects} object{}, {programs} program{}, {kernels} kernel{}: {cells} verdict{}",
            s(objects),
            s(programs),
            s(kernels),
            s(cells)
        )
    }

    /// Sorts, and merges reports of shards into one.
    pub fn merge(reports: Vec<Report>) -> Report {
        let mut all = Report { schema: SCHEMA, ..Report::default() };
        for report in reports {
            all.tool = report.tool;
            all.baseline |= report.baseline;
            for kernel in report.kernels {
                if !all.kernels.iter().any(|k| k.name == kernel.name) {
                    all.kernels.push(kernel);
                }
            }
            for rule in report.rules {
                if !all.rules.iter().any(|r| r.id == rule.id) {
                    all.rules.push(rule);
                }
            }
            for note in report.notes {
                if !all.notes.contains(&note) {
                    all.notes.push(note);
                }
            }
            all.cells.extend(report.cells);
            for f in report.findings {
                // What concerns the run as a whole is said by every shard.
                if !all.findings.iter().any(|g| g.fingerprint == f.fingerprint && g.object == f.object) {
                    all.findings.push(f);
                }
            }
            all.changes.extend(report.changes);
        }
        all.sort();
        all
    }

    pub fn sort(&mut self) {
        let column = |name: &str| self.kernels.iter().position(|k| k.name == name);
        self.cells.sort_by(|a, b| {
            (&a.object, &a.program, &a.configuration, column(&a.kernel)).cmp(&(
                &b.object,
                &b.program,
                &b.configuration,
                column(&b.kernel),
            ))
        });
        let place = |f: &Finding| f.place().map(|p| (p.file.clone(), p.line, p.insn));
        self.findings.sort_by_cached_key(|f| {
            (f.suppressed.is_some(), f.level, f.object.clone(), place(f), f.program.clone(), f.rule.clone())
        });
        self.rules.sort_by(|a, b| a.id.cmp(&b.id));
        self.changes.sort_by_cached_key(|c| {
            (c.kind, c.object.clone(), c.program.clone(), c.configuration.clone(), column(&c.kernel))
        });
    }
}

fn distinct<T: Ord>(all: impl Iterator<Item = T>) -> usize {
    all.collect::<std::collections::BTreeSet<T>>().len()
}

/// A row of the matrix.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    pub object: &'a str,
    pub program: &'a str,
    pub configuration: &'a str,
    pub cells: Vec<Option<&'a Cell>>,
}

impl Row<'_> {
    pub fn all_accepted(&self) -> bool {
        self.cells.iter().flatten().all(|c| c.verdict == Verdict::Accept)
    }
}
