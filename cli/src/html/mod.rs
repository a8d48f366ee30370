//! `verify --html`: one page without network for the programs of a run, with source, instructions and states side by side along the
//! path. The page itself is `page.html`; what it shows is put together here.

use std::path::Path;

use diagnose::log::state::{Place, State};
use program::Program;
use serde_json::{Value, json};

use crate::diagnosis;
use crate::exit::Failure;
use crate::verdict::Row;

const PAGE: &str = include_str!("page.html");
/// Stands in the page where the data goes.
const SLOT: &str = "\"DATA\"";

/// What the page knows of one program.
pub fn program(row: &Row, program: &Program) -> Value {
    let lines = diagnosis::sources(program);
    let listing = diagnosis::listing(program);
    let sources: Vec<Value> = lines.iter().map(|(i, s)| json!([i, s.file, s.line, s.text])).collect();
    let mut value = json!({
        "program": row.program,
        "file": row.file,
        "type": row.prog_type,
        "verdict": row.verdict,
        "message": row.message,
        "insns": row.insns_processed,
        "listing": listing,
        "sources": sources,
        "steps": [],
        "marks": [],
    });
    if let Some(report) = &row.report {
        let d = &report.diagnosis;
        let path = diagnose::failing_path(&report.refusal);
        let steps: Vec<Value> = path
            .iter()
            .map(|s| {
                let mut changes = Vec::new();
                s.before.iter().for_each(|b| values(b, &mut changes));
                // What holds before, then what changes: a page can step both ways.
                let split = changes.len();
                s.after.iter().for_each(|a| values(a, &mut changes));
                json!([s.insn, s.frame, split, changes])
            })
            .collect();
        value["id"] = json!(d.id);
        value["cause"] = json!(d.cause);
        value["meaning"] = json!(d.meaning);
        value["confidence"] = json!(d.cause_confidence);
        value["title"] = json!(d.title);
        value["evidence"] = json!(d.evidence);
        value["notes"] = json!(d.notes);
        value["fix"] = json!(d.fix);
        value["marks"] = json!(d.places);
        value["steps"] = Value::Array(steps);
    }
    value
}

fn values(state: &State, out: &mut Vec<Value>) {
    for (place, v) in &state.values {
        let name = match place {
            Place::Reg(r) => format!("R{r}"),
            Place::Slot(off) => format!("fp{off}"),
        };
        out.push(json!([state.frame, name, v.text]));
    }
}

pub fn write(path: &Path, programs: &[Value]) -> Result<(), Failure> {
    let data = serde_json::to_string(programs).map_err(|e| Failure::file(path, e))?;
    // Nothing in the data may end the script.
    let data = data.replace("</", "<\\/").replace("<!--", "<\\u0021--");
    std::fs::write(path, PAGE.replacen(SLOT, &data, 1)).map_err(|e| Failure::file(path, e))
}
