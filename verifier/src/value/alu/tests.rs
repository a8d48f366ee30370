//! Transfers against the concrete semantics, and numbers seen on a live 6.18.44.

use super::*;
use crate::value::samples::{for_each_hull, hull};
use crate::value::scalar_tests::around;
use isa::{ByteOrder, Size};
use proptest::prelude::*;

const R: Rules = Rules::V6_18_44;
const OPS: [Op; 9] = [Op::Add, Op::Sub, Op::Mul, Op::And, Op::Or, Op::Xor, Op::Lsh, Op::Rsh, Op::Arsh];
const WIDTHS: [Width; 2] = [Width::W64, Width::W32];

fn concrete(op: Op, width: Width, a: u64, b: u64) -> u64 {
    let alu = isa::AluOp::ALL
        .into_iter()
        .find(|o| Op::of(*o) == Some(op))
        .expect("every tracked operator is an ALU operator");
    isa::semantics::alu(width, alu, a, b)
}

#[test]
fn transfers_hold_every_result_of_sample_hulls() {
    let mut hulls = Vec::new();
    for_each_hull(|values, s| hulls.push((values.to_vec(), *s)));
    for rules in [R, Rules::V6_18_15, Rules::V6_12_117] {
        for (xs, a) in &hulls {
            for (ys, b) in &hulls {
                for op in OPS {
                    for width in WIDTHS {
                        let mut d = *a;
                        binary(op, width, &mut d, b, &rules);
                        for (x, y) in xs.iter().flat_map(|x| ys.iter().map(move |y| (*x, *y))) {
                            let want = concrete(op, width, x, y);
                            assert!(d.has(want), "{op:?} {width:?} {xs:x?} {ys:x?}: {d:x?} lacks {want:#x}");
                        }
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn transfers_hold_the_concrete_result((x, a) in around(), (y, b) in around()) {
        let (mut a, mut b) = (a, b);
        a.sync(&R);
        b.sync(&R);
        for op in OPS {
            for width in WIDTHS {
                let mut d = a;
                binary(op, width, &mut d, &b, &R);
                prop_assert!(d.has(concrete(op, width, x, y)), "{:?} {:?} {:x?} {:x?} -> {:x?}", op, width, a, b, d);
            }
        }
    }

    #[test]
    fn shifts_by_known_amounts_hold_the_concrete_result((x, a) in around(), k in 0u64..64) {
        let mut a = a;
        a.sync(&R);
        for op in [Op::Lsh, Op::Rsh, Op::Arsh] {
            for width in WIDTHS {
                for rules in [R, Rules::V6_18_15, Rules::V6_12_117] {
                    let mut d = a;
                    binary(op, width, &mut d, &Scalar::known(k), &rules);
                    prop_assert!(d.has(concrete(op, width, x, k)), "{:?} {:?} {:x?} {k} -> {:x?}", op, width, a, d);
                }
            }
        }
    }

    #[test]
    fn unary_operations_hold_the_concrete_result((x, a) in around()) {
        let mut a = a;
        a.sync(&R);
        for width in WIDTHS {
            let mut d = a;
            neg(width, &mut d, &R);
            prop_assert!(d.has(isa::semantics::neg(width, x)), "neg {:?} {:x?} -> {:x?}", width, a, d);
        }
        for size in [Size::B16, Size::B32, Size::B64] {
            for order in [ByteOrder::Le, ByteOrder::Swap] {
                let mut d = a;
                end(size.bits(), order == ByteOrder::Swap, &mut d, &R);
                let want = isa::semantics::endian(order, size, x);
                prop_assert!(d.has(want), "{:?} {:?} {:x?} -> {:x?}", order, size, a, d);
            }
        }
    }

    #[test]
    fn displacement_holds_the_concrete_offset((x, p) in around(), (y, d) in around()) {
        let mut out = Scalar::UNKNOWN;
        displace_up(&p, &d, &mut out);
        prop_assert!(out.has(x.wrapping_add(y)));
        let mut out = Scalar::UNKNOWN;
        displace_down(&p, &d, &mut out);
        prop_assert!(out.has(x.wrapping_sub(y)));
    }
}

#[test]
fn untracked_results_forget_everything() {
    let mut d = Scalar::known(1);
    binary(Op::Lsh, Width::W32, &mut d, &Scalar::known(32), &R);
    assert_eq!(d, Scalar::UNKNOWN);
    // The 64-bit bound of the amount decides, even for a 32-bit shift.
    assert!(!is_tracked(Op::Lsh, Width::W32, &Scalar::known(1 << 32)));
    assert!(is_tracked(Op::Lsh, Width::W32, &Scalar::known(31)));
}

#[test]
fn unknown_and_zero_is_zero() {
    let mut d = Scalar::UNKNOWN;
    binary(Op::And, Width::W64, &mut d, &Scalar::ZERO, &R);
    assert_eq!(d, Scalar::ZERO);
}

#[test]
fn sign_idiom_forks_only_on_new_kernels() {
    let mut d = Scalar::UNKNOWN;
    binary(Op::Arsh, Width::W64, &mut d, &Scalar::known(63), &R);
    assert_eq!((d.smin, d.smax, d.s32_min, d.s32_max), (-1, 0, -1, 0));
    let five = Scalar::known(5);
    assert_eq!(fork(Op::And, &d, &five, &R), Some(Width::W64));
    assert_eq!(fork(Op::Xor, &d, &five, &R), None);
    assert_eq!(fork(Op::And, &d, &five, &Rules::V6_18_15), None);
    binary(Op::And, Width::W64, &mut d, &five, &Rules::V6_18_15);
    assert_eq!((d.s32_min, d.umax, d.smax, d.u32_max, d.var_off), (0, 5, 5, 5, Tnum { value: 0, mask: 5 }));
}

#[test]
fn negation_of_a_word() {
    let mut d = Scalar::UNKNOWN;
    d.coerce(4, &R);
    neg(Width::W64, &mut d, &R);
    assert_eq!((d.smin, d.smax), (0xffff_ffff_0000_0001u64 as i64, 0));
    assert_eq!((d.umin, d.umax, d.var_off), (0, u64::MAX, Tnum::UNKNOWN));
}

#[test]
fn swapped_bits_are_followed() {
    let mut start = Scalar::UNKNOWN;
    binary(Op::And, Width::W64, &mut start, &Scalar::known(0xff0), &R);
    binary(Op::Or, Width::W64, &mut start, &Scalar::known(1), &R);
    assert_eq!((start.umin, start.umax, start.var_off), (1, 4081, Tnum { value: 1, mask: 0xff0 }));
    let mut d = start;
    end(16, true, &mut d, &R);
    assert_eq!((d.smin, d.umin, d.s32_min, d.u32_min), (256, 256, 256, 256));
    assert_eq!((d.smax, d.umax, d.var_off), (0xf10f, 0xf10f, Tnum { value: 0x100, mask: 0xf00f }));
    let mut d = start;
    end(32, true, &mut d, &R);
    assert_eq!((d.umin, d.umax), (0x100_0000, 0xf10f_0000));
    assert_eq!((d.s32_min, d.s32_max), (0x8100_0000u32 as i32, 0x710f_0000));
    let mut d = start;
    end(32, true, &mut d, &Rules::V6_18_15);
    assert_eq!(d, Scalar::UNKNOWN);
}

#[test]
fn shift_by_32_keeps_signed_bounds() {
    let base = hull(&[(-5i64) as u64, 9]);
    let mut d = base;
    binary(Op::Lsh, Width::W64, &mut d, &Scalar::known(32), &R);
    assert_eq!((d.smin, d.smax), (-5 << 32, 9 << 32));
    let mut d = base;
    binary(Op::Lsh, Width::W64, &mut d, &Scalar::known(32), &Rules::V6_18_15);
    assert!(d.smin < -5 << 32);
    assert_eq!(d.smax, 9 << 32);
}

#[test]
fn quotients_and_remainders_hold_the_concrete_ones() {
    let rules = Rules { divide: true, ..Rules::V6_18_44 };
    let numbers = [0, 1, 2, 3, 7, 10, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, u64::MAX, u64::MAX - 9, 1 << 63];
    for (modulo, signed) in [(false, false), (false, true), (true, false), (true, true)] {
        let how = Division { modulo, signed };
        for width in [Width::W64, Width::W32] {
            for (lo, x) in numbers.iter().flat_map(|lo| numbers.map(|x| (*lo, x))) {
                let mut range = Scalar::UNKNOWN;
                (range.umin, range.umax) = (lo, lo.saturating_add(3));
                range.sync(&rules);
                divide(how, width, &mut range, &Scalar::known(x), &rules);
                for d in lo..=lo.saturating_add(3) {
                    let result = divided(how, width, d, x);
                    assert!(
                        Scalar::known(result).is_within(&range),
                        "{how:?} {width:?} {d} by {x}: {result} not in {range:?}"
                    );
                }
            }
        }
    }
}

fn divided(how: Division, width: Width, d: u64, x: u64) -> u64 {
    let narrow = width == Width::W32;
    let (d, x) = if narrow { (d as u32 as u64, x as u32 as u64) } else { (d, x) };
    let signed = |v: u64| if narrow { v as u32 as i32 as i64 } else { v as i64 };
    let result = match (how.modulo, how.signed) {
        (false, _) if x == 0 => 0,
        (true, _) if x == 0 => d,
        (false, false) => d / x,
        (true, false) => d % x,
        (false, true) => signed(d).wrapping_div(signed(x)) as u64,
        (true, true) => signed(d).wrapping_rem(signed(x)) as u64,
    };
    if narrow { result as u32 as u64 } else { result }
}
