//! The vectors of `vectors/exploration.md` that are families or listings rather than one program in hex: each is built here, its
//! counters and excerpts are those that Linux 6.18.44 answered. The numbers in the names are the vectors'.

use isa::Insn;
use program::{InfoTable, MapDef, Program};
use spec::{Caps, Profile};
use std::fmt::Write;
use std::sync::Arc;
use verifier::{Options, Outcome, verify};

const TEST_STATE_FREQ: u32 = 8;
const TRACEPOINT: u32 = 5;

/// Instructions one behind the other, as the vectors write them: `0: r0 = 0 | 1: exit`.
fn listing(text: &str) -> Program {
    let insns = isa::asm::assemble(&text.replace(" | ", "\n")).unwrap_or_else(|e| panic!("{e}\n{text}"));
    Program { license: "GPL".to_owned(), prog_type: 1, insns, ..Program::default() }
}

fn judge(program: &Program, caps: Caps) -> Outcome {
    verify(program, &Profile::default().with_caps(caps), &Options { log_level: 2 })
}

/// Result, instructions, states per instruction, all states, most at once.
fn counters(o: &Outcome) -> (i32, u32, u32, u32, u32) {
    let s = &o.stats;
    (o.errno, s.insns_processed, s.max_states_per_insn, s.total_states, s.peak_states)
}

/// These lines, in this order, others between them allowed.
fn assert_excerpt(log: &str, lines: &[&str]) {
    let mut rest = log.lines();
    for want in lines {
        assert!(rest.any(|l| l.trim_end() == *want), "no line {want:?} where it belongs in\n{log}");
    }
}

const BPF_ONLY: Caps = Caps { perfmon: false, sys_admin: false, ..Caps::ALL };

#[test]
fn vector_14_too_many_waiting_states() {
    let mut p = listing("r6 = 0 | call bpf_get_prandom_u32#7 | r0 = 0 | exit");
    let branches = (1..=8300).map(|k| Insn { code: 0x15, dst: 0, src: 0, off: 8300 - k as i16, imm: k });
    p.insns.splice(2..2, branches);
    let out = judge(&p, Caps::ALL);
    assert_eq!(counters(&out), (-14, 8195, 0, 1024, 1024));
    assert_eq!(out.message, "The sequence of 8193 jumps is too complex.");
}

#[test]
fn vector_16_a_long_history_forces_a_store() {
    for (n, insns, states) in [(39, 43, 0), (40, 44, 0), (41, 45, 1), (42, 46, 1)] {
        let stores = "*(u64 *)(r10 -8) = r6 | ".repeat(n);
        let p = listing(&format!("r6 = 0 | {stores}goto pc+0 | r0 = 0 | exit"));
        assert_eq!(counters(&judge(&p, Caps::ALL)), (0, insns, 0, states, states), "{n} stores");
    }
}

#[test]
fn vector_19a_errors_of_speculation_are_no_refusals() {
    let p = listing(
        "0: *(u64 *)(r10 -8) = 0 | 1: r6 = 0 | 2: r7 = 1 | 3: if r6 == 0x0 goto pc+2 | 4: r7 = *(u64 *)(r10 -16) | 5: r7 = 3 | 6: r0 = r7 | 7: exit",
    );
    let out = judge(&p, BPF_ONLY);
    assert_eq!(counters(&out), (0, 7, 0, 0, 0));
    assert_excerpt(
        &out.log,
        &[
            "(0) frame 0 insn 0 +written -8",
            "from 3 to 4 (speculative execution): R1=ctx() R6=scalar() R7=1 R10=fp0 fp-8=0",
            "4: R1=ctx() R6=scalar() R7=1 R10=fp0 fp-8=0",
            "4: (79) r7 = *(u64 *)(r10 -16)",
            "invalid read from stack R10 off=-16 size=8",
        ],
    );
}

#[test]
fn vector_19b_speculation_past_pointer_arithmetic() {
    let mut p = listing(
        "0: *(u32 *)(r10 -4) = 0 | 1: r2 = r10 | 2: r2 += -4 | 3: r1 = 0x0 | 5: call bpf_map_lookup_elem#1 | 6: if r0 == 0x0 goto pc+4 | 7: r1 = *(u32 *)(r0 +0) | 8: if r1 > 0x10 goto pc+2 | 9: r0 += r1 | 10: r0 = *(u8 *)(r0 +0) | 11: r0 = 0 | 12: exit",
    );
    p.insns[3].src = isa::consts::BPF_PSEUDO_MAP_FD;
    p.maps = vec![Arc::new(MapDef { map_type: 2, key_size: 4, value_size: 64, max_entries: 1, ..MapDef::default() })];
    let out = judge(&p, BPF_ONLY);
    assert_eq!(counters(&out), (0, 18, 0, 2, 2));
    let r1 = "R1=scalar(smin=smin32=0,smax=umax=smax32=umax32=16,var_off=(0x0; 0x1f))";
    assert_excerpt(
        &out.log,
        &[
            &format!("from 9 to 10 (speculative execution): R0=map_value(ks=4,vs=64) {r1} R10=fp0 fp-8=0000????"),
            "from 8 to 11: R0=map_value(ks=4,vs=64) R1=scalar(smin=umin=umin32=17,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff)) R10=fp0 fp-8=0000????",
            "from 6 to 11 (speculative execution): safe",
        ],
    );
}

/// What the liveness analysis prints after the second exit.
fn liveness_after_second_exit(log: &str) -> Vec<&str> {
    let lines: Vec<&str> = log.lines().collect();
    let exits: Vec<usize> = (0..lines.len()).filter(|i| lines[*i].contains("(95) exit") && *i > 20).collect();
    let after = lines.iter().skip(exits[exits.len() - 1] + 1);
    after.filter(|l| l.starts_with("(0)")).map(|l| l.trim_end()).collect()
}

#[test]
fn vector_20_must_write_sets() {
    let program = |a: i32, b: i32| {
        listing(&format!(
            "call bpf_get_prandom_u32#7 | r6 = r0 | r2 = r10 | r3 = r10 | *(u64 *)(r10 -{a}) = 1 | *(u64 *)(r10 -{b}) = 1 | if r6 > 0xa goto pc+2 | r2 += -{a} | goto pc+1 | r2 += -{b} | *(u64 *)(r2 +0) = r6 | r0 = *(u64 *)(r10 -{a}) | r0 = *(u64 *)(r10 -{b}) | r0 = 0 | exit"
        ))
    };
    for (a, b) in [(8, 16), (8, 264)] {
        let out = judge(&program(a, b), Caps::ALL);
        let mut want: Vec<String> = [10, 9, 6, 5].map(|i| format!("(0) frame 0 insn {i} +live -{a}")).to_vec();
        want.push(format!("(0) frame 0 insn 5 +written -{b}"));
        want.extend([4, 1, 0].map(|i| format!("(0) frame 0 insn {i} +written -{a},-{b}")));
        want.push("(0) live stack update done in 2 iterations".to_owned());
        assert_eq!(liveness_after_second_exit(&out.log), want, "fp-{a} and fp-{b}");
    }
    // Slots beyond the first 32 are written in another word, which is not re-examined.
    for (a, b) in [(264, 8), (264, 272)] {
        let out = judge(&program(a, b), Caps::ALL);
        assert_eq!(liveness_after_second_exit(&out.log), Vec::<&str>::new(), "fp-{a} and fp-{b}");
    }
}

#[test]
fn vector_27_slot_equality() {
    // What a path leaves in fp-8, in the order of the table.
    let contents = [
        ("spill r6", "*(u64 *)(r10 -8) = r6"),
        ("const 0 spill", "*(u64 *)(r10 -8) = 0"),
        ("const 1 spill", "*(u64 *)(r10 -8) = 1"),
        (
            "7 zero + lowest misc",
            "*(u64 *)(r10 -8) = 0 | *(u8 *)(r10 -1) = 0 | *(u8 *)(r10 -8) = r6 | *(u8 *)(r10 -7) = 0",
        ),
        ("misc bytes", "*(u64 *)(r10 -8) = r6 | *(u8 *)(r10 -7) = r6"),
        ("4-byte spill low", "*(u32 *)(r10 -8) = r6"),
        ("ctx/fp pointer", "*(u64 *)(r10 -8) = r10"),
        ("nothing", "r7 = 0"),
    ];
    let text = include_str!("vectors/exploration.md");
    let table = text.split("| old \\ new |").nth(1).expect("the table");
    let rows: Vec<Vec<&str>> =
        table.lines().skip(2).take(8).map(|l| l.trim_matches('|').split('|').map(str::trim).collect()).collect();
    let mut wrong = String::new();
    for ((old, first), row) in contents.iter().zip(&rows) {
        assert_eq!(row[0], *old);
        for ((new, second), want) in contents.iter().zip(&row[1..]) {
            let mut p = listing(&format!(
                "call bpf_get_prandom_u32#7 | r6 = r0 | if r6 > 0xa goto second | {first} | goto merge | second: {second} | merge: r7 = 0 | goto pc+0 | r1 = *(u64 *)(r10 -8) | r0 = 0 | exit"
            ));
            p.flags = TEST_STATE_FREQ;
            let out = judge(&p, Caps::ALL);
            let ours = if out.log.lines().any(|l| l.ends_with("safe")) { "=" } else { "≠" };
            if ours != *want || out.errno != 0 {
                let _ = writeln!(wrong, "old {old}, new {new}: {ours} instead of {want}, errno {}", out.errno);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn vector_28_eviction_of_closed_states() {
    let mut text = "call bpf_get_prandom_u32#7 | r7 = 0".to_owned();
    for k in 1..=10 {
        let _ = write!(text, " | if r0 == {k:#x} goto L{k}");
    }
    text.push_str(" | goto M");
    for k in 1..=10 {
        let _ = write!(text, " | L{k}: r7 = {k} | goto M");
    }
    text.push_str(" | M: r1 = r10 | r1 += -64 | r1 += r7 | *(u8 *)(r1 +0) = 0 | r0 = 0 | exit");
    let mut p = listing(&text);
    p.flags = TEST_STATE_FREQ;
    assert_eq!(counters(&judge(&p, Caps::ALL)), (0, 99, 4, 32, 25));
}

#[test]
fn vector_29_closed_state_with_incomplete_marks() {
    let mut p = listing(
        "0: call bpf_get_prandom_u32#7 | 1: r6 = r0 | 2: r7 = 0 | 3: may_goto pc+8 | 4: if r6 > 0xa goto pc+2 | 5: r7 = 1 | 6: goto pc+1 | 7: r7 = 2 | 8: r8 = 5 | 9: call bpf_get_prandom_u32#7 | 10: r6 = r0 | 11: goto pc-9 | 12: r0 = 0 | 13: exit",
    );
    p.flags = TEST_STATE_FREQ;
    p.prog_type = TRACEPOINT;
    let out = judge(&p, Caps::ALL);
    assert_eq!(counters(&out), (0, 16, 0, 7, 9));
    assert_excerpt(
        &out.log,
        &[
            "SCC enter (1)",
            "from 3 to 4: R0=scalar(id=1) R6=scalar(id=1) R7=0 R10=fp0",
            "SCC backedge (1)",
            "3: safe",
            "from 4 to 7: R0=scalar(id=1) R6=scalar(id=1,umin=11) R7=0 R10=fp0",
            "SCC backedge (1)",
            "8: safe",
            "SCC exit (1)",
        ],
    );
}

/// BTF with `int` and two functions without parameters, static.
fn two_functions() -> btf::Btf {
    let strings = b"\0int\0main\0cb\0p\0";
    let types: [u32; 21] = [
        1,
        1 << 24,
        4,
        (1 << 24) | 32, // 1: int
        0,
        13 << 24,
        1, // 2: int (*)(void)
        5,
        (12 << 24) | 1,
        2, // 3: main, global
        0,
        (13 << 24) | 2,
        1,
        13,
        1,
        13,
        1, // 4: int (*)(int p, int p)
        10,
        12 << 24,
        4, // 5: cb, static
        0,
    ];
    let types = &types[..20];
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    let len = 4 * types.len() as u32;
    for w in [24, 0, len, len, strings.len() as u32] {
        bytes.extend(w.to_le_bytes());
    }
    bytes.extend(types.iter().flat_map(|w| w.to_le_bytes()));
    bytes.extend(strings);
    btf::Btf::parse(&bytes).expect("BTF")
}

#[test]
fn vector_30_bpf_loop_in_a_bounded_loop() {
    let mut p = listing(
        "0: r6 = 0 | 1: r1 = 100 | 2: r2 = 0xa | 4: r3 = r10 | 5: r3 += -8 | 6: *(u64 *)(r10 -8) = 0 | 7: r4 = 0 | 8: call bpf_loop#181 | 9: r6 += 1 | 10: if r6 < 0x3 goto pc-10 | 11: r0 = 0 | 12: exit | 13: r0 = *(u64 *)(r2 +0) | 14: r0 += 1 | 15: *(u64 *)(r2 +0) = r0 | 16: r0 = 0 | 17: exit",
    );
    p.insns[2].src = isa::consts::BPF_PSEUDO_FUNC;
    p.prog_type = TRACEPOINT;
    p.btf = Some(Arc::new(two_functions()));
    p.func_info = InfoTable { rec_size: 8, bytes: [0u32, 3, 13, 5].into_iter().flat_map(u32::to_le_bytes).collect() };
    let out = judge(&p, Caps::ALL);
    assert_eq!(counters(&out), (0, 98, 5, 9, 8), "{}", out.message);
    assert_eq!(out.log.lines().filter(|l| l.ends_with("safe")).count(), 6, "{}", out.log);
}
