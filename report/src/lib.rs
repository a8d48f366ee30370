//! What a run of the gate, the lints or a verification found, and how it looks: one model ([`model`]), one file per format. Nothing is judged
//! here, nothing is read from disk; a format is a function from a [`Report`] to text.

pub mod model;

mod csv;
mod fingerprint;
mod github;
mod gitlab;
mod html;
mod json;
mod junit;
mod markdown;
mod sarif;
mod terminal;

pub use fingerprint::{fingerprint, shape};
pub use github::step_summary;
pub use json::{parse, schema};
pub use model::{
    Cell, Change, ChangeKind, Confidence, Edit, Finding, Fix, Kernel, Level, Place, Report, Role, Rule, Suppression,
    Verdict,
};
pub use terminal::Width;

/// The forms that a report can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Human,
    Json,
    Sarif,
    Junit,
    Github,
    Summary,
    Gitlab,
    Markdown,
    Csv,
    Html,
}

impl Format {
    pub const ALL: [Format; 10] = [
        Format::Human,
        Format::Json,
        Format::Sarif,
        Format::Junit,
        Format::Github,
        Format::Summary,
        Format::Gitlab,
        Format::Markdown,
        Format::Csv,
        Format::Html,
    ];

    /// As the command line has it.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Human => "human",
            Format::Json => "json",
            Format::Sarif => "sarif",
            Format::Junit => "junit",
            Format::Github => "github",
            Format::Summary => "summary",
            Format::Gitlab => "gitlab",
            Format::Markdown => "markdown",
            Format::Csv => "csv",
            Format::Html => "html",
        }
    }

    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|f| f.name() == name)
    }

    /// The report in this form.
    pub fn render(self, report: &Report) -> String {
        match self {
            Format::Human => terminal::render(report, Width::default()),
            Format::Json => json::render(report),
            Format::Sarif => sarif::render(report),
            Format::Junit => junit::render(report),
            Format::Github => github::render(report),
            Format::Summary => github::step_summary(report),
            Format::Gitlab => gitlab::render(report),
            Format::Markdown => markdown::render(report),
            Format::Csv => csv::render(report),
            Format::Html => html::render(report),
        }
    }
}
