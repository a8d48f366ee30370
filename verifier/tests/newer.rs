//! What newer kernels than the reference decide differently: programs with the verdict that Linux 7.2.13 gave them.

use isa::Insn;
use program::Program;
use spec::prog::flags::SLEEPABLE;
use spec::{Profile, ProgType};
use verifier::{Options, Outcome, Verdict, verify};

type Raw = (u8, u8, u8, i16, i32);

const EXIT: Raw = (0x95, 0, 0, 0, 0);
const R0_ZERO: Raw = (0xb7, 0, 0, 0, 0);

fn judged(kernel: &str, ty: ProgType, insns: &[Raw], level: u32) -> Outcome {
    let insns = insns.iter().map(|&(code, dst, src, off, imm)| Insn { code, dst, src, off, imm }).collect();
    let flags = if ty == ProgType::Syscall { SLEEPABLE } else { 0 };
    let program = Program { prog_type: ty.raw(), insns, flags, license: "GPL".to_owned(), ..Program::default() };
    let mut profile = Profile::load(kernel).expect("in the source tree");
    profile.modelled = true;
    verify(&program, &profile, &Options { log_level: level })
}

#[track_caller]
fn refused(ty: ProgType, insns: &[Raw], errno: i32, processed: u32, message: &str) {
    let o = judged("7.2", ty, insns, 0);
    assert_eq!(
        (o.verdict, o.errno, o.stats.insns_processed, o.message.as_str()),
        (Verdict::Reject, errno, processed, message)
    );
}

#[track_caller]
fn accepted_only_by_7_2(ty: ProgType, insns: &[Raw], old_words: &str) {
    let new = judged("7.2", ty, insns, 0);
    assert_eq!((new.verdict, new.message.as_str()), (Verdict::Accept, ""));
    let old = judged("6.18", ty, insns, 0);
    assert_eq!((old.verdict, old.message.lines().last()), (Verdict::Reject, Some(old_words)));
}

/// `n` functions, each of which calls the next.
fn chain(n: usize) -> Vec<Raw> {
    let mut insns = Vec::new();
    for _ in 1..n {
        insns.extend([(0x85, 0, 1, 0, 1), EXIT]);
    }
    insns.extend([R0_ZERO, EXIT]);
    insns
}

#[test]
fn form_is_checked_even_of_dead_code() {
    let filter = ProgType::SocketFilter;
    refused(filter, &[R0_ZERO, EXIT, (0x07, 11, 0, 0, 0), EXIT], -22, 0, "R11 is invalid");
    refused(ProgType::Xdp, &[R0_ZERO, (0x07, 0, 0, 1, 4), EXIT], -22, 0, "BPF_ALU uses reserved fields");
    refused(filter, &[R0_ZERO, (0xe1, 0, 0, 0, 0), EXIT], -22, 0, "unknown opcode e1");
    refused(filter, &[R0_ZERO, (0x0d, 0, 0, 0, 0), EXIT], -22, 0, "no jump tables found for subprog starting at 0");
}

#[test]
fn recursion_and_depth() {
    let filter = ProgType::SocketFilter;
    let recursion = [(0x85, 0, 1, 0, 1), EXIT, (0x85, 0, 1, 0, 1), EXIT, (0x85, 0, 1, 0, -3), EXIT];
    refused(filter, &recursion, -22, 0, "recursive call from () to ()");
    accepted_only_by_7_2(filter, &chain(16), "the call stack of 9 frames is too deep");
    refused(filter, &chain(17), -7, 16, "the call stack of 17 frames is too deep");
}

#[test]
fn a_pointer_has_one_offset() {
    // A packet pointer that was moved back and is read further on.
    let load = |dst, src, off| (0x61, dst, src, off, 0);
    let moved = [
        load(2, 1, 0),
        load(3, 1, 4),
        (0xbf, 4, 2, 0, 0),
        (0x07, 4, 0, 0, 16),
        (0x2d, 4, 3, 2, 0),
        (0x07, 2, 0, 0, -8),
        (0x79, 0, 2, 8, 0),
        R0_ZERO,
        EXIT,
    ];
    let words = "R2 unbounded memory access, make sure to bounds check any such access";
    refused(ProgType::Xdp, &moved, -13, 7, words);
    assert_eq!(judged("6.18", ProgType::Xdp, &moved, 0).verdict, Verdict::Accept);
}

#[test]
fn contexts_that_are_not_converted_may_be_moved() {
    let at_8 = [(0x07, 1, 0, 0, 8), (0x79, 0, 1, 0, 0), R0_ZERO, EXIT];
    accepted_only_by_7_2(ProgType::Kprobe, &at_8, "dereference of modified ctx ptr R1 off=8 disallowed");
    // R2 &= 8; R1 += R2, and the same with a distance that leaves the context.
    let by = |mask| vec![(0x79, 2, 1, 0, 0), (0x57, 2, 0, 0, mask), (0x0f, 1, 2, 0, 0)];
    let far = |mask, off| [by(mask), vec![(0x0f, 1, 2, 0, 0), (0x79, 0, 1, off, 0), R0_ZERO, EXIT]].concat();
    let near = [by(8), vec![(0x79, 0, 1, 0, 0), R0_ZERO, EXIT]].concat();
    accepted_only_by_7_2(ProgType::Syscall, &near, "variable ctx access var_off=(0x0; 0x8) disallowed");
    let words = "invalid access to context, ctx_size=65535 off=65634 size=8\nR1 max value is outside of the allowed memory range";
    refused(ProgType::Syscall, &far(0x7fff, 100), -13, 5, words);
}

#[test]
fn statistics_name_the_deepest_chain_and_each_function() {
    let store = [(0x7a, 10, 0, -8, 0), R0_ZERO, EXIT];
    let log = judged("7.2", ProgType::Xdp, &store, 4).log;
    assert!(log.starts_with("stack depth 8 max 16\ninsns processed 3\nprocessed 3 insns "), "{log}");
    assert!(judged("6.18", ProgType::Xdp, &store, 4).log.starts_with("stack depth 8\nprocessed 3 insns "));
}

#[test]
fn jumps_on_constants_are_decided_in_advance() {
    let insns = [(0xb7, 0, 0, 0, 7), (0x25, 0, 0, 0, 3), (0x07, 0, 0, 0, -7), (0x15, 0, 0, 0, 0), EXIT];
    let insns: Vec<Raw> =
        insns.into_iter().map(|(c, d, s, _, i)| (c, d, s, if c & 7 == 5 && c != 0x95 { 1 } else { 0 }, i)).collect();
    let o = judged("7.2", ProgType::Xdp, &[insns, vec![EXIT]].concat(), 2);
    assert!(o.log.contains("(05) goto pc+1") && !o.log.contains("(25) if"), "{}", o.log);
}

#[test]
fn rcu_sections_nest() {
    let judge = |kernel: &str| {
        let profile = Profile::load(kernel).expect("in the source tree");
        let call = |name: &str| {
            let id = profile.btf().find(btf::Kind::Func, name).expect("a kfunc");
            (0x85, 0, 2, 0, id as i32)
        };
        let (lock, unlock) = (call("bpf_rcu_read_lock"), call("bpf_rcu_read_unlock"));
        let nested = judged(kernel, ProgType::SchedCls, &[lock, lock, unlock, unlock, R0_ZERO, EXIT], 0);
        let open = judged(kernel, ProgType::SchedCls, &[lock, lock, unlock, R0_ZERO, EXIT], 0);
        (nested.verdict, nested.message, open.verdict, open.stats.insns_processed)
    };
    assert_eq!(judge("7.2"), (Verdict::Accept, String::new(), Verdict::Reject, 5));
    let words = "nested rcu read lock (kernel function bpf_rcu_read_lock)";
    assert_eq!(judge("6.18"), (Verdict::Reject, words.to_owned(), Verdict::Reject, 2));
}

#[test]
fn programs_of_a_cgroup_set_options_of_sockets_that_are_made() {
    let profile = Profile::load("7.2").expect("in the source tree");
    let offered = |target| {
        let prog = spec::prog::ProgContext { attach_type: 43, target, ..spec::prog::ProgContext::of(ProgType::Lsm) };
        matches!(profile.helper(prog, 49), spec::helper::HelperAvail::Yes { .. })
    };
    assert!(offered("socket_post_create") && offered("inet_csk_clone") && !offered("socket_bind"));
}
