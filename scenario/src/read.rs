//! Files of scenarios: TOML and JSON, told apart by their first character, and captures of packets, each packet a step. An error names the
//! line and what was expected there.

use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::input::Blob;
use crate::step::{Bytes, Names, Scenario, Step};

/// What is wrong with a file. The file's name is the caller's to add.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// A scenario out of a file's bytes. A file without `steps` is one step; names stand for packets.
pub fn read(bytes: &[u8], names: &Names) -> Result<Scenario, Malformed> {
    if is_capture(bytes) {
        return capture(bytes);
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Malformed(format!("offset {}: expected TOML, JSON or a capture of packets", e.valid_up_to())))?;
    let mut scenario = if has_steps(text) { parse::<Scenario>(text)? } else { Scenario::of(parse::<Step>(text)?) };
    scenario.resolve(names).map_err(Malformed)?;
    Ok(scenario)
}

/// Tests of one object: `[[test]]` tables, each a scenario or one step, with what it expects.
#[derive(Debug)]
pub struct Tests {
    /// The object, relative to the file.
    pub object: Option<String>,
    pub tests: Vec<Scenario>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestFile {
    object: Option<String>,
    /// Packets by name, for this file.
    #[serde(default)]
    packets: std::collections::BTreeMap<String, Blob>,
    #[serde(default)]
    test: Vec<toml::Spanned<toml::Table>>,
}

/// A file of tests. Every test has a name and expects something: one that cannot fail is a mistake.
pub fn tests(text: &str, names: &Names) -> Result<Tests, Malformed> {
    let file: TestFile = parse(text)?;
    let mut names = names.clone();
    names.extend(file.packets.into_iter().map(|(name, bytes)| (name, bytes.0)));
    let mut tests: Vec<Scenario> = Vec::new();
    for table in file.test {
        let line = text[..table.span().start].matches('\n').count() + 1;
        let at = |what: String| Malformed(format!("line {line}: {what}"));
        let table = table.into_inner();
        let read = if table.contains_key("steps") || table.contains_key("step") {
            Scenario::deserialize(table)
        } else {
            Step::deserialize(table).map(Scenario::of)
        };
        let mut test = read.map_err(|e| at(e.message().trim_end().to_owned()))?;
        test.resolve(&names).map_err(at)?;
        if test.name.is_empty() {
            return Err(at("a test without a `name`".to_owned()));
        }
        if tests.iter().any(|t| t.name == test.name) {
            return Err(at(format!("a second test `{}`", test.name)));
        }
        if !test.expects() {
            return Err(at(format!(
                "test `{}` expects nothing: say what it `returns`, or what is there `after` it",
                test.name
            )));
        }
        tests.push(test);
    }
    if tests.is_empty() {
        return Err(Malformed("there is no `[[test]]` in it".to_owned()));
    }
    Ok(Tests { object: file.object, tests })
}

/// Whether the top level is a scenario's. What cannot be parsed at all is read as a step, for the error.
fn has_steps(text: &str) -> bool {
    let keys = ["steps", "step"];
    if is_json(text) {
        serde_json::from_str::<serde_json::Value>(text).is_ok_and(|v| keys.iter().any(|k| v.get(k).is_some()))
    } else {
        toml::from_str::<toml::Table>(text).is_ok_and(|t| keys.iter().any(|k| t.contains_key(*k)))
    }
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Malformed> {
    if is_json(text) {
        return serde_json::from_str(text).map_err(|e| Malformed(e.to_string()));
    }
    toml::from_str(text).map_err(|e: toml::de::Error| {
        let line = e.span().map(|s| text[..s.start].matches('\n').count() + 1);
        let what = e.message().trim_end();
        Malformed(line.map_or_else(|| what.to_owned(), |n| format!("line {n}: {what}")))
    })
}

const PCAP: [[u8; 4]; 4] =
    [[0xd4, 0xc3, 0xb2, 0xa1], [0xa1, 0xb2, 0xc3, 0xd4], [0x4d, 0x3c, 0xb2, 0xa1], [0xa1, 0xb2, 0x3c, 0x4d]];
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

fn is_capture(bytes: &[u8]) -> bool {
    bytes.get(..4).is_some_and(|magic| magic == PCAPNG || PCAP.iter().any(|m| m == magic))
}

/// Each packet of a pcap or pcapng file as a step. Only captures of Ethernet frames, which is what programs are given.
pub fn capture(bytes: &[u8]) -> Result<Scenario, Malformed> {
    let wrong = |what: &dyn std::fmt::Display| Malformed(format!("capture: {what}"));
    let mut reader = create_reader(65536, bytes).map_err(|e| wrong(&format!("{e:?}")))?;
    let mut steps = Vec::new();
    let mut links = Vec::new();
    loop {
        match reader.next() {
            Ok((length, block)) => {
                let frame = match &block {
                    PcapBlockOwned::LegacyHeader(header) => {
                        links = vec![header.network];
                        None
                    }
                    PcapBlockOwned::Legacy(b) => Some((0, b.data, b.caplen)),
                    PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                        links.clear();
                        None
                    }
                    PcapBlockOwned::NG(Block::InterfaceDescription(i)) => {
                        links.push(i.linktype);
                        None
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(b)) => Some((b.if_id as usize, b.data, b.caplen)),
                    PcapBlockOwned::NG(Block::SimplePacket(b)) => Some((0, b.data, b.origlen)),
                    PcapBlockOwned::NG(_) => None,
                };
                if let Some((interface, data, captured)) = frame {
                    let link = links.get(interface);
                    if link != Some(&Linktype::ETHERNET) {
                        let n = steps.len() + 1;
                        return Err(wrong(&format!("packet {n} has no Ethernet header (link type {link:?})")));
                    }
                    // Blocks are padded to four bytes.
                    let frame = &data[..data.len().min(captured as usize)];
                    let packet = Some(Bytes::Known(Blob(frame.to_vec())));
                    steps.push(Step { packet, ..Step::default() });
                }
                reader.consume(length);
            }
            Err(PcapError::Eof) => break,
            Err(PcapError::Incomplete(_)) => reader.refill().map_err(|e| wrong(&format!("{e:?}")))?,
            Err(e) => return Err(wrong(&format!("after packet {}: {e:?}", steps.len()))),
        }
    }
    if steps.is_empty() {
        return Err(wrong(&"there is no packet in it"));
    }
    Ok(Scenario { steps, ..Scenario::default() })
}

/// The JSON schema of a file: a scenario or a single step.
pub fn schema() -> serde_json::Value {
    let mut generator = schemars::SchemaGenerator::default();
    let (scenario, step) = (generator.subschema_for::<Scenario>(), generator.subschema_for::<Step>());
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Input of a BPF program: a scenario, or one step",
        "anyOf": [scenario, step],
        "$defs": generator.take_definitions(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::from([("small".to_owned(), vec![1, 2])])
    }

    #[test]
    fn a_step_alone_is_a_scenario_of_one() {
        let one =
            read(b"packet = 'small'\nreturns = 2\n[[after]]\nmap = 'm'\nkey = 'u32:0'\n", &names()).expect("a step");
        assert_eq!((one.steps.len(), one.after.len(), one.expects()), (1, 1, true));
        let two = read(b"[[step]]\npacket = 'small'\n[[step]]\n", &names()).expect("steps");
        assert_eq!((two.steps.len(), two.expects()), (2, false));
        let json = read(br#"{"steps": [{"record": "u32:1"}]}"#, &names()).expect("JSON");
        assert_eq!(json.steps[0].input().record.0, [1, 0, 0, 0]);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, expected) in [
            (&b"returns = 2\npakcet = ''\n"[..], "line 2: unknown field `pakcet`"),
            (b"[[maps]]\nmap = 'm'\nkey = 'u32:x'\n", "line 3: bad byte literal `u32:x`"),
            (b"[[step]]\n[[step]]\npacket = 'big'\n", "step 2: bad byte literal `big`"),
            (b"\xff", "offset 0: expected TOML"),
            (b"[[step]]\nafter = [{ map = 'm', key = '' }]\n", "step 1: `after`"),
        ] {
            let error = read(text, &names()).expect_err("malformed").to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn tests_have_names_and_expectations() {
        let good = "[packets]\np = 'u8:7'\n[[test]]\nname = 'a'\npacket = 'p'\nreturns = 1\n\
                    [[test]]\nname = 'b'\n[[test.steps]]\nreturns = 2\n";
        let read = tests(good, &names()).expect("tests");
        assert_eq!((read.tests.len(), read.tests[0].steps[0].input().packet.0.as_slice()), (2, &[7][..]));
        for (text, expected) in [
            ("\n[[test]]\nname = 'a'\n", "line 2: test `a` expects nothing"),
            ("[[test]]\nreturns = 1\n", "line 1: a test without a `name`"),
            ("[[test]]\nname = 'a'\nreturn = 1\n", "line 1: unknown field `return`"),
            ("object = 'x.o'\n", "there is no `[[test]]`"),
        ] {
            let error = tests(text, &names()).expect_err("malformed").to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn packets_of_a_capture_are_steps() {
        let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
        for byte in [7u8, 8] {
            file.extend([0u8; 8]);
            file.extend(14u32.to_le_bytes());
            file.extend(14u32.to_le_bytes());
            file.extend([byte; 14]);
        }
        let scenario = read(&file, &names()).expect("a capture");
        let packets: Vec<Vec<u8>> = scenario.steps.iter().map(|s| s.input().packet.0).collect();
        assert_eq!(packets, [vec![7; 14], vec![8; 14]]);
        file.truncate(40);
        assert!(read(&file, &names()).is_err_and(|e| e.to_string().starts_with("capture: ")));
    }

    #[test]
    fn the_schema_names_every_field() {
        let text = schema().to_string();
        for field in ["packet_out", "returns", "user_memory", "slot", "record"] {
            assert!(text.contains(field), "{field}");
        }
    }
}
