//! The cause of refusals of the field, scored. What is missed is listed by name: a case that starts to be right has to be taken off.

use bpfverdict_diagnose::{Certainty, Extra, diagnose};

#[derive(serde::Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    url: String,
    cause: String,
    half: String,
    log: String,
}

/// Cases whose cause is not found.
const MISSED: &[&str] = &[];

#[test]
fn causes_of_the_field() {
    let cases: Cases = toml::from_str(include_str!("field/cases.toml")).unwrap();
    let mut wrong = Vec::new();
    for case in &cases.case {
        let found = bpfverdict_diagnose::log::refusals(&case.log);
        let said: Vec<_> = found.iter().map(|r| diagnose(r, &Extra::default())).collect();
        let right = said.iter().any(|d| d.cause.id() == case.cause);
        let listed = MISSED.contains(&case.url.as_str());
        if right == listed {
            let said: Vec<_> = said.iter().map(|d| (d.cause.id(), d.cause_confidence, d.title.clone())).collect();
            wrong.push(format!("{} {}: {} but {said:?}", case.half, case.url, case.cause));
        }
        // Where a check is there, nobody may be told for sure to add one.
        let lost = case.cause.ends_with("-LOST");
        let told = said
            .iter()
            .any(|d| matches!(d.cause.id(), "PKT-MISSING" | "RANGE" | "NULL") && d.cause_confidence == Certainty::Sure);
        assert!(!(lost && told), "{}: told to add a check that is there", case.url);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.case.len(), wrong.join("\n"));
}
