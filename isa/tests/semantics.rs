//! Semantics at the edges, as a kernel computes them.

use isa::semantics::*;
use isa::{AluOp, AtomicOp, ByteOrder, JumpOp, Size, Width};

const MIN64: u64 = i64::MIN as u64;
const MIN32: u32 = i32::MIN as u32;

#[test]
fn division_never_traps() {
    for a in [0, 1, 7, MIN64, u64::MAX] {
        assert_eq!(alu64(AluOp::Div, a, 0), 0);
        assert_eq!(alu64(AluOp::Sdiv, a, 0), 0);
        assert_eq!(alu64(AluOp::Mod, a, 0), a);
        assert_eq!(alu64(AluOp::Smod, a, 0), a);
    }
    assert_eq!(alu64(AluOp::Sdiv, MIN64, u64::MAX), MIN64);
    assert_eq!(alu64(AluOp::Smod, MIN64, u64::MAX), 0);
    assert_eq!(alu32(AluOp::Sdiv, MIN32, u32::MAX), MIN32);
    assert_eq!(alu32(AluOp::Smod, MIN32, u32::MAX), 0);
    assert_eq!(alu32(AluOp::Mod, 5, 0), 5);
    // Truncation towards zero.
    assert_eq!(alu64(AluOp::Sdiv, -7i64 as u64, 2), -3i64 as u64);
    assert_eq!(alu64(AluOp::Smod, -7i64 as u64, 2), -1i64 as u64);
}

#[test]
fn shifts_use_the_low_bits_of_the_count() {
    assert_eq!(alu64(AluOp::Lsh, 1, 64), 1);
    assert_eq!(alu64(AluOp::Rsh, MIN64, 127), 1);
    assert_eq!(alu64(AluOp::Arsh, MIN64, 63), u64::MAX);
    assert_eq!(alu32(AluOp::Lsh, 1, 33), 2);
    assert_eq!(alu32(AluOp::Arsh, MIN32, 31), u32::MAX);
    assert_eq!(alu64(AluOp::Lsh, 1, 1 << 32), 1);
}

#[test]
fn narrow_results_clear_the_upper_half() {
    assert_eq!(alu(Width::W32, AluOp::Add, u64::MAX, 1), 0);
    assert_eq!(neg(Width::W32, 1), 0xffff_ffff);
    assert_eq!(movsx(Width::W32, Size::B8, 0x80), 0xffff_ff80);
    assert_eq!(movsx(Width::W64, Size::B32, 0x8000_0000), 0xffff_ffff_8000_0000);
    assert_eq!(endian(ByteOrder::Le, Size::B16, u64::MAX), 0xffff);
    assert_eq!(endian(ByteOrder::Be, Size::B16, 0xaabb_1234), 0x3412);
    assert_eq!(endian(ByteOrder::Swap, Size::B64, 1), 1 << 56);
}

#[test]
fn jumps_know_sign_and_width() {
    assert!(jump(JumpOp::Gt, u64::MAX, 1) && !jump(JumpOp::Sgt, u64::MAX, 1));
    assert!(jump32(JumpOp::Slt, MIN32, 0) && !jump32(JumpOp::Lt, MIN32, 0));
    assert!(!jump32(JumpOp::Set, 1, 2) && jump32(JumpOp::Set, MIN32, MIN32));
    assert!(jump_width(Width::W32, JumpOp::Eq, 1 << 32, 0));
    // Exactly one of each pair of opposites holds.
    let pairs = [
        (JumpOp::Eq, JumpOp::Ne),
        (JumpOp::Gt, JumpOp::Le),
        (JumpOp::Ge, JumpOp::Lt),
        (JumpOp::Sgt, JumpOp::Sle),
        (JumpOp::Sge, JumpOp::Slt),
    ];
    let values = [0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, MIN64, u64::MAX];
    for (p, n) in pairs {
        for a in values {
            for b in values {
                assert_ne!(jump(p, a, b), jump(n, a, b), "{p:?} {a:#x} {b:#x}");
                assert_ne!(jump32(p, a as u32, b as u32), jump32(n, a as u32, b as u32), "{p:?} {a:#x} {b:#x}");
            }
        }
    }
}

#[test]
fn atomics() {
    let r = atomic(AtomicOp::FetchAdd, Size::B32, 0xffff_ffff, 1, 0);
    assert_eq!((r.memory, r.register), (Some(0), Some(0xffff_ffff)));
    let r = atomic(AtomicOp::Cmpxchg, Size::B32, 5, 7, 0x1_0000_0005);
    assert_eq!((r.memory, r.register), (Some(7), Some(5)));
    let r = atomic(AtomicOp::Cmpxchg, Size::B64, 5, 7, 6);
    assert_eq!((r.memory, r.register), (Some(5), Some(5)));
    let r = atomic(AtomicOp::LoadAcquire, Size::B8, 0x1ff, 0, 0);
    assert_eq!((r.memory, r.register), (None, Some(0xff)));
    let r = atomic(AtomicOp::Xor, Size::B64, 3, 1, 0);
    assert_eq!((r.memory, r.register), (Some(2), None));
}
