//! Division and modulo by a known number: bounds only, known bits are lost. Division by an unknown number is not followed.

use super::{Bounds32, Bounds64, Scalar, Width};
use crate::value::Rules;

/// Which of the four.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Division {
    pub modulo: bool,
    pub signed: bool,
}

/// Whether the result can be tracked: the divisor is known in the width.
pub fn is_divided(width: Width, x: &Scalar, rules: &Rules) -> bool {
    rules.divide
        && match width {
            Width::W64 => x.var_off.is_const(),
            Width::W32 => x.var_off.is_subreg_const(),
        }
}

/// `d / x` or `d % x` if [`is_divided`]; otherwise unknown.
pub fn divide(how: Division, width: Width, d: &mut Scalar, x: &Scalar, rules: &Rules) {
    if !is_divided(width, x, rules) {
        *d = Scalar::UNKNOWN;
        return;
    }
    match width {
        Width::W64 => {
            if let Some(bounds) = Bounds64::of(d).divided(how, x.var_off.value) {
                *d = Scalar::UNKNOWN;
                bounds.store(d);
            }
        }
        Width::W32 => {
            if let Some(bounds) = Bounds32::of(d).divided(how, x.var_off.value as u32) {
                *d = Scalar::UNKNOWN;
                bounds.store(d);
            }
            d.zext32();
        }
    }
    d.sync(rules);
}

macro_rules! divided {
    ($name:ident, $S:ty, $U:ty) => {
        impl $name {
            /// Bounds of the result; `None` where the operation changes nothing.
            fn divided(self, how: Division, x: $U) -> Option<Self> {
                let any = Self { smin: <$S>::MIN, smax: <$S>::MAX, umin: 0, umax: <$U>::MAX };
                match how {
                    // By definition x / 0 is 0 and x % 0 is x.
                    _ if x == 0 => (!how.modulo).then_some(Self { smin: 0, smax: 0, umin: 0, umax: 0 }),
                    Division { modulo: false, signed: false } => {
                        Some(Self { umin: self.umin / x, umax: self.umax / x, ..any })
                    }
                    Division { modulo: true, signed: false } => {
                        (self.umax >= x).then(|| Self { umin: 0, umax: self.umax.min(x - 1), ..any })
                    }
                    Division { modulo: false, signed: true } => Some(Self::quotients(self, x as $S, any)),
                    Division { modulo: true, signed: true } => self.remainders(x as $S, any),
                }
            }

            fn quotients(self, x: $S, any: Self) -> Self {
                // The smallest number divided by -1 is itself: with any other number beside it the results lie at both ends.
                if self.smin == <$S>::MIN && x == -1 {
                    return if self.smax == <$S>::MIN { Self { smax: <$S>::MIN, ..any } } else { any };
                }
                let (a, b) = (self.smin / x, self.smax / x);
                Self { smin: a.min(b), smax: a.max(b), ..any }
            }

            /// Remainders have the sign of the dividend.
            fn remainders(self, x: $S, any: Self) -> Option<Self> {
                let most = (x.unsigned_abs() - 1) as $S;
                if self.smin >= -most && self.smax <= most {
                    return None;
                }
                Some(if self.smin >= 0 {
                    Self { smin: 0, smax: self.smax.min(most), ..any }
                } else if self.smax <= 0 {
                    Self { smin: self.smin.max(-most), smax: 0, ..any }
                } else {
                    Self { smin: -most, smax: most, ..any }
                })
            }
        }
    };
}

divided!(Bounds64, i64, u64);
divided!(Bounds32, i32, u32);
