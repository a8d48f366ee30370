//! Synchronisation and coercions: soundness over hulls of interesting values, and numbers seen on a live 6.18.44.

use super::*;
use crate::value::samples::{VALUES, for_each_hull, hull};
use isa::{Size, Width};
use proptest::prelude::*;

const R: Rules = Rules::V6_18_44;

/// A scalar that holds `x`: some bits forgotten, each bound moved outwards.
pub(in crate::value) fn holding(x: u64, mask: u64, slack: [u64; 8]) -> Scalar {
    let (s, w, sw) = (x as i64, x as u32, x as i32);
    let (lo, hi) = (|n: u64| n >> 33, |n: u64| (n & u32::MAX as u64) as u32);
    Scalar {
        var_off: Tnum { value: x & !mask, mask },
        smin: s.saturating_sub_unsigned(slack[0]),
        smax: s.saturating_add_unsigned(slack[1]),
        umin: x.saturating_sub(slack[2]),
        umax: x.saturating_add(slack[3]),
        s32_min: sw.saturating_sub_unsigned(lo(slack[4]) as u32),
        s32_max: sw.saturating_add_unsigned(hi(slack[5])),
        u32_min: w.saturating_sub(lo(slack[6]) as u32),
        u32_max: w.saturating_add(hi(slack[7])),
    }
}

fn magnitude() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u32..64).prop_map(|(x, s)| x >> s)
}

prop_compose! {
    /// A concrete value and a scalar around it, not synchronised.
    pub(in crate::value) fn around()(
        x in prop_oneof![any::<u64>(), magnitude(), magnitude().prop_map(u64::wrapping_neg), proptest::sample::select(VALUES)],
        mask in prop_oneof![Just(u64::MAX), magnitude(), any::<u64>(), Just(0)],
        slack in proptest::array::uniform8(prop_oneof![Just(u64::MAX), magnitude(), Just(0)]),
    ) -> (u64, Scalar) {
        (x, holding(x, mask, slack))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn sync_loses_no_value_and_no_bit((x, s) in around(), old_rules in any::<bool>()) {
        let rules = if old_rules { Rules::V6_18_15 } else { R };
        let mut t = s;
        t.sync(&rules);
        prop_assert!(t.has(x), "{s:?} -> {t:?} lost {x:#x}");
        // Bounds may widen: a value known to fit 32 bits takes over its 32-bit bounds.
        prop_assert!(t.var_off.is_in(s.var_off));
        prop_assert_eq!(t.violation().filter(|v| *v == Violation::EmptyRange), None);
    }

    #[test]
    fn coercions_hold_the_converted_value((x, s) in around(), bytes in proptest::sample::select(vec![1u32, 2, 4])) {
        let size = match bytes { 1 => Size::B8, 2 => Size::B16, _ => Size::B32 };
        let mut t = s;
        t.sync(&R);
        let base = t;
        t.coerce(bytes, &R);
        prop_assert!(t.has(x & size.mask()), "zero-extend {base:?} -> {t:?}");
        let mut t = base;
        t.sign_extend64(bytes);
        prop_assert!(t.has(isa::semantics::movsx(Width::W64, size, x)), "sign-extend {base:?} -> {t:?}");
        let mut t = base;
        t.sign_extend32(bytes, &R);
        prop_assert!(t.has(isa::semantics::movsx(Width::W32, size, x)), "sign-extend in 32 bits {base:?} -> {t:?}");
        let mut t = base;
        t.zext32();
        prop_assert!(t.has(x as u32 as u64), "zext32 {base:?} -> {t:?}");
    }

    #[test]
    fn order_is_inclusion((x, a) in around(), (_, b) in around()) {
        if a.is_within(&b) {
            prop_assert!(b.has(x));
        }
        prop_assert!(a.is_within(&a) && a.is_within(&Scalar::UNKNOWN));
    }
}

#[test]
fn hulls_survive_sync() {
    for_each_hull(|values, s| {
        for rules in [R, Rules::V6_18_15] {
            let mut t = *s;
            t.sync(&rules);
            assert!(values.iter().all(|x| t.has(*x)), "{values:x?} {t:?}");
            assert_eq!(t.violation(), None, "{values:x?} {t:?}");
            // What fits two values exactly cannot be narrowed.
            assert!(values.iter().all(|x| (t.umin..=t.umax).contains(x)));
        }
    });
}

#[test]
fn constants_are_fixed_points() {
    for x in VALUES {
        let mut s = Scalar::known(*x);
        s.sync(&R);
        assert_eq!(s, Scalar::known(*x));
        assert_eq!(s.violation(), None);
        assert_eq!(hull(&[*x]), s);
    }
}

#[test]
fn loads_from_unknown_memory() {
    let load = |bytes| {
        let mut s = Scalar::UNKNOWN;
        s.coerce(bytes, &R);
        s
    };
    for (bytes, max) in [(1, 0xff), (2, 0xffff)] {
        let want = Scalar {
            var_off: Tnum { value: 0, mask: max },
            smin: 0,
            smax: max as i64,
            umin: 0,
            umax: max,
            s32_min: 0,
            s32_max: max as i32,
            u32_min: 0,
            u32_max: max as u32,
        };
        assert_eq!(load(bytes), want);
    }
    let word = load(4);
    assert_eq!((word.umax, word.smin, word.smax), (u32::MAX as u64, 0, u32::MAX as i64));
    assert_eq!((word.s32_min, word.s32_max, word.u32_min, word.u32_max), (i32::MIN, i32::MAX, 0, u32::MAX));
    let mut s = Scalar::UNKNOWN;
    s.sign_extend64(1);
    assert_eq!((s.smin, s.smax, s.s32_min, s.s32_max), (-128, 127, -128, 127));
    assert_eq!((s.var_off, s.umin, s.umax, s.u32_max), (Tnum::UNKNOWN, 0, u64::MAX, u32::MAX));
    let mut s = Scalar::UNKNOWN;
    s.sign_extend32(1, &R);
    assert_eq!((s.smin, s.smax, s.umax), (0, 0xffff_ffff, 0xffff_ffff));
    assert_eq!((s.s32_min, s.s32_max, s.var_off.mask), (-128, 127, 0xffff_ffff));
}

#[test]
fn sign_crossing_32_bit_ranges_meet_the_unsigned_ones() {
    let base = Scalar { s32_min: -10, s32_max: 5, u32_min: 6, ..Scalar::UNKNOWN };
    let mut s = base;
    s.sync(&R);
    assert_eq!((s.s32_min, s.s32_max, s.u32_min, s.u32_max), (-10, -1, -10i32 as u32, u32::MAX));
    let mut s = base;
    s.sync(&Rules::V6_18_15);
    assert_eq!(s.s32_max, 5);
}

#[test]
fn a_single_member_inside_the_range_is_known() {
    let base = Scalar { var_off: Tnum { value: 0, mask: 0xf0 }, umin: 0x11, umax: 0x21, ..Scalar::UNKNOWN };
    let mut s = base;
    s.sync(&R);
    assert_eq!(s, Scalar::known(0x20));
    let mut s = base;
    s.sync(&Rules::V6_18_15);
    assert_ne!(s, Scalar::known(0x20));
}

#[test]
fn violations_are_named_in_order() {
    assert_eq!(Scalar { umin: 1, umax: 0, ..Scalar::ZERO }.violation(), Some(Violation::EmptyRange));
    assert_eq!(Scalar { umax: 1, ..Scalar::ZERO }.violation(), Some(Violation::ConstTnum));
    let s = Scalar { var_off: Tnum { value: 0, mask: !0 << 32 }, ..Scalar::UNKNOWN };
    assert_eq!(s.violation(), Some(Violation::ConstSubregTnum));
    assert_eq!(Violation::EmptyRange.text(), "range bounds violation");
}
