//! Every instruction that works on registers, with every choice of registers, against `isa::semantics`; the registers that it
//! does not write must stay as they are.

mod common;

use common::{CTX_BYTES, context, image};
use isa::{Cast, Decoded, Insn, Kind, Op, Rhs, semantics};
use runtime::{Run, World};

const EDGES: [u64; 14] = [
    0,
    1,
    2,
    7,
    63,
    0x7f,
    0x80,
    0x8000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x8000_0000_0000_0000,
    0x1234_5678_9abc_def0,
    u64::MAX,
];

const IMMS: [i32; 12] = [0, 1, -1, 2, 7, 31, 32, 63, 64, 0x1000, i32::MAX, i32::MIN];

fn slot(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

/// Loads r0 to r9 from the context, executes `middle`, stores r0 to r9 back. r10 - 8 keeps the context.
fn wrap(middle: &[Insn]) -> Vec<Insn> {
    let mut p = vec![slot(0x7b, 10, 1, -8, 0)];
    p.extend((0..10).filter(|r| *r != 1).map(|r| slot(0x79, r, 1, i16::from(r) * 8, 0)));
    p.push(slot(0x79, 1, 1, 8, 0));
    p.extend(middle);
    p.extend((0..10).map(|r| slot(0x7b, 10, r, -16 - i16::from(r) * 8, 0)));
    p.push(slot(0x79, 1, 10, -8, 0));
    for r in 0..10 {
        p.push(slot(0x79, 2, 10, -16 - r * 8, 0));
        p.push(slot(0x7b, 1, 2, r * 8, 0));
    }
    p.push(slot(0xb7, 0, 0, 0, 0));
    p.push(slot(0x95, 0, 0, 0, 0));
    p
}

/// Registers after the instruction; of a jump, r0 is what it was or 77 where it fell through.
fn expected(d: &Decoded, regs: [u64; 10]) -> [u64; 10] {
    let (dst, src) = (regs[usize::from(d.dst)], regs[usize::from(d.src)]);
    let rhs = |r: Rhs| if r == Rhs::K { d.imm_u64() } else { src };
    let value = match d.kind() {
        Kind::Alu(w, op, r) if op == isa::AluOp::Mov => semantics::alu(w, op, 0, rhs(r)),
        Kind::Alu(w, op, r) => semantics::alu(w, op, dst, rhs(r)),
        Kind::Neg(w) => semantics::neg(w, dst),
        Kind::MovSx(w, size) => semantics::movsx(w, size, src),
        Kind::End(order, size) => semantics::endian(order, size, dst),
        Kind::AddrSpaceCast(Cast::Kernel) => semantics::cast(Cast::Kernel, 0, src),
        Kind::AddrSpaceCast(Cast::User) => semantics::cast(Cast::User, 0, src),
        Kind::Cond(w, op, r) => {
            let mut out = regs;
            if !semantics::jump_width(w, op, dst, rhs(r)) {
                out[0] = 77;
            }
            return out;
        }
        other => panic!("{other:?} is not about registers"),
    };
    let mut out = regs;
    out[usize::from(d.dst)] = value;
    out
}

fn check(d: Decoded, seed: &mut usize) {
    let mut middle = vec![d.encode().0];
    if let Kind::Cond(..) = d.kind() {
        middle.push(slot(0xb7, 0, 0, 0, 77));
    }
    let image = image(wrap(&middle));
    let mut world = World::default();
    let mut run = Run::new(&image, &mut world, context()).expect("memory");
    // All pairs of edges over the registers that count, in steps that are coprime to their number.
    for edge in EDGES {
        *seed += 5;
        let mut regs = [0; 10];
        for (i, r) in regs.iter_mut().enumerate() {
            *r = EDGES[(*seed + i * 3) % EDGES.len()];
        }
        regs[usize::from(d.dst)] = edge;
        let bytes: Vec<u8> = regs.iter().flat_map(|r| r.to_le_bytes()).collect();
        run.restart(&image, context());
        run.ctx.set_bytes(0, &bytes);
        assert_eq!(jit::run(&image, &mut run), Ok(0), "{d:?}");
        let after = run.ctx.bytes();
        let got: Vec<u64> =
            after.chunks_exact(8).take(10).map(|c| u64::from_le_bytes(c.try_into().expect("8 bytes"))).collect();
        assert_eq!(got, expected(&d, regs), "{} from {regs:x?}", isa::text(&middle, 0, &isa::Plain));
    }
    assert_eq!(run.ctx.size(), CTX_BYTES);
}

fn check_all(wanted: impl Fn(Kind) -> bool) {
    let mut seed = 0;
    for op in Op::valid().filter(|o| wanted(o.kind())) {
        let free = op.free_fields();
        for dst in 0..10 {
            let sources = if free.src { 0..10 } else { 0..1 };
            for src in sources {
                for imm in if free.imm { &IMMS[..] } else { &IMMS[..1] } {
                    let off = i16::from(matches!(op.kind(), Kind::Cond(..)));
                    let i = op.insn(dst, if free.src { src } else { 0 }, off, *imm);
                    let d = isa::decode(&[Insn { off: if free.off { off } else { i.off }, ..fix(op, i) }], 0);
                    check(d.expect("a valid form"), &mut seed);
                }
            }
        }
    }
}

/// `Op::insn` leaves operands as given; selectors and reserved fields must be as the form wants them.
fn fix(op: Op, i: Insn) -> Insn {
    let free = op.free_fields();
    let base = op.insn(0, 0, 0, 0);
    Insn { imm: if free.imm { i.imm } else { base.imm }, off: base.off, ..i }
}

#[test]
fn arithmetic() {
    check_all(|k| matches!(k, Kind::Alu(..) | Kind::Neg(_)));
}

#[test]
fn representation() {
    check_all(|k| matches!(k, Kind::MovSx(..) | Kind::End(..) | Kind::AddrSpaceCast(_)));
}

#[test]
fn conditions() {
    check_all(|k| matches!(k, Kind::Cond(..)));
}
