//! HTML: one self-contained page, the matrix and below each program its findings. No scripts, nothing loaded from elsewhere.

use crate::model::{Report, Verdict};
use crate::terminal;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1c2128}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d8dee4}\
.accept{color:#116329}.reject,.error{color:#a40e26;font-weight:600}.unsupported{color:#7d4e00}\
pre{background:#f6f8fa;padding:.8rem;overflow-x:auto;border-radius:6px}small{color:#57606a}\
summary{cursor:pointer}h1 span{padding:.1rem .6rem;border-radius:6px;color:#fff}.passed{background:#1a7f37}.failed{background:#cf222e}";

pub fn render(report: &Report) -> String {
    let verdict = if report.failed() { "failed" } else { "passed" };
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>bpfverdict: {verdict}</title><style>{STYLE}</style></head><body>\n<h1>bpfverdict <span class=\"{verdict}\">{verdict}</span></h1>\n\
         <p>{}</p>\n",
        escape(&report.totals())
    );
    for note in &report.notes {
        out.push_str(&format!("<p><small>{}</small></p>\n", escape(note)));
    }
    out.push_str("<table><thead><tr><th>object</th><th>program</th>");
    for k in &report.kernels {
        out.push_str(&format!("<th>{}</th>", escape(&k.name)));
    }
    out.push_str("</tr></thead><tbody>\n");
    for row in report.rows() {
        let with = if row.configuration == "-" { String::new() } else { format!(" ({})", row.configuration) };
        out.push_str(&format!("<tr><td>{}</td><td>{}", escape(row.object), escape(&format!("{}{with}", row.program))));
        for f in report.findings.iter().filter(|f| {
            f.object == row.object
                && f.program == row.program
                && f.configurations.iter().any(|c| c == row.configuration)
        }) {
            let head = f.message.trim().lines().next().unwrap_or_default();
            out.push_str(&format!(
                "<details><summary>{} {}</summary><pre>{}</pre></details>",
                escape(&f.rule),
                escape(head),
                escape(&terminal::plain(f, report))
            ));
        }
        out.push_str("</td>");
        for cell in &row.cells {
            match cell {
                None => out.push_str("<td>–</td>"),
                Some(c) => {
                    let text = match c.verdict {
                        Verdict::Accept => "accept",
                        v => c.id.as_deref().unwrap_or(v.name()),
                    };
                    out.push_str(&format!(
                        "<td class=\"{}\">{}<br><small>{} insns, {} states, stack {}</small></td>",
                        c.verdict.name(),
                        escape(text),
                        c.insns,
                        c.total_states,
                        escape(&c.stack_text())
                    ));
                }
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>\n");
    let loose: Vec<_> = report.findings.iter().filter(|f| f.kernels.is_empty()).collect();
    if !loose.is_empty() {
        out.push_str("<h2>Also found</h2>\n");
        loose.iter().for_each(|f| out.push_str(&format!("<pre>{}</pre>\n", escape(&terminal::plain(f, report)))));
    }
    out.push_str("</body></html>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
