//! Values and scalars for the tests of this module.

use super::{Scalar, Tnum};

/// Values around every boundary that the rules know.
pub const VALUES: &[u64] = &[
    0,
    1,
    2,
    7,
    8,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fff0,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_8000_0001,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_ffff_ff80,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
];

/// The best scalar for a set of values.
pub fn hull(values: &[u64]) -> Scalar {
    let join = |a: Scalar, b: Scalar| Scalar {
        var_off: a.var_off.union(b.var_off),
        smin: a.smin.min(b.smin),
        smax: a.smax.max(b.smax),
        umin: a.umin.min(b.umin),
        umax: a.umax.max(b.umax),
        s32_min: a.s32_min.min(b.s32_min),
        s32_max: a.s32_max.max(b.s32_max),
        u32_min: a.u32_min.min(b.u32_min),
        u32_max: a.u32_max.max(b.u32_max),
    };
    values
        .iter()
        .map(|v| Scalar::known(*v))
        .reduce(join)
        .unwrap_or(Scalar { var_off: Tnum::UNKNOWN, ..Scalar::UNKNOWN })
}

/// Every hull of one or two of the sample values, with these values.
pub fn for_each_hull(mut f: impl FnMut(&[u64], &Scalar)) {
    for (i, a) in VALUES.iter().enumerate() {
        for b in &VALUES[i..] {
            f(&[*a, *b], &hull(&[*a, *b]));
        }
    }
}
