//! What Linux 5.10.262 says where newer kernels say something else, as its verifier printed it.

use isa::Insn;
use program::{MapDef, Program};
use spec::{AttachType, Profile, ProgType, prog::flags::SLEEPABLE};
use verifier::{Options, Outcome, Verdict, verify};

const SOCKET_FILTER: u32 = 1;
const SCHED_CLS: u32 = 3;
const FLOW_DISSECTOR: u32 = 22;

type Row = (u8, u8, u8, i16, i32);

fn judge(kernel: &str, prog_type: u32, insns: &[Row]) -> Outcome {
    judge_as(kernel, insns, Program { prog_type, ..Program::default() })
}

fn judge_as(kernel: &str, insns: &[Row], program: Program) -> Outcome {
    let insns = insns.iter().map(|&(code, dst, src, off, imm)| Insn { code, dst, src, off, imm }).collect();
    let p = Program { license: "GPL".to_owned(), insns, ..program };
    let mut profile = Profile::load(kernel).expect("in the source tree");
    profile.modelled = true;
    verify(&p, &profile, &Options { log_level: 0 })
}

/// What this kernel says last.
fn said(kernel: &str, prog_type: u32, insns: &[Row]) -> (i32, String) {
    let o = judge(kernel, prog_type, insns);
    assert_eq!(o.verdict == Verdict::Accept, o.errno == 0);
    (o.errno, o.message.lines().last().unwrap_or("accepted").to_owned())
}

const ZERO: Row = (0xb7, 0, 0, 0, 0);
const EXIT: Row = (0x95, 0, 0, 0, 0);

#[test]
fn words() {
    let says = |ty, insns: &[Row], text: &str| assert_eq!(said("5.10", ty, insns), (-13, text.to_owned()));
    // r0 = 0; lock *(u64 *)(r1 + 0) += r0
    says(SOCKET_FILTER, &[ZERO, (0xdb, 1, 0, 0, 0), ZERO, EXIT], "BPF_XADD stores into R1 ctx is not allowed");
    // r1 -= 4; r0 = *(u32 *)(r1 + 0)
    let behind = [(0x07, 1, 0, 0, -4), (0x61, 0, 1, 0, 0), ZERO, EXIT];
    says(SCHED_CLS, &behind, "dereference of modified ctx ptr R1 off=-4 disallowed");
    // r1 = 7; r2 = r10 - 8; r3 = 0; r4 = 8; skb_load_bytes(7, ..)
    let number = [(0xb7, 1, 0, 0, 7), (0xb7, 2, 0, 0, 0), (0xbf, 3, 10, 0, 0), (0x07, 3, 0, 0, -8), (0xb7, 4, 0, 0, 8)];
    let call = [(0x85, 0, 0, 0, 26), ZERO, EXIT];
    says(SCHED_CLS, &[&number[..], &call].concat(), "R1 type=inv expected=ctx");
    // *(u64 *)(r1 + 8) = 1: a store of an immediate, whatever the field
    says(SCHED_CLS, &[(0x62, 1, 0, 8, 1), ZERO, EXIT], "BPF_ST stores into R1 ctx is not allowed");
}

#[test]
fn unallocated_stack() {
    let read = [(0x79, 0, 10, -8, 0), EXIT];
    assert_eq!(said("5.10", SOCKET_FILTER, &read), (-13, "invalid read from stack R10 off=-8 size=8".to_owned()));
    assert_eq!(said("6.1", SOCKET_FILTER, &read).0, 0);
    // What was stored below makes it part of the stack.
    let below = [(0x7a, 10, 0, -16, 0), (0x79, 0, 10, -8, 0), EXIT];
    assert_eq!(said("5.10", SOCKET_FILTER, &below).0, 0);
}

#[test]
fn calls_that_came_later() {
    let kfunc = [(0x85, 0, 2, 0, 1), ZERO, EXIT];
    assert_eq!(said("5.10", SCHED_CLS, &kfunc), (-22, "BPF_CALL uses reserved fields".to_owned()));
    // r1 = function at 3
    let address = [(0x18, 1, 4, 0, 2), (0, 0, 0, 0, 0), ZERO, EXIT, ZERO, EXIT];
    assert_eq!(said("5.10", SCHED_CLS, &address), (-22, "unrecognized bpf_ld_imm64 insn".to_owned()));
}

#[test]
fn flow_keys_move() {
    // r2 = flow_keys; r3 = *(u16 *)r2 & 1; r2 += r3
    let moved = [(0x79, 2, 1, 144, 0), (0x69, 3, 2, 0, 0), (0x57, 3, 0, 0, 1), (0x0f, 2, 3, 0, 0), ZERO, EXIT];
    assert_eq!(said("6.1", FLOW_DISSECTOR, &moved), (-13, "R2 pointer arithmetic on flow_keys prohibited".to_owned()));
    assert_eq!(said("5.10", FLOW_DISSECTOR, &moved).0, 0);
}

/// A program for the `kind` of this name in the kernel.
fn attached(kernel: &str, ty: ProgType, attach: AttachType, target: (btf::Kind, &str)) -> Program {
    let profile = Profile::load(kernel).expect("in the source tree");
    Program {
        prog_type: ty.raw(),
        expected_attach_type: attach.raw(),
        attach_btf_id: profile.btf().find(target.0, target.1).expect("in the kernel"),
        ..Program::default()
    }
}

#[test]
fn pointers_to_numbers() {
    let target = (btf::Kind::Func, "bpf_modify_return_test");
    // r3 = *(u64 *)(r1 + 8): an `int *`
    let load = [(0x79, 3, 1, 8, 0), ZERO, EXIT];
    let on = |kernel| {
        let program = attached(kernel, ProgType::Tracing, AttachType::TraceFentry, target);
        judge_as(kernel, &load, program)
    };
    assert_eq!(
        on("5.10").message,
        "func 'bpf_modify_return_test' arg1 type INT is not a struct\ninvalid bpf_context access off=8 size=8"
    );
    assert_eq!(on("6.1").errno, 0);
}

#[test]
fn objects_on_the_stack_stay() {
    let target = (btf::Kind::Typedef, "btf_trace_block_rq_complete");
    // r1 = *(u64 *)(r1 + 0); *(u64 *)(r10 - 8) = r1; trace_printk(r10 - 8, 8); r1 = *(u64 *)(r10 - 8); r2 = *(u64 *)(r1 + 0)
    let mut insns = vec![(0x79, 1, 1, 0, 0), (0x7b, 10, 1, -8, 0), (0xbf, 1, 10, 0, 0), (0x07, 1, 0, 0, -8)];
    insns.extend([(0xb7, 2, 0, 0, 8), (0x85, 0, 0, 0, 6), (0x79, 1, 10, -8, 0), (0x79, 2, 1, 0, 0), ZERO, EXIT]);
    let on = |kernel| {
        let program = attached(kernel, ProgType::Tracing, AttachType::TraceRawTp, target);
        judge_as(kernel, &insns, program).errno
    };
    assert_eq!((on("5.10"), on("6.1")), (0, -13));
}

#[test]
fn sleeping_programs_copy_from_users() {
    // copy_from_user(r10 - 8, 8, 0)
    let insns = [(0xbf, 1, 10, 0, 0), (0x07, 1, 0, 0, -8), (0xb7, 2, 0, 0, 8), (0xb7, 3, 0, 0, 0)];
    let insns = [&insns[..], &[(0x85, 0, 0, 0, 148), ZERO, EXIT]].concat();
    let on = |flags| {
        let target = (btf::Kind::Func, "bpf_lsm_bprm_committed_creds");
        let program = attached("5.10", ProgType::Lsm, AttachType::LsmMac, target);
        judge_as("5.10", &insns, Program { flags, ..program }).errno
    };
    assert_eq!((on(SLEEPABLE), on(0)), (0, -22));
}

#[test]
fn the_same_register_needs_no_pair() {
    let mut insns =
        vec![(0xbf, 9, 1, 0, 0), (0x85, 0, 0, 0, 5), (0xbf, 7, 0, 0, 0), (0x85, 0, 0, 0, 5), (0xbf, 6, 0, 0, 0)];
    // r2 = r3 = data, r4 = data_end; r6 and r7 up to 100
    insns.extend([
        (0x61, 2, 9, 76, 0),
        (0x61, 3, 9, 76, 0),
        (0x61, 4, 9, 80, 0),
        (0x25, 6, 0, 9, 100),
        (0x25, 7, 0, 8, 100),
    ]);
    // r2 += r6 + 1; r3 += r7 + 1; if r6 == r7 r2 = r3; if r3 <= r4 r5 = *(u8 *)(r2 - 1)
    insns.extend([(0x0f, 2, 6, 0, 0), (0x07, 2, 0, 0, 1), (0x0f, 3, 7, 0, 0), (0x07, 3, 0, 0, 1), (0x5d, 6, 7, 1, 0)]);
    insns.extend([(0xbf, 2, 3, 0, 0), (0x2d, 3, 4, 1, 0), (0x71, 5, 2, -1, 0), ZERO, EXIT]);
    assert_eq!(judge("5.10", SCHED_CLS, &insns).errno, 0);
    assert_eq!(judge("6.1", SCHED_CLS, &insns).errno, -13);
}

#[test]
fn writes_of_unknown_size() {
    let rdonly =
        MapDef { map_type: 2, key_size: 4, value_size: 8, max_entries: 1, map_flags: 0x80, ..MapDef::default() };
    // r4 = ktime & 3, + 1; skb_load_bytes(ctx, 0, map value, r4)
    let mut insns =
        vec![(0xbf, 6, 1, 0, 0), (0x85, 0, 0, 0, 5), (0xbf, 4, 0, 0, 0), (0x57, 4, 0, 0, 3), (0x07, 4, 0, 0, 1)];
    insns.extend([
        (0xbf, 1, 6, 0, 0),
        (0xb7, 2, 0, 0, 0),
        (0x18, 3, 2, 0, 0),
        (0, 0, 0, 0, 0),
        (0x85, 0, 0, 0, 26),
        ZERO,
        EXIT,
    ]);
    let on = |kernel| {
        let maps = vec![std::sync::Arc::new(rdonly.clone())];
        judge_as(kernel, &insns, Program { prog_type: SCHED_CLS, maps, ..Program::default() }).errno
    };
    assert_eq!((on("5.10"), on("6.1")), (0, -13));
}
