//! GitHub: workflow commands that become annotations, and the summary of a step (Markdown).

use crate::markdown;
use crate::model::{Finding, Level, Report};

/// Annotations that GitHub shows of one step and level.
const SHOWN: usize = 10;

pub fn render(report: &Report) -> String {
    let mut out = String::new();
    for level in [Level::Error, Level::Warning, Level::Note] {
        let of_level = || report.findings.iter().filter(move |f| f.level == level && f.suppressed.is_none());
        for f in of_level() {
            out.push_str(&annotation(f, report));
        }
        if let Some(more) = of_level().count().checked_sub(SHOWN).filter(|n| *n > 0) {
            let what =
                format!("{more} more of level {}: GitHub shows {SHOWN} a step, the summary has all", level.name());
            out.push_str(&format!("::debug::{}\n", data(&what)));
        }
    }
    out
}

/// `::error file=...,line=...,title=...::message`.
fn annotation(f: &Finding, report: &Report) -> String {
    let command = match f.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "notice",
    };
    let mut properties = Vec::new();
    match f.place().and_then(|p| p.file.as_deref().map(|file| (p, file))) {
        Some((p, file)) => {
            properties.push(format!("file={}", property(file)));
            if p.line > 0 {
                properties.push(format!("line={}", p.line));
            }
            if p.column > 0 {
                properties.push(format!("col={}", p.column));
            }
        }
        None => properties.push(format!("file={}", property(&f.object))),
    }
    let name = report.rule(&f.rule).map_or("", |r| r.name.as_str());
    properties.push(format!("title={}", property(format!("{} {name}", f.rule).trim())));
    let scope = f.scope(report);
    let mut message = f.message.trim().to_owned();
    if !f.program.is_empty() {
        message.push_str(&format!("\nprogram {} of {}", f.program, f.object));
    }
    if !scope.is_empty() {
        message.push_str(&format!("\nLinux {scope}"));
    }
    if let Some(story) = &f.story {
        message.push_str(&format!("\n{story}"));
    }
    for fix in &f.fixes {
        message.push_str(&format!("\nfix: {}", fix.text));
    }
    format!("::{command} {}::{}\n", properties.join(","), data(&message))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// What belongs into `$GITHUB_STEP_SUMMARY`.
pub fn step_summary(report: &Report) -> String {
    markdown::render(report)
}
