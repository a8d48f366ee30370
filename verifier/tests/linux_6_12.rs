//! What Linux 6.12.117 says where 6.18.44 says something else: verdicts, messages and registers as its verifier printed them.

use isa::Insn;
use program::{InfoTable, MapDef, Program};
use spec::helper::HelperAvail;
use spec::{AttachType, Profile, ProgContext, ProgType};
use std::sync::Arc;
use verifier::{Options, Outcome, verify};

const SOCKET_FILTER: u32 = 1;
const KPROBE: u32 = 2;
const SCHED_CLS: u32 = 3;

fn program(prog_type: u32, insns: &[(u8, u8, u8, i16, i32)]) -> Program {
    let insns = insns.iter().map(|&(code, dst, src, off, imm)| Insn { code, dst, src, off, imm }).collect();
    Program { license: "GPL".to_owned(), prog_type, insns, ..Program::default() }
}

fn judge(kernel: &str, p: &Program, log_level: u32) -> Outcome {
    let mut profile = Profile::load(kernel).expect("in the source tree");
    profile.modelled = true;
    verify(p, &profile, &Options { log_level })
}

/// What both kernels say last.
fn last_words(p: &Program) -> [String; 2] {
    ["6.12", "6.18"].map(|k| judge(k, p, 0).message.lines().last().unwrap_or("accepted").to_owned())
}

/// What both kernels know about registers after an instruction, without marks of reading and writing.
fn known_after(p: &Program, insn: &str) -> [String; 2] {
    ["6.12", "6.18"].map(|k| {
        let log = judge(k, p, 2).log;
        let line = log.lines().find(|l| l.starts_with(insn)).unwrap_or_else(|| panic!("{insn}: {log}"));
        line.split_once("; ").map_or("", |(_, known)| known).replace("_w=", "=")
    })
}

#[test]
fn numbers() {
    // r7 = ktime >> 63, negated, moved up, multiplied: a bit at a known place.
    let p = program(
        SOCKET_FILTER,
        &[
            (0x85, 0, 0, 0, 5),
            (0x77, 0, 0, 0, 63),
            (0xbf, 7, 0, 0, 0),
            (0x87, 0, 0, 0, 0),
            (0x67, 7, 0, 0, 7),
            (0x24, 7, 0, 0, -68),
            (0xb7, 0, 0, 0, 0),
            (0x95, 0, 0, 0, 0),
        ],
    );
    assert_eq!(known_after(&p, "3: (87)"), ["R0=scalar()", "R0=scalar(smin=smin32=-1,smax=smax32=0)"]);
    assert_eq!(
        known_after(&p, "5: (24)"),
        [
            "R7=scalar(smin=0,smax=umax=umax32=0xffffde00,smax32=0x7fffde00,var_off=(0x0; 0xffffde00))",
            "R7=scalar(smin=0,smax=umax=umax32=0xffffde00,smin32=-8704,smax32=0,var_off=(0x0; 0xffffde00))",
        ]
    );
}

#[test]
fn stack_of_calls() {
    // get_current_comm(fp - 8, 16)
    let p = program(
        KPROBE,
        &[
            (0xbf, 1, 10, 0, 0),
            (0x07, 1, 0, 0, -8),
            (0xb7, 2, 0, 0, 16),
            (0x85, 0, 0, 0, 16),
            (0xb7, 0, 0, 0, 0),
            (0x95, 0, 0, 0, 0),
        ],
    );
    let words = ["invalid indirect access to stack R1 off=-8 size=16", "invalid write to stack R1 off=-8 size=16"];
    assert_eq!(last_words(&p), words);
}

#[test]
fn a_known_key_names_an_element() {
    let mut p = program(
        SOCKET_FILTER,
        &[
            (0x62, 10, 0, -4, 0),
            (0xbf, 2, 10, 0, 0),
            (0x07, 2, 0, 0, -4),
            (0x18, 1, 1, 0, 0),
            (0x00, 0, 0, 0, 0),
            (0x85, 0, 0, 0, 1),
            (0x61, 1, 0, 0, 0),
            (0xb7, 0, 0, 0, 0),
            (0x95, 0, 0, 0, 0),
        ],
    );
    let map = MapDef { map_type: 2, key_size: 4, value_size: 8, max_entries: 1, ..MapDef::default() };
    p.maps = vec![Arc::new(map)];
    assert_eq!(last_words(&p), ["R0 invalid mem access 'map_value_or_null'", "accepted"]);
    // Reading the key as an argument makes its bytes unknown to 6.12.
    p.insns[6] = Insn { code: 0x71, dst: 1, src: 10, off: -4, imm: 0 };
    assert_eq!(known_after(&p, "6: (71)")[1], "R1=0 R10=fp0 fp-8=0000????");
    assert!(known_after(&p, "6: (71)")[0].starts_with("R1=scalar("));
}

#[test]
fn rounds_of_a_loop() {
    let p = program(SOCKET_FILTER, &[(0x85, 0, 0, 0, 181), (0xb7, 0, 0, 0, 0), (0x95, 0, 0, 0, 0)]);
    assert_eq!(last_words(&p), ["R1 type=ctx expected=scalar", "R2 !read_ok"]);
}

#[test]
fn forms_of_instructions() {
    let may_goto = program(SOCKET_FILTER, &[(0xe5, 0, 0, 0, 0), (0xb7, 0, 0, 0, 0), (0x95, 0, 0, 0, 0)]);
    assert_eq!(last_words(&may_goto), ["invalid may_goto off 0 imm 0", "accepted"]);
    let byte_release = program(
        SOCKET_FILTER,
        &[(0x72, 10, 0, -1, 0), (0xd3, 10, 1, -1, 0x110), (0xb7, 0, 0, 0, 0), (0x95, 0, 0, 0, 0)],
    );
    assert_eq!(last_words(&byte_release)[0], "unknown opcode d3");
}

#[test]
fn too_many_waiting_paths() {
    let mut insns = vec![(0x85, 0, 0, 0, 5)];
    insns.extend((0..8300).map(|i| (0x15, 0, 0, 8300 - i as i16, i)));
    insns.extend([(0xb7, 0, 0, 0, 0), (0x95, 0, 0, 0, 0)]);
    let p = program(SOCKET_FILTER, &insns);
    for (kernel, errno) in [("6.12", -7), ("6.18", -14)] {
        let o = judge(kernel, &p, 0);
        assert_eq!((o.errno, o.message.trim_end()), (errno, "The sequence of 8193 jumps is too complex."), "{kernel}");
    }
}

/// What both kernels say last of calls of kfuncs, with 0 as their second argument.
fn last_words_on_kfuncs(names: &[&str]) -> [String; 2] {
    ["6.12", "6.18"].map(|kernel| {
        let profile = Profile::load(kernel).expect("in the source tree");
        let id = |n: &&str| profile.btf().find_by_name_kind(n, btf::Kind::Func).expect("a kfunc") as i32;
        let mut insns = vec![(0xb7, 2, 0, 0, 0)];
        insns.extend(names.iter().map(|n| (0x85, 0, 2, 0, id(n))));
        insns.extend([(0xb7, 0, 0, 0, 0), (0x95, 0, 0, 0, 0)]);
        judge(kernel, &program(SCHED_CLS, &insns), 0).message.lines().last().unwrap_or("accepted").to_owned()
    })
}

#[test]
fn kfuncs() {
    assert_eq!(
        last_words_on_kfuncs(&["bpf_rdonly_cast"]),
        ["kfunc bpf_rdonly_cast type ID argument must be of a struct", "accepted"]
    );
    let held = "BPF_EXIT instruction in main prog cannot be used inside bpf_preempt_disable-ed region";
    assert_eq!(last_words_on_kfuncs(&["bpf_preempt_disable"]), ["1 bpf_preempt_enable is missing", held]);
    assert_eq!(
        last_words_on_kfuncs(&["bpf_preempt_disable", "bpf_preempt_disable"]),
        ["2 bpf_preempt_enable(s) are missing", held]
    );
    let rcu = ["bpf_rcu_read_unlock is missing", &held.replace("preempt_disable", "rcu_read_lock")];
    assert_eq!(last_words_on_kfuncs(&["bpf_rcu_read_lock"]), rcu);
}

#[test]
fn null_given_to_a_helper_is_precise() {
    // csum_diff(NULL, 0, NULL, 0, 0)
    let p = program(
        SCHED_CLS,
        &[
            (0xb7, 1, 0, 0, 0),
            (0xb7, 2, 0, 0, 0),
            (0xb7, 3, 0, 0, 0),
            (0xb7, 4, 0, 0, 0),
            (0xb7, 5, 0, 0, 0),
            (0x85, 0, 0, 0, 28),
            (0xb7, 0, 0, 0, 0),
            (0x95, 0, 0, 0, 0),
        ],
    );
    let marked =
        |kernel, reg| judge(kernel, &p, 2).log.contains(&format!("mark_precise: frame0: regs={reg} stack= before 4"));
    assert_eq!(["6.12", "6.18"].map(|k| marked(k, "r1")), [true, false]);
    assert!(["6.12", "6.18"].iter().all(|k| marked(k, "r2")));
}

#[test]
fn socket_options_in_hooks_of_cgroups() {
    for hook in ["socket_post_create", "socket_socketpair", "sock_graft", "inet_csk_clone", "inet_conn_established"] {
        let prog =
            ProgContext { attach_type: AttachType::LsmCgroup.raw(), target: hook, ..ProgContext::of(ProgType::Lsm) };
        for kernel in ["6.1", "6.12", "6.18", "7.2"] {
            let profile = Profile::load(kernel).expect("in the source tree");
            assert_ne!(profile.helper(prog, 49), HelperAvail::No, "{kernel} {hook}");
            assert_eq!(profile.helper(ProgContext { target: "file_open", ..prog }, 49), HelperAvail::No, "{kernel}");
        }
    }
}

/// A program whose functions start at these instructions: `int f(void)`, each.
fn with_functions(mut p: Program, starts: &[u32]) -> Program {
    const STRINGS: &[u8] = b"\0int\0f\0";
    let mut types: Vec<u32> = vec![1, 1 << 24, 4, 1 << 24 | 32, 0, 13 << 24, 1];
    for _ in starts {
        types.extend([5, 12 << 24, 2]);
    }
    let size = 4 * types.len() as u32;
    let mut bytes: Vec<u8> =
        [0x0001_eb9f, 24, 0, size, size, STRINGS.len() as u32].iter().flat_map(|w| w.to_le_bytes()).collect();
    bytes.extend(types.iter().flat_map(|w| w.to_le_bytes()));
    bytes.extend(STRINGS);
    p.btf = Some(Arc::new(btf::Btf::parse(&bytes).expect("well-formed")));
    let records = starts.iter().zip(3u32..).flat_map(|(&start, id)| [start, id]);
    p.func_info = InfoTable { rec_size: 8, bytes: records.flat_map(u32::to_le_bytes).collect() };
    p
}

#[test]
fn references_of_callbacks() {
    // The callback reserves a record, leaves it in the stack of its caller and stops; the caller discards it.
    let p = program(
        KPROBE,
        &[
            (0x7a, 10, 0, -8, 0),
            (0xb7, 1, 0, 0, 1),
            (0x18, 2, 4, 0, 11),
            (0x00, 0, 0, 0, 0),
            (0xbf, 3, 10, 0, 0),
            (0x07, 3, 0, 0, -8),
            (0xb7, 4, 0, 0, 0),
            (0x85, 0, 0, 0, 181),
            (0x79, 1, 10, -8, 0),
            (0x15, 1, 0, 2, 0),
            (0xb7, 2, 0, 0, 0),
            (0x85, 0, 0, 0, 133),
            (0xb7, 0, 0, 0, 0),
            (0x95, 0, 0, 0, 0),
            (0xbf, 6, 2, 0, 0),
            (0x18, 1, 1, 0, 0),
            (0x00, 0, 0, 0, 0),
            (0xb7, 2, 0, 0, 8),
            (0xb7, 3, 0, 0, 0),
            (0x85, 0, 0, 0, 131),
            (0x15, 0, 0, 1, 0),
            (0x7b, 6, 0, 0, 0),
            (0xb7, 0, 0, 0, 1),
            (0x95, 0, 0, 0, 0),
        ],
    );
    let mut p = with_functions(p, &[0, 14]);
    let ring = MapDef { map_type: 27, max_entries: 4096, ..MapDef::default() };
    p.maps = vec![Arc::new(ring)];
    assert_eq!(last_words(&p), ["Unreleased reference id=2 alloc_insn=19", "accepted"]);
}
