//! The machine code itself, read back with an independent decoder.

mod common;

use common::{asm, image, image_with};
use iced_x86::{Decoder, DecoderOptions, FlowControl};
use isa::{Insn, Op};
use program::facts::{Fact, Facts};
use runtime::Options;

/// Machine code of one instruction: the lines of its block in the dump.
fn lines(dump: &str, slot: usize) -> Vec<&str> {
    let head = format!("{slot}: ");
    dump.lines()
        .skip_while(|l| !l.starts_with(&head))
        .skip(1)
        .take_while(|l| l.starts_with("    "))
        .map(|l| l.trim_start().split_once("  ").map_or(l, |(_, text)| text))
        .collect()
}

fn dump_of(text: &str) -> String {
    jit::dump(&jit::compile(&asm(text)).expect("machine code"))
}

#[test]
fn registers_map_one_to_one() {
    let names = ["rax", "rdi", "rsi", "rdx", "rcx", "r8", "rbx", "r13", "r14", "r15"];
    for (d, dst) in names.iter().enumerate() {
        for (s, src) in names.iter().enumerate() {
            let dump = dump_of(&format!("r{d} += r{s}\n exit"));
            assert_eq!(lines(&dump, 0), [format!("add {dst},{src}")]);
        }
        let dump = dump_of(&format!("*(u64 *)(r10 -8) = r{d}\n exit"));
        assert_eq!(lines(&dump, 0), [format!("mov [rbp-8],{dst}")]);
    }
}

#[test]
fn proven_accesses_are_bare_and_others_are_not() {
    let insns = isa::asm::assemble("r0 = *(u32 *)(r1 +4)\n exit").expect("valid text");
    let mut facts = Facts::new(insns.len());
    facts.record(0, Fact::Packet);
    let proven = image_with(insns.clone(), Options { facts: Some(facts), ..Options::default() });
    let dump = jit::dump(&jit::compile(&proven).expect("machine code"));
    assert_eq!(lines(&dump, 0), ["mov eax,[rdi+4]"]);
    let checked = jit::dump(&jit::compile(&image(insns)).expect("machine code"));
    let code = lines(&checked, 0);
    assert_eq!(code.len(), 6, "{checked}");
    assert!(code[4].starts_with("jae") && code[5] == "mov eax,[r10]", "{checked}");
    for fact in [Fact::Ctx, Fact::Btf { probe: true }, Fact::Arena, Fact::Unknown] {
        let mut facts = Facts::new(2);
        facts.record(0, fact);
        let insns = isa::asm::assemble("r0 = *(u32 *)(r1 +4)\n exit").expect("valid text");
        let image = image_with(insns, Options { facts: Some(facts), ..Options::default() });
        let dump = jit::dump(&jit::compile(&image).expect("machine code"));
        assert_eq!(lines(&dump, 0).len(), 6, "{fact:?} is not plain memory");
    }
}

#[test]
fn the_view_shows_both_sides() {
    let dump = dump_of("r0 = 0\n r0 += -1\n if r0 s> 0x5 goto pc+1\n r0 = 0x123456789abcdef\n exit");
    let (head, _) = dump.split_once("out of line:").expect("both parts");
    // Addresses depend on the stubs in front; what counts is which code belongs to which instruction.
    let shown: Vec<String> = head
        .lines()
        .map(|l| match l.strip_prefix("    ") {
            Some(code) => format!("    {}", code.trim_start().split_once("  ").map_or(code, |(_, t)| t)),
            None => l.to_string(),
        })
        .map(|l| if l.contains("jg ") { "    jg".into() } else { l })
        .collect();
    // What follows `ret` catches control that runs off the end.
    assert_eq!(
        shown[..11],
        [
            "0: (b7) r0 = 0",
            "    mov eax,0",
            "1: (07) r0 += -1",
            "    add rax,0xffffffffffffffff",
            "2: (65) if r0 s> 0x5 goto pc+1",
            "    cmp rax,5",
            "    jg",
            "3: (18) r0 = 0x123456789abcdef",
            "    mov rax,0x123456789abcdef",
            "5: (95) exit",
            "    ret",
        ]
        .map(String::from)
    );
}

#[test]
fn every_form_decodes_and_jumps_to_instructions() {
    for op in Op::valid() {
        let d = isa::decode(&[fixed(op), Insn::default()], 0).expect("a valid form");
        let (first, second) = d.encode();
        let mut insns: Vec<Insn> = [Some(first), second].into_iter().flatten().collect();
        insns.push(Insn { code: 0x95, ..Insn::default() });
        let Some(compiled) = compile(insns) else { continue };
        let code = compiled.machine_code();
        let mut starts = std::collections::HashSet::new();
        let mut targets = Vec::new();
        for insn in &mut Decoder::new(64, code, DecoderOptions::NONE) {
            assert!(!insn.is_invalid(), "{}", op.name());
            starts.insert(insn.ip());
            let direct = matches!(
                insn.flow_control(),
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch | FlowControl::Call
            );
            if direct {
                targets.push(insn.near_branch_target());
            }
        }
        assert!(targets.iter().all(|t| starts.contains(t)), "{}", op.name());
    }
}

/// The form with operands that are fine anywhere: r6, r7, no distance.
fn fixed(op: Op) -> Insn {
    let free = op.free_fields();
    let base = op.insn(0, 0, 0, 0);
    Insn { dst: if free.dst { 6 } else { 0 }, src: if free.src { 7 } else { base.src }, ..base }
}

fn compile(insns: Vec<Insn>) -> Option<jit::Compiled> {
    let program = program::Program { insns, prog_type: 31, ..program::Program::default() };
    let image = runtime::Image::new(&program, &mut runtime::Maps::default(), &Options::default()).ok()?;
    jit::compile(&image).ok()
}
