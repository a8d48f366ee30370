//! JSON: the model as it is, and its schema. Reports of shards are read back from it.

use crate::model::Report;

pub fn render(report: &Report) -> String {
    let mut out = serde_json::to_string_pretty(report).unwrap_or_default();
    out.push('\n');
    out
}

/// Reads a report that [`render`] wrote.
pub fn parse(text: &str) -> Result<Report, serde_json::Error> {
    serde_json::from_str(text)
}

/// The published JSON schema of a report.
pub fn schema() -> String {
    let mut out = serde_json::to_string_pretty(&schemars::schema_for!(Report)).unwrap_or_default();
    out.push('\n');
    out
}
