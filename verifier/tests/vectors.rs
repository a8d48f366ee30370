//! Programs with the log and the counters that Linux 6.18.44 answered: `vectors/logs.md` byte for byte (addresses aside),
//! `vectors/exploration.md` by counters and by excerpts in order. The formats are told at the top of the two files.

use isa::Insn;
use program::{InfoTable, MapDef, Program};
use spec::{Caps, Profile};
use std::sync::Arc;
use verifier::{Options, Outcome, Verdict, verify};

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks_exact(2)
        .map(|p| u8::from_str_radix(std::str::from_utf8(p).expect("ascii"), 16).expect("hex"))
        .collect()
}

fn insns(text: &str) -> Vec<Insn> {
    unhex(text).chunks_exact(8).map(|c| Insn::from_bytes(c.try_into().expect("eight bytes"))).collect()
}

/// The value behind `name` up to the next blank or punctuation.
fn attr(line: &str, name: &str) -> Option<u64> {
    let rest = &line[line.find(name)? + name.len()..];
    let word: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    word.strip_prefix("0x").map_or_else(|| word.parse().ok(), |h| u64::from_str_radix(h, 16).ok())
}

/// `map 0: type 2 key 4 value 16 max_entries 1 flags 0x1 name "amap" (btf of this program, key type 1, value type 8)`
fn map(line: &str, btf: &Option<Arc<btf::Btf>>) -> MapDef {
    let n = |name| attr(line, name).unwrap_or(0) as u32;
    let own = line.contains("btf of this program");
    MapDef {
        name: line.split('"').nth(1).unwrap_or("").to_owned(),
        map_type: n(": type "),
        key_size: n(" key "),
        value_size: n(" value "),
        max_entries: n(" max_entries "),
        map_flags: n(" flags "),
        map_extra: attr(line, " map_extra ").unwrap_or(0),
        btf: own.then(|| btf.clone()).flatten(),
        btf_key_type_id: n("key type "),
        btf_value_type_id: n("value type "),
        ..MapDef::default()
    }
}

/// Addresses of the kernel differ from run to run.
fn mask(log: &str) -> String {
    let mut out = String::with_capacity(log.len());
    let mut rest = log;
    while let Some(at) = rest.find("0xffff") {
        let digits = rest[at + 2..].chars().take_while(char::is_ascii_hexdigit).count();
        out.push_str(&rest[..at]);
        out.push_str(if digits == 16 { "0xADDR" } else { &rest[at..at + 2 + digits] });
        rest = &rest[at + 2 + digits..];
    }
    out.push_str(rest);
    out
}

struct Vector<'a> {
    title: &'a str,
    header: Vec<&'a str>,
    blocks: Vec<&'a str>,
}

/// Sections beginning with `mark`, their plain lines and their fenced blocks.
fn vectors<'a>(text: &'a str, mark: &str) -> Vec<Vector<'a>> {
    let mut all = Vec::new();
    for section in text.split(mark).skip(1) {
        let (title, body) = section.split_once('\n').expect("a title line");
        let mut v = Vector { title, header: Vec::new(), blocks: Vec::new() };
        let body = body.trim_end_matches("```");
        for (i, part) in body.split("```\n").enumerate() {
            if i % 2 == 0 {
                v.header.extend(part.lines().filter(|l| !l.is_empty()));
            } else {
                v.blocks.push(part);
            }
        }
        all.push(v);
    }
    all
}

fn judge(program: &Program, caps: Caps, log_level: u32) -> Outcome {
    verify(program, &Profile::reference().with_caps(caps), &Options { log_level })
}

fn log_vector(v: &Vector<'_>) -> Result<(), String> {
    let first = v.header.first().expect("attributes");
    let field = |name: &str| v.header.iter().find_map(|l| l.strip_prefix(name)).map(unhex);
    let btf = field("btf:").map(|b| Arc::new(btf::Btf::parse(&b).expect("BTF")));
    let table = |name: &str, rec_size| InfoTable { rec_size, bytes: field(name).unwrap_or_default() };
    let n = |name| attr(first, name).unwrap_or(0) as u32;
    let program = Program {
        name: "t".to_owned(),
        license: "GPL".to_owned(),
        prog_type: n("prog_type="),
        expected_attach_type: n("expected_attach_type="),
        attach_btf_id: n("attach_btf_id="),
        flags: n("prog_flags="),
        insns: insns(v.blocks[0]),
        maps: v.header.iter().filter(|l| l.starts_with("map ")).map(|l| Arc::new(map(l, &btf))).collect(),
        func_info: table("func_info:", 8),
        line_info: table("line_info:", 16),
        btf,
        ..Program::default()
    };
    let perfmon = !first.contains("no CAP_PERFMON");
    let caps = Caps { perfmon, sys_admin: perfmon, ..Caps::ALL };
    let level = attr(first, "log_level=").unwrap_or(2) as u32;
    let out = judge(&program, caps, level);
    let errno = attr(first, "errno ").unwrap_or(0) as i32;
    if out.errno != -errno {
        return Err(format!("errno {} instead of {}: {}", out.errno, -errno, out.message));
    }
    // The kernel's times and what its statistics say of them are not reproducible.
    let lines = |log: &str| -> Vec<String> {
        mask(log).lines().filter(|l| !l.starts_with("verification time")).map(str::to_owned).collect()
    };
    let (ours, theirs) = (lines(&out.log), lines(v.blocks[1]));
    match (0..ours.len().max(theirs.len())).find(|i| ours.get(*i) != theirs.get(*i)) {
        None => Ok(()),
        Some(i) => Err(format!("line {}:\n  kernel {:?}\n  ours   {:?}", i + 1, theirs.get(i), ours.get(i))),
    }
}

#[test]
fn logs_are_the_kernels() {
    let text = include_str!("vectors/logs.md");
    let all = vectors(text, "#### V");
    assert_eq!(all.len(), 55);
    let mut wrong = Vec::new();
    for v in &all {
        // The kernel applies these CO-RE records itself and logs the contents of a cache; loaders do it before here.
        if v.header.iter().any(|l| l.starts_with("core_relos:")) {
            continue;
        }
        if let Err(e) = log_vector(v) {
            wrong.push(format!("V{}: {e}", v.title));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

/// `int`-only BTF with functions of these names, parameter counts and linkages.
fn int_btf(functions: &[(&str, u32, bool)]) -> Vec<u8> {
    let mut strings = b"\0int\0x\0".to_vec();
    let mut types: Vec<u8> = Vec::new();
    let mut word = |w: u32| types.extend(w.to_le_bytes());
    // INT int: 4 bytes, signed.
    for w in [1, 1 << 24, 4, (1 << 24) | 32] {
        word(w);
    }
    for (name, params, global) in functions {
        for w in [0, (13 << 24) | params, 1] {
            word(w);
        }
        for _ in 0..*params {
            word(5);
            word(1);
        }
        let at = strings.len() as u32;
        strings.extend(name.as_bytes());
        strings.push(0);
        word(at);
        word((12 << 24) | u32::from(*global));
        let id = 2 + 2 * functions.iter().position(|f| f.0 == *name).expect("listed") as u32;
        word(id);
    }
    let mut out = vec![0x9f, 0xeb, 1, 0];
    for w in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
        out.extend(w.to_le_bytes());
    }
    out.extend(types);
    out.extend(strings);
    out
}

/// Functions of the vectors that have any: name, parameters, global, first instruction.
fn functions(number: u32) -> &'static [(&'static str, u32, bool, u32)] {
    match number {
        8 => &[("main", 0, true, 0), ("cb", 2, false, 11)],
        9 => &[("main", 0, true, 0), ("cb", 2, false, 8)],
        10 => &[("main", 0, true, 0), ("cb", 2, false, 16)],
        12 => &[("main", 0, true, 0), ("g0", 1, true, 4), ("g1", 1, true, 6)],
        13 => &[("main", 0, true, 0), ("g0", 1, true, 9)],
        24 => &[("main", 1, true, 0), ("f", 1, false, 4)],
        _ => &[],
    }
}

fn exploration_vector(v: &Vector<'_>, number: u32) -> Option<Result<(), String>> {
    let hex = v.header.iter().find_map(|l| l.strip_prefix("hex `"))?;
    let result = v.header.iter().find(|l| l.starts_with("result "))?;
    let notes = v.title.to_owned() + &v.header.join("\n");
    let list = functions(number);
    let named: Vec<_> = list.iter().map(|f| (f.0, f.1, f.2)).collect();
    let info: Vec<u8> =
        list.iter().enumerate().flat_map(|(i, f)| [f.3, 3 + 2 * i as u32]).flat_map(u32::to_le_bytes).collect();
    let mut code = insns(hex);
    let mut maps = Vec::new();
    for i in code.iter_mut().filter(|i| i.code == 0x18 && i.src == 1) {
        i.imm = 0;
        maps = vec![Arc::new(MapDef { map_type: 3, key_size: 4, value_size: 4, max_entries: 4, ..MapDef::default() })];
    }
    let tracepoint = notes.contains("tracepoint");
    let program = Program {
        name: "t".to_owned(),
        license: "GPL".to_owned(),
        prog_type: if tracepoint {
            5
        } else if notes.contains("sched_cls") {
            3
        } else {
            1
        },
        flags: if notes.contains("BPF_F_TEST_STATE_FREQ") { 8 } else { 0 },
        insns: code,
        maps,
        btf: (!list.is_empty()).then(|| Arc::new(btf::Btf::parse(&int_btf(&named)).expect("BTF"))),
        func_info: InfoTable { rec_size: 8, bytes: info },
        ..Program::default()
    };
    let unprivileged = (19..20).contains(&number);
    let caps = Caps { perfmon: !unprivileged, sys_admin: !unprivileged, ..Caps::ALL };
    let out = judge(&program, caps, 2);
    let count = |name| attr(result, name).unwrap_or(0) as u32;
    let errno = result["result ".len()..].split(';').next().and_then(|r| r.parse::<i32>().ok());
    let s = &out.stats;
    let ours = (Some(out.errno), s.insns_processed, s.max_states_per_insn, s.total_states, s.peak_states);
    let theirs = (errno, count("insns "), count("max_states_per_insn "), count("total "), count("peak "));
    if ours != theirs {
        return Some(Err(format!("{ours:?} instead of {theirs:?}: {}", out.message)));
    }
    let log = mask(&out.log);
    let mut lines = log.lines();
    for want in v.blocks.first().map(|b| mask(b)).unwrap_or_default().lines().filter(|l| !l.is_empty()) {
        if !lines.any(|l| l.trim_end() == want.trim_end()) {
            return Some(Err(format!("no line {want:?} where it belongs")));
        }
    }
    Some(Ok(()))
}

#[test]
fn exploration_is_the_kernels() {
    let text = include_str!("vectors/exploration.md");
    let mut wrong = Vec::new();
    let mut done = 0;
    for v in vectors(text, "\n### ") {
        let number: u32 = v.title.split('.').next().and_then(|n| n.trim().parse().ok()).unwrap_or(0);
        match exploration_vector(&v, number) {
            Some(Err(e)) => wrong.push(format!("{}: {e}", v.title)),
            Some(Ok(())) => done += 1,
            None => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(done >= 22, "only {done} vectors have a program");
}

/// Vector 15: one store per 40 instructions of a long loop, and the limit of a million.
#[test]
fn long_loops_cost_what_they_cost_the_kernel() {
    let rows = [
        (100, 0, 203, 4, 6),
        (1000, 0, 2003, 4, 51),
        (30_000, 0, 60_003, 4, 1501),
        (499_998, 0, 999_999, 4, 25_001),
        (499_999, -7, 1_000_001, 4, 25_001),
    ];
    for (n, errno, insns, per_insn, states) in rows {
        let code = vec![
            Insn { code: 0xb7, dst: 6, src: 0, off: 0, imm: 0 },
            Insn { code: 0x07, dst: 6, src: 0, off: 0, imm: 1 },
            Insn { code: 0xa5, dst: 6, src: 0, off: -2, imm: n },
            Insn { code: 0xb7, dst: 0, src: 0, off: 0, imm: 0 },
            Insn { code: 0x95, dst: 0, src: 0, off: 0, imm: 0 },
        ];
        let program = Program { license: "GPL".to_owned(), prog_type: 1, insns: code, ..Program::default() };
        let out = judge(&program, Caps::ALL, 0);
        let s = &out.stats;
        let ours = (out.errno, s.insns_processed, s.max_states_per_insn, s.total_states, s.peak_states);
        assert_eq!(ours, (errno, insns, per_insn, states, states), "n = {n}");
        assert_eq!(out.verdict == Verdict::Accept, errno == 0);
    }
}
