//! SARIF 2.1.0: what code scanning takes. Places of a diagnosis are related locations, fixes are fixes, suppressions suppressions.

use serde_json::{Value, json};

use crate::model::{ChangeKind, Edit, Finding, Level, Place, Report};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub fn render(report: &Report) -> String {
    let rules: Vec<Value> = report.rules.iter().map(rule).collect();
    let results: Vec<Value> = report.findings.iter().map(|f| result(f, report)).collect();
    let sarif = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": report.tool.name,
                "version": report.tool.version,
                "rules": rules,
            }},
            "columnKind": "utf16CodeUnits",
            "results": results,
        }],
    });
    let mut out = serde_json::to_string_pretty(&sarif).unwrap_or_default();
    out.push('\n');
    out
}

fn rule(r: &crate::Rule) -> Value {
    let mut value = json!({
        "id": r.id,
        "name": r.name,
        "shortDescription": { "text": if r.short.is_empty() { &r.name } else { &r.short } },
    });
    if !r.page.is_empty() {
        value["help"] = json!({ "text": r.page, "markdown": r.page });
    }
    if let Some(url) = &r.url {
        value["helpUri"] = json!(url);
    }
    value
}

fn result(f: &Finding, report: &Report) -> Value {
    let scope = f.scope(report);
    let mut text = f.message.trim().to_owned();
    if let Some(story) = &f.story {
        text.push_str(&format!("\n{story}"));
    }
    if !scope.is_empty() {
        text.push_str(&format!("\nLinux {scope}"));
    }
    let mut value = json!({
        "ruleId": f.rule,
        "level": f.level.name(),
        "message": { "text": text },
        "locations": [location(f, f.place(), None)],
        "partialFingerprints": { "bpfverdict/v1": f.fingerprint },
        "properties": {
            "object": f.object, "program": f.program, "kernels": f.kernels, "configurations": f.configurations,
            "cause": f.cause,
        },
    });
    if let Some(index) = report.rules.iter().position(|r| r.id == f.rule) {
        value["ruleIndex"] = json!(index);
    }
    let related: Vec<Value> =
        f.places.iter().skip(1).enumerate().map(|(i, p)| location(f, Some(p), Some(i + 1))).collect();
    if !related.is_empty() {
        value["relatedLocations"] = json!(related);
    }
    // SARIF knows fixes only as edits; words alone go into the message.
    let fixes: Vec<Value> = f.fixes.iter().filter(|x| !x.edits.is_empty()).map(|x| fix(&x.text, &x.edits)).collect();
    if !fixes.is_empty() {
        value["fixes"] = json!(fixes);
    }
    for x in f.fixes.iter().filter(|x| x.edits.is_empty()) {
        text.push_str(&format!("\nfix: {}", x.text));
        value["message"]["text"] = json!(text);
    }
    value["baselineState"] = match f.change {
        Some(ChangeKind::Known) => json!("unchanged"),
        Some(ChangeKind::Changed | ChangeKind::Better) => json!("updated"),
        Some(ChangeKind::Worse | ChangeKind::New) => json!("new"),
        Some(ChangeKind::Gone) | None => Value::Null,
    };
    if value["baselineState"].is_null()
        && let Some(map) = value.as_object_mut()
    {
        map.remove("baselineState");
    }
    if let Some(s) = &f.suppressed {
        let kind = if s.in_source { "inSource" } else { "external" };
        value["suppressions"] = json!([{ "kind": kind, "justification": s.reason }]);
    }
    if f.level == Level::Note {
        value["rank"] = json!(10.0);
    }
    value
}

fn location(f: &Finding, place: Option<&Place>, id: Option<usize>) -> Value {
    let named = place.filter(|p| p.file.is_some());
    let uri = named.and_then(|p| p.file.as_deref()).unwrap_or(&f.object);
    let mut physical = json!({ "artifactLocation": { "uri": encode(uri) } });
    if let Some(p) = named.filter(|p| p.line > 0) {
        let mut region = json!({ "startLine": p.line });
        if p.column > 0 {
            region["startColumn"] = json!(p.column);
        }
        if !p.text.is_empty() {
            region["snippet"] = json!({ "text": p.text });
        }
        physical["region"] = region;
    }
    let mut value = json!({ "physicalLocation": physical });
    let function = place.and_then(|p| p.function.clone()).unwrap_or_else(|| f.program.clone());
    if !function.is_empty() {
        value["logicalLocations"] = json!([{ "name": function, "kind": "function" }]);
    }
    if let Some(id) = id {
        value["id"] = json!(id);
        let words = place.map_or("", |p| p.note.as_deref().unwrap_or(p.role.words()));
        value["message"] = json!({ "text": words });
    }
    value
}

fn fix(text: &str, edits: &[Edit]) -> Value {
    let changes: Vec<Value> = (edits.iter())
        .map(|e| {
            let inserts = e.last < e.first;
            let end = if inserts { e.first } else { e.last + 1 };
            json!({
                "artifactLocation": { "uri": encode(&e.file) },
                "replacements": [{
                    "deletedRegion": { "startLine": e.first, "startColumn": 1, "endLine": end, "endColumn": 1 },
                    "insertedContent": { "text": format!("{}\n", e.with) },
                }],
            })
        })
        .collect();
    json!({ "description": { "text": text }, "artifactChanges": changes })
}

/// A path as a URI reference.
fn encode(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    let mut out = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    path.bytes().for_each(|b| if plain(b) { out.push(b as char) } else { out.push_str(&format!("%{b:02X}")) });
    out
}
