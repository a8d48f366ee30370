//! What a scenario expects, against what an engine did: every expectation that does not hold, in words. Comparing engines with each other
//! is `play`'s matter.

use corpus::literal::hex;
use program::Program;
use scenario::Scenario;
use scenario::step::Element;

use crate::canonical::recorded_name;
use crate::play::Played;

/// What does not hold; empty where all does.
pub fn violations(run: &Scenario, played: &Played, programs: &[Program]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (n, (step, output)) in run.steps.iter().zip(&played.steps).enumerate() {
        let at = if run.steps.len() > 1 { format!("step {}: ", n + 1) } else { String::new() };
        if let Some(returns) = step.returns
            && returns as u32 != output.retval
        {
            wrong.push(format!("{at}returns {}, expected {returns}", output.retval as i32));
        }
        if let Some(packet) = &step.packet_out {
            match &output.data {
                Some(data) if data == packet.bytes() => {}
                Some(data) => wrong.push(format!("{at}packet is {}, expected {}", hex(data), hex(packet.bytes()))),
                None => wrong.push(format!("{at}there is no packet afterwards")),
            }
        }
        if let Some(record) = &step.record_out {
            let found = output.ctx.as_deref().unwrap_or_default();
            if found.get(..record.0.len()) != Some(&record.0) {
                wrong.push(format!("{at}record is {}, expected {}", hex(found), hex(&record.0)));
            }
        }
    }
    if !run.events.is_empty() {
        let found: Vec<String> = played.events.iter().map(|e| format!("{}: {}", e.map, hex(&e.data))).collect();
        let expected: Vec<String> = run.events.iter().map(|e| format!("{}: {}", e.map, hex(&e.data.0))).collect();
        let show = |e: Option<&String>| e.map_or("none".to_owned(), Clone::clone);
        if let Some(n) = (0..found.len().max(expected.len())).find(|n| found.get(*n) != expected.get(*n)) {
            wrong.push(format!("event {} is {}, expected {}", n + 1, show(found.get(n)), show(expected.get(n))));
        }
    }
    wrong.extend(run.after.iter().filter_map(|element| element_violation(element, played, programs)));
    wrong
}

fn element_violation(element: &Element, played: &Played, programs: &[Program]) -> Option<String> {
    const ARRAYS: [u32; 2] = [2, 6];
    let key = hex(&element.key.0);
    let at = format!("map {}[{key}]", element.map);
    let def = programs.iter().flat_map(|p| &p.maps).find(|m| m.full_name == element.map || m.name == element.map);
    let Some(def) = def else { return Some(format!("{at}: the object has no such map")) };
    let map = played.maps.get(recorded_name(&element.map));
    let entry = map.and_then(|m| m.entries.iter().find(|e| e.key == key));
    // Elements of arrays that are zero are no result, and always there.
    let is_array = ARRAYS.contains(&def.map_type);
    match (&element.value, entry) {
        (None, None) if !is_array => None,
        (None, _) => Some(format!("{at} is there, expected none")),
        (Some(value), None) if is_array && value.0.iter().all(|b| *b == 0) => None,
        (Some(value), None) => {
            let found = if is_array { "zero" } else { "not there" };
            Some(format!("{at} is {found}, expected {}", hex(&value.0)))
        }
        (Some(value), Some(entry)) => {
            let expected = hex(&value.0);
            let found = entry.values.join("|");
            (!entry.values.contains(&expected)).then(|| format!("{at} is {found}, expected {expected}"))
        }
    }
}
