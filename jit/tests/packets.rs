//! Packet contexts: pointers in 4-byte fields, direct access with and without proofs, and the packet loads of the classic BPF.

use program::Program;
use program::facts::{Fact, Facts};
use runtime::input::Blob;
use runtime::{Fault, FaultKind, Image, Input, Maps, Options, Run, World, ctx};
use spec::ProgType;

/// Sums the first ten bytes of the packet.
const SUM: &str = "
    r2 = *(u32 *)(r1 +4)
    r1 = *(u32 *)(r1 +0)
    r0 = 0
    r3 = r1
    r3 += 10
    if r3 > r2 goto out
  l:
    r4 = *(u8 *)(r1 +0)
    r0 += r4
    r1 += 1
    if r1 != r3 goto l
  out:
    exit";

fn run(text: &str, prog_type: ProgType, packet: &[u8], facts: &[(usize, Fact)]) -> Result<u64, Fault> {
    let insns = isa::asm::assemble(text).expect("valid text");
    let mut known = Facts::new(insns.len());
    for (slot, fact) in facts {
        known.record(*slot, *fact);
    }
    let program = Program { insns, prog_type: prog_type as u32, ..Program::default() };
    let [a, b] = [interpreter::run, jit::run].map(|engine| {
        let options = Options { facts: Some(known.clone()), ..Options::default() };
        let image = Image::new(&program, &mut Maps::default(), &options).expect("an image");
        let input = Input { packet: Blob(packet.to_vec()), ..Input::default() };
        let mut world = World::default();
        let context = ctx::build(&image, &input).expect("a context");
        let mut run = Run::new(&image, &mut world, context).expect("memory");
        engine(&image, &mut run).map_err(|mut f| {
            if let FaultKind::Memory { addr, .. } = &mut *f.kind {
                *addr = 0;
            }
            f
        })
    });
    assert_eq!(a, b, "{text}");
    b
}

#[test]
fn direct_access_with_and_without_proofs() {
    let packet: Vec<u8> = (1..=60).collect();
    let proofs = [(0, Fact::Ctx), (1, Fact::Ctx), (6, Fact::Packet)];
    for facts in [&proofs[..], &proofs[..2], &proofs[2..], &[]] {
        assert_eq!(run(SUM, ProgType::Xdp, &packet, facts), Ok(55));
    }
}

#[test]
fn other_fields_of_the_context() {
    let text = "r0 = *(u32 *)(r1 +0)\n r2 = *(u16 *)(r1 +16)\n r0 += r2\n exit";
    let without = run(text, ProgType::SchedCls, &[0; 64], &[]);
    assert!(without.is_ok());
    assert_eq!(run(text, ProgType::SchedCls, &[0; 64], &[(0, Fact::Ctx), (1, Fact::Ctx)]), without);
}

#[test]
fn reading_behind_the_packet_is_a_fault() {
    let text = "r2 = *(u32 *)(r1 +4)\n r0 = *(u8 *)(r2 -1)\n r0 = *(u8 *)(r2 +0)\n exit";
    let fault = run(text, ProgType::Xdp, &[7; 64], &[]).expect_err("behind the end");
    assert_eq!(fault.pc, 2);
    assert!(matches!(*fault.kind, FaultKind::Memory { len: 1, .. }));
}

#[test]
fn classic_loads_convert_byte_order() {
    let packet: Vec<u8> = (0..64).collect();
    for (load, value) in [
        ("r0 = *(u8 *)skb[14]", 14),
        ("r0 = *(u16 *)skb[14]", 0x0e0f),
        ("r0 = *(u32 *)skb[r7 + 12]", 0x0e0f_1011),
        ("r0 = *(u8 *)skb[r7 + -2]", 0),
        ("r0 = *(u8 *)skb[64]", 0),
        ("r0 = *(u32 *)skb[61]", 0),
        ("r0 = *(u8 *)skb[-2097152]", 0),
    ] {
        let text = format!("r6 = r1\n r7 = 2\n {load}\n exit");
        assert_eq!(run(&text, ProgType::SchedCls, &packet, &[]), Ok(value), "{load}");
    }
}
