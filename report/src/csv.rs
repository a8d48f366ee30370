//! CSV: a row a cell, for spreadsheets. veristat's columns are another format (the gate's records).

use crate::model::Report;

const HEADER: [&str; 17] = [
    "object",
    "program",
    "section",
    "prog_type",
    "configuration",
    "kernel",
    "verdict",
    "confidence",
    "id",
    "errno",
    "insns",
    "total_states",
    "peak_states",
    "max_states_per_insn",
    "stack",
    "size",
    "message",
];

pub fn render(report: &Report) -> String {
    let mut out = csv::Writer::from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = out.write_record(HEADER);
    for c in &report.cells {
        let _ = out.write_record([
            c.object.as_str(),
            &c.program,
            &c.section,
            &c.prog_type,
            &c.configuration,
            &c.kernel,
            c.verdict.name(),
            c.confidence.name(),
            c.id.as_deref().unwrap_or(""),
            &c.errno.to_string(),
            &c.insns.to_string(),
            &c.total_states.to_string(),
            &c.peak_states.to_string(),
            &c.max_states_per_insn.to_string(),
            &c.stack_text(),
            &c.size.to_string(),
            &c.message,
        ]);
    }
    String::from_utf8(out.into_inner().unwrap_or_default()).unwrap_or_default()
}
