//! Loads of every readable part of packet and socket lookup contexts, against what the kernel was recorded to return: a narrow load is
//! not always a part of the wide one. With the feature `live` and the privilege, the recording is compared with the running kernel too;
//! `BLESS=1` then rewrites it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use engines::userspace::{Backend, Userspace};
use kernel_diff::{Engine, Input, LoadOptions};
use program::Program;
use runtime::input::{Blob, FieldValue};
use spec::ctx::{AccessKind, CtxReg, layout};
use spec::{Caps, Profile, ProgContext, ProgType};

const RECORDED: &str = include_str!("context_fields.tsv");

/// A load: program type, size, offset.
type Case = (ProgType, u32, u32);

fn cases() -> Vec<Case> {
    use ProgType::*;
    let mut out = Vec::new();
    for t in [SocketFilter, SchedCls, CgroupSkb, LwtXmit, SkLookup] {
        let layout = layout(&ProgContext::of(t)).expect("a layout");
        for off in 0..layout.size {
            for size in [1, 2, 4, 8] {
                let access = layout.access(Caps::ALL, off as i32, size, AccessKind::Read);
                if access.is_some_and(|a| a.reg == CtxReg::Scalar) {
                    out.push((t, size, off));
                }
            }
        }
    }
    out
}

/// Gives every field that can have one a value with distinct bytes, then loads.
fn program((prog_type, size, off): Case) -> Program {
    let mut text = "r6 = r1\n".to_owned();
    if prog_type == ProgType::SchedCls {
        // queue_mapping, tc_index, tc_classid; vlan_push; change_type; set_hash.
        text += "r1 = 0x1234\n*(u32 *)(r6 +12) = r1\nr1 = 0x5678\n*(u32 *)(r6 +44) = r1\n";
        text += "r1 = 0x19abc\n*(u32 *)(r6 +72) = r1\n";
        text += "r1 = r6\nr2 = 0xa888\nr3 = 0x3abc\ncall vlan_push#18\nr1 = r6\nr2 = 3\ncall change_type#32\nr1 = r6\nr2 = 0x11223344\ncall set_hash#48\n";
    }
    let width = size * 8;
    let _ = writeln!(text, "r0 = *(u{width} *)(r6 +{off})");
    if prog_type == ProgType::CgroupSkb || prog_type == ProgType::SkLookup {
        // These may return 0 or 1 only: the value goes out through the stores of a map.
        text += "r7 = r0\nr1 = map_value[0, 0]\n*(u64 *)(r1 +0) = r7\nr0 = 1\n";
    }
    text += "exit\n";
    let insns = isa::asm::assemble(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    Program {
        name: "load".into(),
        prog_type: prog_type.raw(),
        expected_attach_type: if prog_type == ProgType::SkLookup { spec::AttachType::SkLookup.raw() } else { 0 },
        license: "GPL".into(),
        insns,
        maps: vec![Arc::new(program::MapDef {
            name: "out".into(),
            map_type: 2,
            key_size: 4,
            value_size: 8,
            max_entries: 1,
            ..Default::default()
        })],
        ..Program::default()
    }
}

fn input(prog_type: ProgType) -> Input {
    let number = FieldValue::UInt;
    let words = |w: &[u64]| FieldValue::List(w.to_vec());
    let fields: Vec<(&str, FieldValue)> = match prog_type {
        ProgType::SkLookup => vec![
            ("family", number(2)),
            ("protocol", number(6)),
            ("remote_ip4", number(0x8899_aabb)),
            ("remote_port", number(0x1122)),
            ("local_ip4", number(0xccdd_eeff)),
            ("local_port", number(0x3344)),
        ],
        ProgType::SchedCls => vec![
            ("mark", number(0xa1b2_c3d4)),
            ("priority", number(0x0102_0304)),
            ("cb", words(&[0x1112_1314, 0x2122_2324, 0x3132_3334, 0x4142_4344, 0x5152_5354])),
            ("tstamp", number(0x6162_6364_6566_6768)),
            ("wire_len", number(0x7172)),
            ("gso_segs", number(0x8182)),
            ("gso_size", number(0x9192)),
            ("hwtstamp", number(0x6a6b_6c6d_6e6f_7071)),
        ],
        _ => vec![("mark", number(0xa1b2_c3d4)), ("priority", number(0x0102_0304))],
    };
    // An IPv4 packet for another host.
    let mut packet = vec![0x02; 12];
    packet.extend([8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 11, 12, 13, 20, 21, 22, 23]);
    packet.resize(60, 7);
    Input {
        packet: Blob(if prog_type == ProgType::SkLookup { Vec::new() } else { packet }),
        ctx: fields.into_iter().map(|(n, v)| (n.to_owned(), v)).collect(),
        ..Input::default()
    }
}

fn ask(engine: &mut dyn Engine, case: Case) -> u64 {
    let program = program(case);
    engine.forget_maps();
    let load = engine.load(&program, &LoadOptions::with_level(4)).unwrap_or_else(|e| panic!("{case:?}: {e}"));
    let Some(mut loaded) = load.program else { panic!("{case:?}: refused: {}", load.judgement.message()) };
    let output = loaded.run(&input(case.0), 1).unwrap_or_else(|e| panic!("{case:?}: {}: {e}", engine.name()));
    if output.retval != 1 || !matches!(case.0, ProgType::CgroupSkb | ProgType::SkLookup) {
        return u64::from(output.retval);
    }
    let maps = loaded.maps().expect("maps");
    let value = &maps[0].entries.as_ref().expect("entries")[0].1;
    u64::from_le_bytes(value[..8].try_into().expect("8 bytes"))
}

fn text(answers: &BTreeMap<(u32, u32, u32), u64>) -> String {
    let mut out = "prog_type\toff\tsize\tvalue\n".to_owned();
    for ((t, off, size), value) in answers {
        let _ = writeln!(out, "{t}\t{off}\t{size}\t{value:#x}");
    }
    out
}

fn answers(engine: &mut dyn Engine) -> String {
    let all = cases();
    text(&all.iter().map(|&c| ((c.0.raw(), c.2, c.1), ask(engine, c))).collect())
}

fn assert_same(who: &str, got: &str) {
    let wrong: Vec<String> = got
        .lines()
        .zip(RECORDED.lines())
        .filter(|(a, b)| a != b)
        .map(|(a, b)| format!("{who} {a}, recorded {b}"))
        .collect();
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(got.lines().count(), RECORDED.lines().count(), "{who}");
}

#[test]
fn engines_load_what_the_kernel_loads() {
    let profile = Profile::reference();
    let btf = Some(Arc::clone(profile.btf()));
    assert_same("interpreter", &answers(&mut Userspace::new(Backend::Interpreter, btf.clone())));
    assert_same("JIT", &answers(&mut Userspace::new(Backend::Jit, btf.clone())));
    assert_same("JIT with facts", &answers(&mut Userspace::new(Backend::Jit, btf).with_facts(profile)));
}

#[test]
fn the_recording_is_true() {
    let mut kernel = match kernel_diff::live::host_of("6.18") {
        Ok(k) => k,
        Err(why) => {
            eprintln!("SKIPPED: no kernel was asked: {why}");
            return;
        }
    };
    let got = answers(kernel.as_mut());
    if std::env::var_os("BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/context_fields.tsv");
        std::fs::write(path, got).expect("the recording is writable");
    } else {
        assert_same("kernel", &got);
    }
}
