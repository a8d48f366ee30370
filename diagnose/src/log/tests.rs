//! Logs as tools print them, in our own words; what `clean`, `line` and the builder make of them together.

use super::*;

const OLD: &str = "\
libbpf: load bpf program failed: Permission denied
libbpf: -- BEGIN DUMP LOG ---
libbpf:
0: (bf) r6 = r1
1: (61) r1 = *(u32 *)(r6 +80)
2: (61) r2 = *(u32 *)(r6 +76)
3: (71) r0 = *(u8 *)(r2 +0)
invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0)
R2 offset is outside of the packet
processed 4 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0

libbpf: -- END LOG --
libbpf: failed to load program 'classifier'
";

#[test]
fn an_old_log_of_libbpf() {
    let all = refusals(OLD);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].steps.len(), 4);
    assert_eq!(all[0].message.len(), 2);
    assert_eq!(all[0].processed, Some(4));
}

#[test]
fn several_programs_in_one_file_are_kept_apart() {
    let log = "\
libbpf: prog 'a': BPF program load failed: Permission denied
libbpf: prog 'a': -- BEGIN PROG LOAD LOG --
0: R1=ctx(off=0,imm=0) R10=fp0
0: (79) r0 = *(u64 *)(r2 +0)
R2 !read_ok
processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
-- END PROG LOAD LOG --
libbpf: prog 'b': BPF program load failed: Permission denied
libbpf: prog 'b': -- BEGIN PROG LOAD LOG --
0: R1=ctx(off=0,imm=0) R10=fp0
0: (95) exit
R0 !read_ok
processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
-- END PROG LOAD LOG --
";
    let all = refusals(log);
    let programs: Vec<_> = all.iter().map(|r| (r.program.as_deref().unwrap(), r.message[0].as_str())).collect();
    assert_eq!(programs, [("a", "R2 !read_ok"), ("b", "R0 !read_ok")]);
}

#[test]
fn a_branch_at_level_1_follows_on_the_same_line() {
    let log = "8: (16) if w1 == 0x7 goto pc+5 14: R0=ringbuf_mem(ref_obj_id=2,sz=8) R1=7 R6=ctx() R10=fp0 refs=2\n14: (95) exit\nUnreleased reference id=2 alloc_insn=5\n";
    let all = refusals(log);
    assert_eq!(all[0].steps.len(), 2);
    assert!(all[0].steps[1].before.is_some());
}

#[test]
fn go_tools_use_tabs_and_leave_lines_out() {
    let log = "load program: permission denied:\n\t0: R1=ctx() R10=fp0\n\t0: (85) call bpf_x#1\n\t (12 line(s) omitted)\n\tR0 invalid mem access 'scalar'\n\tprocessed 3 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n";
    let all = refusals(log);
    assert!(all[0].truncated);
    assert_eq!(all[0].message, ["R0 invalid mem access 'scalar'"]);
}

#[test]
fn the_report_of_7_3_is_read() {
    let log = "3: (71) r0 = *(u8 *)(r2 +0)\nR2 offset is outside of the packet\nVerification failed: Memory: access outside of the packet\nReason: the packet has 0 bytes\n  that are checked\nAt: main @ a.c:12:5\n  11 | x\nCausal path:\n  x\nSuggestion: check it\nprocessed 4 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n";
    let r = refusals(log).remove(0);
    let report = r.report.unwrap();
    assert_eq!(report.place.unwrap().line, Some(12));
    assert_eq!(report.reason, "the packet has 0 bytes that are checked");
    assert_eq!(r.processed, Some(4));
}
