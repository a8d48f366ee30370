//! Soundness against the concrete semantics, and numbers seen on a live 6.1.192.

use super::*;
use crate::value::alu::binary;
use crate::value::samples::{for_each_hull, hull};

const R: Rules = Rules::V6_1;

/// Unsigned 64-bit and signed 32-bit range.
fn shown(s: &Scalar) -> (u64, u64, i32, i32) {
    (s.umin, s.umax, s.s32_min, s.s32_max)
}

#[test]
fn comparisons_keep_what_can_be() {
    let concrete = |op, width, x, y| isa::semantics::jump_width(width, op, x, y);
    let mut hulls = Vec::new();
    for_each_hull(|values, s| hulls.push((values.to_vec(), *s)));
    for (xs, a) in &hulls {
        for y in [0u64, 1, 0x80, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 63, u64::MAX] {
            let b = Scalar::known(y);
            for (op, width) in isa::JumpOp::ALL.into_iter().flat_map(|o| [(o, Width::W64), (o, Width::W32)]) {
                for x in xs {
                    let holds = concrete(op, width, *x, y);
                    let cmp = if holds { Cmp::of(op) } else { Cmp::of(op).negate() };
                    assert!(decide(Cmp::of(op), width, a, &b).is_none_or(|sure| sure == holds));
                    let (ra, rb) = (Cell::new(*a), Cell::new(b));
                    refine(cmp, width, &ra, &rb, &R);
                    assert!(ra.get().has(*x) && rb.get().has(y), "{cmp:?} {width:?} {x:#x} {y:#x}: {:x?}", ra.get());
                }
            }
        }
    }
}

#[test]
fn a_known_bound_reaches_the_low_half() {
    // r1 is a byte plus 0x7fffffffffffff10; the loop of crossing_64_bit_signed_boundary_1 asks r0 < r1.
    let mut r1 = hull(&[0, 255]);
    r1.sync(&R);
    binary(Op::Add, Width::W64, &mut r1, &Scalar::known(0x7fff_ffff_ffff_ff10), &R);
    assert_eq!(shown(&r1), (0x7fff_ffff_ffff_ff10, 0x8000_0000_0000_000f, -240, 15));
    let r0 = Cell::new(Scalar::known(0x8000_0000_0000_0001));
    let taken = Cell::new(r1);
    refine(Cmp::Lt, Width::W64, &r0, &taken, &R);
    assert_eq!(shown(&taken.get()), (0x8000_0000_0000_0002, 0x8000_0000_0000_000f, 0, 15));
    assert_eq!(taken.get().var_off, Tnum { value: 1 << 63, mask: 15 });
    let stay = Cell::new(r1);
    refine(Cmp::Ge, Width::W64, &r0, &stay, &R);
    // What the kernel shows of the side that the comparison leaves: no 32-bit bounds.
    assert_eq!(shown(&stay.get()), (0x7fff_ffff_ffff_ff10, 0x8000_0000_0000_0001, i32::MIN, i32::MAX));
}

#[test]
fn unknown_operands_leave_nothing_but_sums_and_masks() {
    let byte = hull(&[0, 255]);
    for op in [Op::Mul, Op::Or, Op::Xor, Op::Lsh] {
        assert_eq!(result(Some(op), Width::W64, &byte), Result::Unknown);
    }
    assert_eq!(result(Some(Op::And), Width::W64, &byte), Result::Tracked(Op::And));
    // `w0 /= 5` ends in 32 bits, `w0 /= w1` in nothing.
    assert_eq!(untracked(None, Width::W32, &Scalar::known(5), &R).umax, u64::from(u32::MAX));
    assert_eq!(untracked(None, Width::W32, &byte, &R), Scalar::UNKNOWN);
}

#[test]
fn bounds_may_leave_the_low_half_alone() {
    // A byte plus 2^32, above 2^32 + 0xf9, as a live 5.10.262 has it.
    let known = |rules: &Rules| {
        let mut r1 = hull(&[1 << 32, (1 << 32) + 255]);
        r1.sync(rules);
        let (r1, bound) = (Cell::new(r1), Cell::new(Scalar::known(0x1_0000_00f9)));
        refine(Cmp::Gt, Width::W64, &r1, &bound, rules);
        (r1.get().umin, r1.get().var_off)
    };
    assert_eq!(known(&Rules { low_bits: false, ..R }), (0x1_0000_00fa, Tnum { value: 1 << 32, mask: 0xff }));
    assert_eq!(known(&R), (0x1_0000_00fa, Tnum { value: 0x1_0000_00f8, mask: 7 }));
}
