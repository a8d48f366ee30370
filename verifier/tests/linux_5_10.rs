//! What Linux 5.10.262 says where newer kernels say something else, as its verifier printed it.

use isa::Insn;
use program::Program;
use spec::Profile;
use verifier::{Options, Outcome, Verdict, verify};

const SOCKET_FILTER: u32 = 1;
const SCHED_CLS: u32 = 3;
const FLOW_DISSECTOR: u32 = 22;

type Row = (u8, u8, u8, i16, i32);

fn judge(kernel: &str, prog_type: u32, insns: &[Row]) -> Outcome {
    let insns = insns.iter().map(|&(code, dst, src, off, imm)| Insn { code, dst, src, off, imm }).collect();
    let p = Program { license: "GPL".to_owned(), prog_type, insns, ..Program::default() };
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
