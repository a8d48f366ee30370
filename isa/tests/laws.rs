//! Laws that hold for every instruction of the table: encode and decode are inverse, text assembles to what it came from, and
//! no byte of a program makes any of them panic.

use isa::generate::generate;
use isa::{DecodeError, Decoded, Insn, Kind, Op, Plain, Version};
use proptest::prelude::*;

fn any_insn() -> impl Strategy<Value = Decoded> {
    let ops: Vec<Op> = Op::valid().collect();
    (proptest::sample::select(ops), proptest::collection::vec(any::<u32>(), 16)).prop_map(|(op, words)| {
        let mut words = words.into_iter().cycle();
        generate(op, &mut || words.next().unwrap_or(0))
    })
}

fn slots_of(insns: &[Decoded]) -> Vec<Insn> {
    insns
        .iter()
        .flat_map(|d| {
            let (a, b) = d.encode();
            [Some(a), b]
        })
        .flatten()
        .collect()
}

fn any_slot() -> impl Strategy<Value = Insn> {
    any::<[u8; 8]>().prop_map(Insn::from_bytes)
}

proptest! {
    #[test]
    fn decode_inverts_encode(d in any_insn()) {
        prop_assert_eq!(isa::decode(&slots_of(&[d]), 0), Ok(d));
    }

    #[test]
    fn encode_inverts_decode(slots in proptest::collection::vec(any_slot(), 1..3)) {
        if let Ok(d) = isa::decode(&slots, 0) {
            let mut expected = slots.clone();
            if d.op == Op::Exit { expected[0].off = 0; }
            prop_assert_eq!(&slots_of(&[d])[..], &expected[..d.slots()]);
        }
    }

    #[test]
    fn assembling_the_text_gives_the_program_back(insns in proptest::collection::vec(any_insn(), 1..40)) {
        let slots = slots_of(&insns);
        let listing = isa::disasm_program(&slots, &Plain);
        let back = isa::asm::assemble(&listing);
        prop_assert_eq!(back.as_ref(), Ok(&slots), "{}", listing);
        // The opcode prefix is a help for the eye only.
        let mut bare = String::new();
        let mut idx = 0;
        while idx < slots.len() {
            bare += &isa::text(&slots, idx, &Plain);
            bare.push('\n');
            idx += isa::slots(&slots, idx);
        }
        let back = isa::asm::assemble(&bare);
        prop_assert_eq!(back.as_ref(), Ok(&slots), "{}", bare);
    }

    #[test]
    fn every_slot_has_a_text(slots in proptest::collection::vec(any_slot(), 1..4)) {
        for i in 0..slots.len() {
            prop_assert!(!isa::disasm(&slots, i, &Plain).is_empty());
        }
    }

    #[test]
    fn assembler_takes_any_text(text in "[ -~\n\u{e9}]{0,80}") {
        let _ = isa::asm::assemble(&text);
    }

    #[test]
    fn bytes_and_slots_are_inverse(bytes in any::<[u8; 8]>()) {
        prop_assert_eq!(Insn::from_bytes(bytes).to_bytes(), bytes);
    }
}

#[test]
fn every_form_is_found_by_its_kind_and_decodes() {
    let mut kinds = std::collections::HashSet::new();
    for op in Op::valid() {
        assert!(kinds.insert(op.kind()), "{} shares its kind with another row", op.name());
        assert_ne!(op.kind(), Kind::Malformed, "{}", op.name());
        if let Kind::Alu(w, o, rhs) = op.kind() {
            assert_eq!(Op::alu(w, o, rhs), op);
        }
        if let Kind::Cond(w, o, rhs) = op.kind() {
            assert_eq!(Op::cond(w, o, rhs), op);
        }
    }
    use isa::{AluOp, JumpOp, Rhs, Width};
    for w in [Width::W32, Width::W64] {
        for rhs in [Rhs::K, Rhs::X] {
            assert!(AluOp::ALL.iter().all(|o| Op::alu(w, *o, rhs).kind() == Kind::Alu(w, *o, rhs)));
            assert!(JumpOp::ALL.iter().all(|o| Op::cond(w, *o, rhs).kind() == Kind::Cond(w, *o, rhs)));
        }
    }
}

#[test]
fn forms_that_no_kernel_takes_do_not_decode() {
    for op in Op::all().filter(|o| o.since() == Version::Never) {
        assert_eq!(
            isa::decode(&[op.insn(0, 9, 7, 77), Insn::default()], 0),
            Err(DecodeError::Malformed(op)),
            "{}",
            op.name()
        );
    }
}
