//! For people: the matrix of what is not accepted, the findings with their places, what changed, the totals. Fits 80 columns.

use anstyle::{AnsiColor, Color, Style};

use crate::model::{Finding, Level, Report, Verdict};

const GOOD: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Green)));
const BAD: Style = Style::new().bold().fg_color(Some(Color::Ansi(AnsiColor::Red)));
const WARN: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow)));
const DIM: Style = Style::new().dimmed();

/// Changes that are listed; the rest is counted.
const CHANGES: usize = 12;

/// Columns to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width(pub usize);

impl Default for Width {
    fn default() -> Self {
        Self(80)
    }
}

fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

pub fn render(report: &Report, width: Width) -> String {
    let mut out = String::new();
    matrix(report, width, &mut out);
    for f in report.findings.iter().filter(|f| f.suppressed.is_none()) {
        out.push_str(&finding(f, report, true));
        out.push('\n');
    }
    if !report.changes.is_empty() {
        for c in report.changes.iter().take(CHANGES) {
            let with = if c.configuration == "-" { String::new() } else { format!(" ({})", c.configuration) };
            out.push_str(&format!("{:7} {} {}{with}, {}: {}\n", c.kind.name(), c.object, c.program, c.kernel, c.what));
        }
        if let Some(more) = report.changes.len().checked_sub(CHANGES).filter(|n| *n > 0) {
            out.push_str(&styled(DIM, &format!("and {more} more changes")));
            out.push('\n');
        }
        out.push('\n');
    }
    for note in &report.notes {
        out.push_str(&format!("{}: {note}\n", styled(WARN, "note")));
    }
    let verdict = if report.failed() { styled(BAD, "failed") } else { styled(GOOD, "passed") };
    out.push_str(&format!("{verdict}: {}\n", report.totals()));
    let (errors, warnings) = (report.count(Level::Error), report.count(Level::Warning));
    out.push_str(&format!("{errors} errors, {warnings} warnings, {} suppressed\n", report.suppressed()));
    out
}

fn matrix(report: &Report, width: Width, out: &mut String) {
    let rows = report.rows();
    let shown: Vec<_> = rows.iter().filter(|r| !r.all_accepted()).collect();
    if shown.is_empty() {
        return;
    }
    let column = 8;
    let room = width.0.saturating_sub(report.kernels.len() * (column + 1)).max(20);
    let name = |r: &&crate::model::Row<'_>| {
        let with = if r.configuration == "-" { String::new() } else { format!(" ({})", r.configuration) };
        let full = format!("{} {}{with}", r.object, r.program);
        let long = full.chars().count().saturating_sub(room);
        if long > 0 { format!("…{}", full.chars().skip(long + 1).collect::<String>()) } else { full }
    };
    let head: String = report.kernels.iter().map(|k| format!(" {:column$}", k.name)).collect();
    out.push_str(&styled(DIM, format!("{:room$}{head}", "program").trim_end()));
    out.push('\n');
    for r in &shown {
        out.push_str(&format!("{:room$}", name(r)));
        for c in &r.cells {
            let (style, text) = match c {
                None => (DIM, "-".to_owned()),
                Some(c) if c.verdict == Verdict::Accept => (GOOD, "ok".to_owned()),
                Some(c) => (BAD, c.id.clone().unwrap_or_else(|| c.verdict.name().chars().take(column).collect())),
            };
            out.push(' ');
            out.push_str(&styled(style, &format!("{text:column$}")));
        }
        out.push('\n');
    }
    out.push('\n');
}

/// A finding without colour, for other formats.
pub fn plain(f: &Finding, report: &Report) -> String {
    finding(f, report, false)
}

fn finding(f: &Finding, report: &Report, colour: bool) -> String {
    let style = match f.level {
        Level::Error => BAD,
        Level::Warning => WARN,
        Level::Note => DIM,
    };
    let paint = |style, text: &str| if colour { styled(style, text) } else { text.to_owned() };
    let mut lines = f.message.trim().lines();
    let first = lines.next().unwrap_or_default();
    let mut out = format!("{}[{}]: {first}\n", paint(style, f.level.name()), f.rule);
    lines.for_each(|l| out.push_str(&format!("  {l}\n")));
    let scope = f.scope(report);
    let scope = if scope.is_empty() { String::new() } else { format!(", Linux {scope}") };
    out.push_str(&format!("  {} {}{scope}\n", f.object, f.program));
    for (i, p) in f.places.iter().enumerate() {
        let insn = p.insn.map_or_else(String::new, |i| format!("insn {i}"));
        let at = p.text_form().map_or(insn.clone(), |t| if insn.is_empty() { t } else { format!("{t}, {insn}") });
        let what = p.note.as_deref().unwrap_or(if i == 0 { "" } else { p.role.words() });
        let sep = if what.is_empty() { "" } else { ": " };
        out.push_str(&format!("  {} {at}{sep}{what}\n", paint(DIM, "at")));
        if !p.text.trim().is_empty() {
            out.push_str(&format!("     | {}\n", p.text.trim()));
        }
    }
    if let Some(story) = &f.story {
        out.push_str(&format!("  {story}\n"));
    }
    f.fixes.iter().for_each(|x| out.push_str(&format!("  fix: {}\n", x.text)));
    out
}
