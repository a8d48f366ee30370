//! Decisions and refinement against the concrete comparisons.

use super::*;
use crate::value::samples::{for_each_hull, hull};
use crate::value::scalar_tests::around;
use proptest::prelude::*;

const R: Rules = Rules::V6_18_44;
const WIDTHS: [Width; 2] = [Width::W64, Width::W32];
const CMPS: [Cmp; 12] = [
    Cmp::Eq,
    Cmp::Ne,
    Cmp::Set,
    Cmp::NotSet,
    Cmp::Gt,
    Cmp::Ge,
    Cmp::Lt,
    Cmp::Le,
    Cmp::Sgt,
    Cmp::Sge,
    Cmp::Slt,
    Cmp::Sle,
];

fn concrete(cmp: Cmp, width: Width, a: u64, b: u64) -> bool {
    match isa::JumpOp::ALL.into_iter().find(|o| Cmp::of(*o) == cmp) {
        Some(op) => isa::semantics::jump_width(width, op, a, b),
        None => !concrete(cmp.negate(), width, a, b),
    }
}

fn refined(cmp: Cmp, width: Width, a: &Scalar, b: &Scalar) -> (Scalar, Scalar) {
    let (a, b) = (Cell::new(*a), Cell::new(*b));
    refine(cmp, width, &a, &b, &R);
    (a.get(), b.get())
}

/// The laws for one pair of concrete values inside one pair of scalars.
fn check(cmp: Cmp, width: Width, (x, a): (u64, &Scalar), (y, b): (u64, &Scalar)) {
    let holds = concrete(cmp, width, x, y);
    assert_eq!(concrete(cmp.negate(), width, x, y), !holds);
    assert_eq!(concrete(cmp.mirror(), width, y, x), holds);
    if let Some(sure) = decide(cmp, width, a, b, &R) {
        assert_eq!(sure, holds, "{cmp:?} {width:?} {x:#x} {y:#x} in {a:x?} {b:x?}");
    }
    let taken = if holds { cmp } else { cmp.negate() };
    let (ra, rb) = refined(taken, width, a, b);
    assert!(ra.has(x) && rb.has(y), "{taken:?} {width:?} {x:#x} {y:#x}: {a:x?} {b:x?} -> {ra:x?} {rb:x?}");
    if x == y {
        let own = Cell::new(*a);
        refine(if concrete(cmp, width, x, x) { cmp } else { cmp.negate() }, width, &own, &own, &R);
        assert!(own.get().has(x), "{cmp:?} {width:?} on itself: {a:x?} -> {:x?}", own.get());
    }
}

#[test]
fn sample_hulls_obey_the_laws() {
    let mut hulls = Vec::new();
    for_each_hull(|values, s| hulls.push((values.to_vec(), *s)));
    for (xs, a) in &hulls {
        for (ys, b) in hulls.iter().step_by(3) {
            for cmp in CMPS {
                for width in WIDTHS {
                    check(cmp, width, (xs[0], a), (ys[0], b));
                    check(cmp, width, (xs[1], a), (ys[0], b));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn arbitrary_scalars_obey_the_laws((x, a) in around(), (y, b) in around(), same in any::<bool>()) {
        let (mut a, mut b) = (a, b);
        a.sync(&R);
        b.sync(&R);
        let y = if same && b.has(x) { x } else { y };
        for cmp in CMPS {
            for width in WIDTHS {
                check(cmp, width, (x, &a), (y, &b));
                check(cmp, width, (x, &a), (y, &Scalar::known(y)));
            }
        }
    }
}

#[test]
fn less_than_a_constant_bounds_the_value() {
    let (a, _) = refined(Cmp::Lt, Width::W64, &Scalar::UNKNOWN, &Scalar::known(100));
    assert_eq!((a.smin, a.smax, a.umax, a.u32_max, a.var_off.mask), (0, 99, 99, 99, 0x7f));
    let (a, _) = refined(Cmp::Ge, Width::W64, &Scalar::UNKNOWN, &Scalar::known(100));
    assert_eq!((a.umin, a.smin), (100, i64::MIN));
}

#[test]
fn inequality_with_an_end_point_shrinks_the_range() {
    let (a, _) = refined(Cmp::Ne, Width::W64, &hull(&[0, 1, 2, 3, 7]), &Scalar::known(7));
    assert_eq!((a.umin, a.umax, a.smax), (0, 6, 6));
}

#[test]
fn same_number_on_both_sides_is_not_special() {
    let bit = hull(&[0, 1]);
    assert_eq!(decide(Cmp::Lt, Width::W64, &bit, &bit, &R), None);
    let cell = Cell::new(bit);
    refine(Cmp::Lt, Width::W64, &cell, &cell, &Rules::V6_18_15);
    // Impossible: the path goes on with bounds that contradict each other, to be found by the caller.
    assert_eq!(cell.get().violation(), Some(crate::value::Violation::EmptyRange));
}

#[test]
fn a_missing_bit_starts_from_nothing() {
    let (a, _) = refined(Cmp::NotSet, Width::W64, &hull(&[1, 3, 5, 9]), &Scalar::known(8));
    assert_eq!((a.umax, a.umin, a.var_off.value), (7, 1, 1));
}
