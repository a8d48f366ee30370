//! GitLab's code quality report: a list of issues with fingerprints. It wants a path of the repository and a line for every one.

use serde_json::{Value, json};

use crate::model::{Finding, Level, Report};

pub fn render(report: &Report) -> String {
    let issues: Vec<Value> =
        report.findings.iter().filter(|f| f.suppressed.is_none()).map(|f| issue(f, report)).collect();
    let mut out = serde_json::to_string_pretty(&issues).unwrap_or_default();
    out.push('\n');
    out
}

fn issue(f: &Finding, report: &Report) -> Value {
    let place = f.place().filter(|p| p.file.is_some());
    let path = place.and_then(|p| p.file.as_deref()).unwrap_or(&f.object);
    let line = place.map_or(1, |p| p.line.max(1));
    let scope = f.scope(report);
    let program = if f.program.is_empty() { String::new() } else { format!("{}: ", f.program) };
    let scope = if scope.is_empty() { String::new() } else { format!(" ({scope})") };
    json!({
        "description": format!("{program}{}{scope}", f.message.trim()),
        "check_name": f.rule,
        "fingerprint": f.fingerprint,
        "severity": match f.level {
            Level::Error => "major",
            Level::Warning => "minor",
            Level::Note => "info",
        },
        "location": { "path": path, "lines": { "begin": line } },
    })
}
