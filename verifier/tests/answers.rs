//! Recorded answers of a live kernel: same errno and the same log, byte for byte. The format is told at the top of each file in
//! `answers/`.

use program::{MapDef, Program};
use spec::{Caps, Profile};
use std::sync::Arc;
use verifier::{Options, verify};

struct Case<'a> {
    name: &'a str,
    program: Program,
    caps: Caps,
    errno: i32,
    log_level: u32,
    mitigations: bool,
    log: &'a str,
}

fn numbers(text: &str) -> Vec<u32> {
    text.split(':').map(|n| n.parse().expect("a number")).collect()
}

fn map(text: &str) -> MapDef {
    let (outer, inner) = text.split_once('/').map_or((text, None), |(o, i)| (o, Some(i)));
    let n = numbers(outer);
    MapDef {
        map_type: n[0],
        key_size: n[1],
        value_size: n[2],
        max_entries: n[3],
        inner: inner.map(|i| Arc::new(map(i))),
        ..MapDef::default()
    }
}

fn caps(names: &str) -> Caps {
    let has = |name: &str| names.split('+').any(|n| n == name);
    match names {
        "all" => Caps::ALL,
        _ => Caps { bpf: has("bpf"), perfmon: has("perfmon"), net_admin: has("net_admin"), sys_admin: false },
    }
}

fn case<'a>(name: &'a str, header: &str, log: &'a str) -> Case<'a> {
    let mut words = header.split(' ');
    let hex = words.next().expect("a program");
    let bytes: Vec<u8> =
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex")).collect();
    let insns = bytes.chunks_exact(8).map(|c| isa::Insn::from_bytes(c.try_into().expect("eight bytes"))).collect();
    let mut case = Case {
        name,
        program: Program { insns, license: "GPL".into(), ..Program::default() },
        caps: Caps::ALL,
        errno: 0,
        log_level: 2,
        mitigations: true,
        log,
    };
    for word in words {
        match word.split_once('=').expect("key=value") {
            ("type", v) => case.program.prog_type = v.parse().expect("a program type"),
            ("errno", v) => case.errno = v.parse().expect("an errno"),
            ("caps", v) => case.caps = caps(v),
            ("level", v) => case.log_level = v.parse().expect("a log level"),
            ("attach", v) => case.program.expected_attach_type = v.parse().expect("an attach type"),
            ("flags", v) => case.program.flags = v.parse().expect("load flags"),
            ("map", v) => case.program.maps.push(Arc::new(map(v))),
            ("unprivileged-map", v) => {
                case.program.maps.push(Arc::new(MapDef { unprivileged: true, ..map(v) }));
            }
            ("mitigations", v) => case.mitigations = v != "off",
            (key, _) => panic!("unknown key {key}"),
        }
    }
    case
}

fn cases(text: &str) -> Vec<Case<'_>> {
    let mut out = Vec::new();
    for block in text.split("\n# ").skip(1) {
        let Some((name, rest)) = block.split_once("\nprogram ") else { continue };
        let (header, log) = rest.split_once('\n').expect("a log");
        out.push(case(name, header, log));
    }
    out
}

/// Map addresses differ from boot to boot: `0xffff8...` becomes a fixed word of the same length.
fn without_addresses(log: &str) -> String {
    const SAMPLE: &str = "0xffff888012345678";
    let mut parts = log.split("0xffff888");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(SAMPLE);
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    out
}

fn check(text: &str, at_least: usize) {
    let cases = cases(text);
    assert!(cases.len() >= at_least, "only {} cases found", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let mut profile = Profile::reference().with_caps(case.caps);
        profile.config.unprivileged_disabled = false;
        profile.config.mitigations = case.mitigations;
        let outcome = verify(&case.program, &profile, &Options { log_level: case.log_level });
        let (want, got) = (without_addresses(case.log), without_addresses(&outcome.log));
        let (want, got) = (want.trim_end(), got.trim_end());
        if outcome.errno != case.errno || want != got {
            let at = want.lines().zip(got.lines()).position(|(a, b)| a != b);
            let line = |text: &str| at.and_then(|i| text.lines().nth(i).map(str::to_owned)).unwrap_or_default();
            wrong.push(format!(
                "{}: errno {} and not {}\n  kernel {}\n  here   {}",
                case.name,
                outcome.errno,
                case.errno,
                line(want),
                line(got)
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn scalars() {
    check(include_str!("answers/scalars.txt"), 60);
}

#[test]
fn pointers() {
    check(include_str!("answers/pointers.txt"), 50);
}

#[test]
fn without_capabilities() {
    check(include_str!("answers/unprivileged.txt"), 60);
}
