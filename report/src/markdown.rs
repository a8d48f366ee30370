//! Markdown: for a comment on a change, or the summary of a CI step.

use crate::model::{ChangeKind, Finding, Level, Report, Verdict};

/// Rows of a table, findings of a list: GitHub cuts comments at 65,536 characters.
const SHOWN: usize = 60;

pub fn render(report: &Report) -> String {
    let verdict = if report.failed() { "**failed**" } else { "**passed**" };
    let mut out = format!("## bpfverdict gate: {verdict}\n\n{}", report.totals());
    if let Some(shard) = &report.shard {
        out.push_str(&format!(" (shard {shard})"));
    }
    out.push_str(&format!(
        ". {} errors, {} warnings, {} suppressed.\n",
        report.count(Level::Error),
        report.count(Level::Warning),
        report.suppressed()
    ));
    for note in &report.notes {
        out.push_str(&format!("\n> {}\n", escape(note)));
    }
    matrix(report, &mut out);
    findings(report, &mut out);
    changes(report, &mut out);
    out
}

fn matrix(report: &Report, out: &mut String) {
    let rows = report.rows();
    let shown: Vec<_> = rows.iter().filter(|r| !r.all_accepted()).collect();
    if shown.is_empty() {
        return;
    }
    out.push_str("\n| object | program |");
    report.kernels.iter().for_each(|k| out.push_str(&format!(" {} |", escape(&k.name))));
    out.push_str("\n| --- | --- |");
    report.kernels.iter().for_each(|_| out.push_str(" --- |"));
    out.push('\n');
    for r in shown.iter().take(SHOWN) {
        let with = if r.configuration == "-" { String::new() } else { format!(" ({})", escape(r.configuration)) };
        out.push_str(&format!("| {} | {}{with} |", escape(r.object), escape(r.program)));
        for c in &r.cells {
            let text = match c {
                None => "–".to_owned(),
                Some(c) if c.verdict == Verdict::Accept => "✓".to_owned(),
                Some(c) => format!("✗ {}", c.id.as_deref().unwrap_or(c.verdict.name())),
            };
            out.push_str(&format!(" {text} |"));
        }
        out.push('\n');
    }
    if shown.len() > SHOWN {
        out.push_str(&format!("\n{} more rows are not shown.\n", shown.len() - SHOWN));
    }
}

fn findings(report: &Report, out: &mut String) {
    let all: Vec<&Finding> = report.findings.iter().filter(|f| f.suppressed.is_none()).collect();
    if all.is_empty() {
        return;
    }
    out.push_str("\n### Findings\n\n");
    for f in all.iter().take(SHOWN) {
        let mark = match f.level {
            Level::Error => "❌",
            Level::Warning => "⚠️",
            Level::Note => "ℹ️",
        };
        let mut lines = f.message.trim().lines();
        out.push_str(&format!("- {mark} **{}** {}", f.rule, escape(lines.next().unwrap_or_default())));
        if let Some(place) = f.place().and_then(|p| p.text_form()) {
            out.push_str(&format!(" at `{place}`"));
        }
        let program = if f.program.is_empty() { String::new() } else { format!(", `{}`", f.program) };
        let scope = f.scope(report);
        let scope = if scope.is_empty() { String::new() } else { format!(", {}", escape(&scope)) };
        out.push_str(&format!("  \n  `{}`{program}{scope}\n", f.object));
        for line in lines {
            out.push_str(&format!("  {}  \n", escape(line)));
        }
        if let Some(text) = f.place().map(|p| p.text.trim()).filter(|t| !t.is_empty()) {
            out.push_str(&format!("\n  ```c\n  {}\n  ```\n", text.replace("```", "` ` `")));
        }
        if let Some(story) = &f.story {
            out.push_str(&format!("\n  {}\n", escape(story)));
        }
        for fix in &f.fixes {
            out.push_str(&format!("\n  Fix: {}\n", escape(&fix.text)));
        }
    }
    if all.len() > SHOWN {
        out.push_str(&format!("\n{} more findings are not shown.\n", all.len() - SHOWN));
    }
}

fn changes(report: &Report, out: &mut String) {
    if report.changes.is_empty() {
        return;
    }
    let count = |kind| report.changed(kind);
    out.push_str(&format!(
        "\n<details><summary>Against the baseline: {} worse, {} better, {} new, {} gone</summary>\n\n| | object | \
         program | kernel | what |\n| --- | --- | --- | --- | --- |\n",
        count(ChangeKind::Worse),
        count(ChangeKind::Better),
        count(ChangeKind::New),
        count(ChangeKind::Gone)
    ));
    for c in report.changes.iter().take(SHOWN) {
        let with = if c.configuration == "-" { String::new() } else { format!(" ({})", escape(&c.configuration)) };
        out.push_str(&format!(
            "| {} | {} | {}{with} | {} | {} |\n",
            c.kind.name(),
            escape(&c.object),
            escape(&c.program),
            escape(&c.kernel),
            escape(&c.what)
        ));
    }
    if report.changes.len() > SHOWN {
        out.push_str(&format!("\n{} more are not shown.\n", report.changes.len() - SHOWN));
    }
    out.push_str("\n</details>\n");
}

/// Text that is not to be read as Markdown or HTML.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '\n' | '\r' => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}
