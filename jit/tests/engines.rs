//! The JIT against the interpreter on the same run: same result, same fault at the same slot, same memory.

mod common;

use std::sync::Arc;

use common::{CTX_BYTES, asm, context, image, image_with};
use isa::{Decoded, Insn, Kind, Op};
use program::facts::{Fact, Facts};
use proptest::prelude::*;
use runtime::{Fault, FaultKind, Image, Options, Run, World};

/// Result and context of both engines. The run is the same, so that addresses are.
fn both(image: &Arc<Image>, bytes: &[u8]) -> [(Result<u64, Fault>, Vec<u8>); 2] {
    let mut world = World::default();
    let mut run = Run::new(image, &mut world, context()).expect("memory");
    [interpreter::run, jit::run].map(|engine| {
        run.set_budget(1_000_000);
        // Everything starts over, but the context keeps its address.
        let same = std::mem::replace(&mut run.ctx, context());
        run.restart(image, same);
        run.ctx.set_bytes(0, &[0; CTX_BYTES as usize]);
        run.ctx.set_bytes(0, bytes);
        (engine(image, &mut run), run.ctx.bytes())
    })
}

fn agree(image: &Arc<Image>, bytes: &[u8]) -> Result<u64, Fault> {
    let [a, b] = both(image, bytes);
    assert_eq!(a, b, "{}", jit::dump(&jit::compile(image).expect("machine code")));
    b.0
}

fn run(text: &str) -> Result<u64, Fault> {
    agree(&asm(text), &[0xa5; CTX_BYTES as usize])
}

fn fault(text: &str) -> (u32, FaultKind) {
    let f = run(text).expect_err("a fault");
    (f.pc, *f.kind)
}

#[test]
fn loads_and_stores_of_all_sizes() {
    for (size, value) in [("u8", 0xf4u64), ("u16", 0xf3f4), ("u32", 0xf1f2_f3f4), ("u64", 0x0102_0304_f1f2_f3f4)] {
        for base in ["r10 -8", "r1 +16", "r7 +0", "r5 +3"] {
            let set = "r2 = 0x01020304f1f2f3f4\n r7 = r1\n r5 = r10\n r5 += -40\n";
            let text = format!("{set} *({size} *)({base}) = r2\n r0 = *({size} *)({base})\n exit");
            assert_eq!(run(&text), Ok(value), "{text}");
        }
    }
    for (size, value) in [("s8", -0xci64), ("s16", -0xc0c), ("s32", -0xe0d_0c0c)] {
        let text = format!("r2 = 0x01020304f1f2f3f4\n *(u64 *)(r10 -8) = r2\n r0 = *({size} *)(r10 -8)\n exit");
        assert_eq!(run(&text), Ok(value as u64), "{text}");
        let text = format!("r2 = 0x01020304f1f2f3f4\n *(u64 *)(r1 +8) = r2\n r1 = *({size} *)(r1 +8)\n r0 = r1\n exit");
        assert_eq!(run(&text), Ok(value as u64), "{text}");
    }
    assert_eq!(
        run("*(u64 *)(r1 +8) = -2\n *(u8 *)(r1 +9) = 0x7\n r0 = *(u64 *)(r1 +8)\n exit"),
        Ok(0xffff_ffff_ffff_07fe)
    );
}

#[test]
fn accesses_outside_of_memory_are_faults() {
    for (text, pc) in [
        ("r2 = 0\n r0 = *(u64 *)(r2 +0)\n exit", 1),
        ("r0 = *(u8 *)(r10 +0)\n exit", 0),
        ("r0 = *(u64 *)(r10 -4)\n exit", 0),
        ("r0 = *(u64 *)(r10 -520)\n exit", 0),
        ("r0 = *(u64 *)(r1 +249)\n exit", 0),
        ("r2 = -1\n *(u8 *)(r2 +0) = 1\n exit", 1),
        ("r2 = -8\n *(u64 *)(r2 +0) = 1\n exit", 1),
        ("r2 = r10\n r2 += -16\n r0 = *(u64 *)(r2 +0)\n r0 = *(u64 *)(r2 +8)\n r0 = *(u64 *)(r2 +9)\n exit", 4),
        ("r2 = r10\n r2 += -512\n r0 = *(u64 *)(r2 +0)\n r0 = *(u64 *)(r2 -1)\n exit", 3),
        ("r2 = 1\n lock *(u64 *)(r2 +0) += r1\n exit", 1),
        ("r2 = 1\n r0 = atomic64_cmpxchg((u64 *)(r2 +0), r0, r1)\n exit", 1),
    ] {
        let (at, kind) = fault(text);
        assert_eq!(at, pc, "{text}");
        assert!(matches!(kind, FaultKind::Memory { .. }), "{text}: {kind:?}");
    }
}

#[test]
fn atomics_of_both_sizes_and_with_every_register() {
    let mut forms = Vec::new();
    for (size, w) in [("u64", "64"), ("u32", "")] {
        for op in ["+=", "|=", "&=", "^="] {
            forms.push(format!("lock *({size} *)(D OFF) {op} S"));
        }
        for op in ["add", "or", "and", "xor"] {
            forms.push(format!("S = atomic{w}_fetch_{op}(({size} *)(D OFF), S)"));
        }
        forms.push(format!("S = atomic{w}_xchg(({size} *)(D OFF), S)"));
        forms.push(format!("r0 = atomic{w}_cmpxchg(({size} *)(D OFF), r0, S)"));
    }
    for size in ["u8", "u16", "u32", "u64"] {
        forms.push(format!("S = load_acquire(({size} *)(D OFF))"));
        forms.push(format!("store_release(({size} *)(D OFF), S)"));
    }
    for form in forms {
        for d in [0, 1, 4, 6, 7, 10] {
            for s in 0..10 {
                // Once where r0 equals what cmpxchg finds, once where it does not; once through a checked, once a proven access.
                for r0 in ["0xf0f0f0f087654321", "0x5"] {
                    let one = form.replace('D', &format!("r{d}")).replace('S', &format!("r{s}")).replace("OFF", "-16");
                    let place = if d == 10 { String::new() } else { format!("r{d} = r10\n") };
                    let text = format!(
                        "r9 = 0xf0f0f0f087654321\n *(u64 *)(r10 -16) = r9\n *(u64 *)(r10 -8) = r1
                        r0 = {r0}\n r1 = 0x1234\n r2 = 0x123456789abcdef0\n r3 = 3\n r4 = 4\n r5 = 5\n r6 = -6\n r7 = 7\n r8 = 8
                        {place} {one}
                        *(u64 *)(r10 -24) = r{s}
                        *(u64 *)(r10 -32) = r4
                        r1 = *(u64 *)(r10 -8)
                        *(u64 *)(r1 +0) = r0
                        r2 = *(u64 *)(r10 -16)\n *(u64 *)(r1 +8) = r2
                        r2 = *(u64 *)(r10 -24)\n *(u64 *)(r1 +16) = r2
                        r2 = *(u64 *)(r10 -32)\n *(u64 *)(r1 +24) = r2
                        exit"
                    );
                    assert!(run(&text).is_ok(), "{text}");
                    let insns = isa::asm::assemble(&text).expect("valid text");
                    let facts = Some(all_stack(&insns));
                    assert!(
                        agree(&image_with(insns, Options { facts, ..Options::default() }), &[1; 256]).is_ok(),
                        "{text}"
                    );
                }
            }
        }
    }
}

/// The claim that all atomics touch the stack.
fn all_stack(insns: &[Insn]) -> Facts {
    let mut facts = Facts::new(insns.len());
    for slot in 0..insns.len() {
        if let Ok(d) = isa::decode(insns, slot)
            && matches!(d.kind(), Kind::Atomic(..))
        {
            facts.record(slot, Fact::Stack);
        }
    }
    facts
}

#[test]
fn subprograms_keep_the_callers_registers_and_frame() {
    let text = "
        r6 = 6\n r7 = 7\n r8 = 8\n r9 = 9
        *(u64 *)(r10 -8) = 100
        r1 = 1\n r2 = 2\n r3 = 3\n r4 = 4\n r5 = 5
        call add
        r0 += r6\n r0 += r7\n r0 += r8\n r0 += r9
        r1 = *(u64 *)(r10 -8)
        r0 += r1
        exit
      add:
        *(u64 *)(r10 -8) = 7777
        r6 = -1\n r7 = -1\n r8 = -1\n r9 = -1
        r0 = r1\n r0 += r2\n r0 += r3\n r0 += r4\n r0 += r5
        exit";
    assert_eq!(run(text), Ok(15 + 30 + 100));
}

#[test]
fn a_frame_is_gone_after_its_function() {
    let text = "
        r6 = r10\n r6 += -8\n *(u64 *)(r6 +0) = 1
        call leak
        r7 = *(u64 *)(r6 +0)
        r0 = *(u64 *)(r0 +0)
        exit
      leak:
        r0 = r10\n r0 += -8\n *(u64 *)(r0 +0) = 5\n r1 = *(u64 *)(r0 +0)
        exit";
    let (pc, kind) = fault(text);
    assert_eq!(pc, 5);
    assert!(matches!(kind, FaultKind::Memory { .. }));
}

#[test]
fn recursion_ends_at_eight_frames() {
    let (pc, kind) = fault("call f\n exit\n f: call f\n exit");
    assert_eq!((pc, kind), (2, FaultKind::CallDepth));
}

#[test]
fn loops_end_with_the_budget() {
    for text in
        ["l: goto l", "l: r0 += 1\n if r0 != 0 goto l\n goto l", "l: gotol l", "r0 = 0\n l: may_goto l\n goto l"]
    {
        let image = asm(text);
        let (result, _) = common::jit(&image, &[]);
        let fault = result.expect_err("no end");
        assert_eq!(*fault.kind, FaultKind::Budget(100_000), "{text}");
        assert!(matches!(both(&image, &[])[0].0.as_ref().map_err(|f| &*f.kind), Err(FaultKind::Budget(_))), "{text}");
    }
}

#[test]
fn calls_of_calls_end_with_the_budget() {
    let ten = |callee: &str| format!("call {callee}\n").repeat(10) + "exit\n";
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let mut text = ten("a");
    for pair in names.windows(2) {
        text += &format!("{}: {}", pair[0], ten(pair[1]));
    }
    text += "g: exit";
    let fault = common::jit(&asm(&text), &[]).0.expect_err("a budget of 100,000 for 11,111,111 calls");
    assert_eq!(*fault.kind, FaultKind::Budget(100_000));
}

#[test]
fn may_goto_stops_by_itself() {
    let mut world = World::default();
    let image = asm("r0 = 0\n l: may_goto out\n r0 += 1\n goto l\n out: exit");
    let mut run = Run::new(&image, &mut world, context()).expect("memory");
    assert_eq!(jit::run(&image, &mut run), Ok(8 << 20));
}

#[test]
fn slots_that_cannot_run_say_why() {
    let raw = |code, off| Insn { code, dst: 0, src: 0, off, imm: 0 };
    for insns in [
        vec![raw(0xff, 0)],
        vec![raw(0xb7, 0)],
        vec![raw(0x05, 5), raw(0x95, 0)],
        vec![raw(0x05, -7), raw(0x95, 0)],
        vec![raw(0x18, 0)],
        vec![raw(0x05, 1), raw(0x18, 0), Insn::default(), raw(0x95, 0)],
        vec![Insn { src: 1, imm: 9, ..raw(0x85, 0) }, raw(0x95, 0)],
        vec![Insn { imm: 4000, ..raw(0x85, 0) }, raw(0x95, 0)],
        vec![raw(0x06, 0)],
    ] {
        let [(a, _), (b, _)] = both(&image(insns.clone()), &[]);
        assert_eq!(a.is_ok(), b.is_ok(), "{insns:?}");
        if let (Err(a), Err(b)) = (a, b) {
            assert_eq!(std::mem::discriminant(&*a.kind), std::mem::discriminant(&*b.kind), "{insns:?}: {a} | {b}");
        }
    }
}

#[test]
fn legacy_packet_loads_outside_end_with_zero() {
    assert_eq!(run("r6 = r1\n r0 = *(u16 *)skb[0]\n r0 = 7\n exit"), Ok(0));
    assert_eq!(run("r6 = r1\n call f\n r0 += 3\n exit\n f: r0 = *(u8 *)skb[r7 + 4]\n r0 = 7\n exit"), Ok(3));
}

#[test]
fn writing_the_frame_pointer_gives_no_free_access() {
    let [(a, _), (b, _)] = both(
        &image(vec![
            Insn { code: 0xb7, dst: 10, src: 0, off: 0, imm: 64 },
            Insn { code: 0x79, dst: 0, src: 10, off: -8, imm: 0 },
            Insn { code: 0x95, ..Insn::default() },
        ]),
        &[],
    );
    assert_eq!(a, b);
    assert!(b.is_err());
}

/// Straight-line programs with forward jumps over registers and the stack; faults are welcome.
fn program() -> impl Strategy<Value = Vec<Insn>> {
    let ops: Vec<Op> = Op::valid()
        .filter(|o| !matches!(o.kind(), Kind::CallHelper | Kind::CallKfunc | Kind::CallLocal | Kind::LdImm64(_)))
        .filter(|o| !matches!(o.kind(), Kind::Gotol | Kind::Exit | Kind::LdAbs(_) | Kind::LdInd(_)))
        .collect();
    let one = (proptest::sample::select(ops), proptest::collection::vec(any::<u32>(), 8), 0u8..4, -16i16..0);
    proptest::collection::vec(one, 1..60).prop_map(|parts| {
        let count = parts.len();
        let mut insns: Vec<Insn> = Vec::new();
        for (i, (op, words, kind, place)) in parts.into_iter().enumerate() {
            let mut words = words.into_iter().cycle();
            let mut d: Decoded = isa::generate::generate(op, &mut || words.next().unwrap_or(0));
            match d.kind() {
                Kind::Ja | Kind::Cond(..) | Kind::MayGoto => d.off = d.off.rem_euclid((count - i) as i16),
                // Mostly aligned places in the frame.
                Kind::Ldx(_) | Kind::Ldsx(_) | Kind::Atomic(_, isa::AtomicOp::LoadAcquire) if kind > 0 => {
                    (d.src, d.off) = (10, place * 8);
                }
                Kind::St(_) | Kind::Stx(_) | Kind::Atomic(..) if kind > 0 => (d.dst, d.off) = (10, place * 8),
                _ => {}
            }
            // Addresses of the stack in other registers now and then; r10 itself stays.
            if d.defines() == Some(10) {
                d = isa::decode(&[Op::Mov64X.insn(d.dst % 10, 10, 0, 0)], 0).unwrap_or(d);
            }
            insns.push(d.encode().0);
        }
        insns.push(Insn { code: 0x95, ..Insn::default() });
        insns
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_programs_do_the_same(insns in program(), bytes in proptest::collection::vec(any::<u8>(), 64)) {
        let image = image(insns);
        let [a, b] = both(&image, &bytes);
        prop_assert_eq!(a, b, "{}", isa::disasm_program(&image.insns, &isa::Plain));
    }

    #[test]
    fn any_bytes_compile_and_stop(bytes in proptest::collection::vec(any::<[u8; 8]>(), 1..40)) {
        let image = image_or_skip(bytes.into_iter().map(Insn::from_bytes).collect());
        if let Some(image) = image {
            let _ = common::jit(&image, &[]);
        }
    }
}

fn image_or_skip(insns: Vec<Insn>) -> Option<Arc<Image>> {
    let program = program::Program { insns, prog_type: 31, ..program::Program::default() };
    Image::new(&program, &mut runtime::Maps::default(), &Options::default()).ok()
}

/// No verifier lets such programs through; they are run all the same, and must not reach our own memory.
#[test]
fn a_frame_pointer_that_is_written_is_no_place_for_counters() {
    assert_eq!(run("r10 = 4096\n may_goto pc+0\n r0 = 0\n exit"), Ok(0));
    assert_eq!(run("r10 = r1\n call pc+2\n may_goto pc+0\n exit\n may_goto pc+0\n r10 += 8\n r0 = 3\n exit"), Ok(3));
}
