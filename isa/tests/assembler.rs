//! The assembler on text that people write: labels, comments, names, and where it points when something is wrong.

use isa::asm::{Symbols, assemble, assemble_with};
use isa::{Insn, Plain, disasm_program};

struct Some3;

impl Symbols for Some3 {
    fn helper(&self, name: &str) -> Option<i32> {
        (name == "bpf_map_lookup_elem").then_some(1)
    }

    fn kfunc(&self, name: &str) -> Option<i32> {
        (name == "bpf_iter_num_new").then_some(64233)
    }

    fn map(&self, name: &str) -> Option<i32> {
        (name == "counters").then_some(2)
    }
}

fn listing(text: &str) -> String {
    match assemble_with(text, &Some3) {
        Ok(insns) => disasm_program(&insns, &Plain),
        Err(e) => format!("{e}\n"),
    }
}

#[test]
fn labels_comments_and_spacing() {
    let text = "
        start: r1=*(u32*)(r1+4)   // a comment
        loop:
        w2 += -1 ; another
        if w2 s> 0x7 goto loop
        if r1 == 0 goto out
        r3 = func callback
        r4 = map[counters]
        gotol start
        out: exit
        callback: r0 = 0xffffffffffffffff
        r0 = 5 ll
        exit";
    assert_eq!(
        listing(text),
        "0: (61) r1 = *(u32 *)(r1 +4)
1: (04) w2 += -1
2: (66) if w2 s> 0x7 goto pc-2
3: (15) if r1 == 0x0 goto pc+5
4: (18) r3 = func pc+5
6: (18) r4 = map[2]
8: (06) gotol pc-9
9: (95) exit
10: (18) r0 = 0xffffffffffffffff
12: (18) r0 = 0x5
14: (95) exit
"
    );
}

#[test]
fn an_excerpt_of_a_log_assembles() {
    let text = "0: (85) call bpf_get_prandom_u32#7    ; R0=scalar()
1: (bf) r6 = r0                       ; R0=scalar(id=1) R6=scalar(id=1)
2: (b7) r1 = 0x5
3: (85) call bpf_iter_num_new#64233
4: (95) exit";
    let insns = assemble(text).expect("a log");
    let call = |src, imm| Insn { code: 0x85, dst: 0, src, off: 0, imm };
    assert_eq!(insns[0], call(0, 7));
    assert_eq!(insns[2], Insn { code: 0xb7, dst: 1, src: 0, off: 0, imm: 5 });
    assert_eq!(insns[3], call(2, 64233));
}

#[test]
fn names_of_functions() {
    assert_eq!(
        listing("call bpf_map_lookup_elem\ncall bpf_iter_num_new\ncall unknown#-5\ncall kfunc#9\ncall f\nf: exit"),
        "0: (85) call unknown#1
1: (85) call kfunc#64233
2: (85) call unknown#-5
3: (85) call kfunc#9
4: (85) call pc+0
5: (95) exit
"
    );
}

#[test]
fn errors_say_where() {
    let cases = [
        ("r1 = r11", "line 1, column 6: expected a register up to r10"),
        ("r0 = 0\n  r1 += 4294967296", "line 2, column 9: 4294967296 does not fit (from -2147483648 to 2147483647)"),
        ("r1 += 0xffffffff", "line 1, column 7: 4294967295 does not fit (from -2147483648 to 2147483647)"),
        ("goto nowhere", "line 1, column 6: label `nowhere` is not defined"),
        ("a:\na: exit", "line 2, column 1: label `a` is defined twice"),
        ("1: exit", "line 1, column 1: this is slot 0, not 1"),
        ("exit exit", "line 1, column 6: expected end of the instruction"),
        ("r1 = -r2", "line 1, column 7: must be the same register as r1"),
        ("*(u32 *)(r1 +40000) = 1", "line 1, column 13: 40000 does not fit (from -32768 to 32767)"),
        ("frobnicate", "line 1, column 1: not an instruction"),
        ("r1 = 99999999999999999999", "line 1, column 6: not a number, or one beyond 64 bits"),
        ("r1 = \u{e9}", "line 1, column 6: a character that is not ASCII"),
    ];
    for (text, message) in cases {
        match assemble(text) {
            Ok(insns) => panic!("{text:?} gave {insns:?}"),
            Err(e) => assert_eq!(e.to_string(), message, "{text:?}"),
        }
    }
}
