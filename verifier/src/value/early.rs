//! Numbers as kernels had them whose two widths know little of each other: how such a number is kept in step, what arithmetic and
//! comparisons do to it. What all kernels share (bits, the bounds of sums and shifts) is in `scalar` and `alu`.

use std::cell::Cell;

use super::alu::{Op, is_tracked};
use super::refine::{Cmp, const_in};
use super::{Rules, Scalar, Tnum, Width};

/// Signed and unsigned bounds of one width teach each other, if one of them shows the sign.
macro_rules! deduce {
    ($s:ident, $S:ty, $U:ty, $smin:ident, $smax:ident, $umin:ident, $umax:ident) => {
        if $s.$smin >= 0 || $s.$smax < 0 {
            $s.$umin = $s.$umin.max($s.$smin as $U);
            $s.$umax = $s.$umax.min($s.$smax as $U);
            ($s.$smin, $s.$smax) = ($s.$umin as $S, $s.$umax as $S);
        } else if $s.$umax as $S >= 0 {
            $s.$umax = $s.$umax.min($s.$smax as $U);
            ($s.$smin, $s.$smax) = ($s.$umin as $S, $s.$umax as $S);
        } else if ($s.$umin as $S) < 0 {
            $s.$umin = $s.$umin.max($s.$smin as $U);
            ($s.$smin, $s.$smax) = ($s.$umin as $S, $s.$umax as $S);
        }
    };
}

impl Scalar {
    /// Brings bits and bounds in step, each width by itself.
    pub(super) fn sync_apart(&mut self, rules: &Rules) {
        self.bounds_from_bits(rules);
        let s = &mut *self;
        deduce!(s, i32, u32, s32_min, s32_max, u32_min, u32_max);
        deduce!(s, i64, u64, smin, smax, umin, umax);
        // The low half learns from the 64-bit bounds, too.
        let whole = self.var_off.intersect(Tnum::range(self.umin, self.umax));
        let low = Tnum::range(u64::from(self.u32_min), u64::from(self.u32_max));
        let known = if rules.low_bits { whole } else { self.var_off };
        self.var_off = whole.clear_subreg().or(known.subreg().intersect(low));
        self.bounds_from_bits(rules);
    }

    /// 32-bit bounds from 64-bit bounds that fit.
    pub(super) fn low_from_wide(&mut self, rules: &Rules) {
        self.unbound32();
        if let (Ok(min), Ok(max)) = (i32::try_from(self.smin), i32::try_from(self.smax)) {
            (self.s32_min, self.s32_max) = (min, max);
        }
        if let (Ok(min), Ok(max)) = (u32::try_from(self.umin), u32::try_from(self.umax)) {
            (self.u32_min, self.u32_max) = (min, max);
        }
        self.sync_apart(rules);
    }

    /// 64-bit bounds from 32-bit bounds: those of the low half where the upper half is zero, else none.
    fn wide_from_low(&mut self, rules: &Rules) {
        if self.var_off.clear_subreg().is_const() && self.var_off.clear_subreg().value == 0 {
            self.zext32();
        } else {
            self.unbound64();
        }
        self.sync_apart(rules);
    }

    /// Contradictory numbers of an operand in this width: the path cannot happen.
    fn is_tainted(&self, width: Width) -> bool {
        match width {
            Width::W64 => {
                self.is_const() && (self.smin != self.smax || self.umin != self.umax)
                    || self.smin > self.smax
                    || self.umin > self.umax
            }
            Width::W32 => {
                self.var_off.is_subreg_const() && (self.s32_min != self.s32_max || self.u32_min != self.u32_max)
                    || self.s32_min > self.s32_max
                    || self.u32_min > self.u32_max
            }
        }
    }
}

/// What `d op x` is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Result {
    /// All 64 bits are unknown.
    Unknown,
    /// Unknown in the width of the operation.
    UnknownInWidth,
    Tracked(Op),
}

/// `op`: `None` for division and modulo.
pub fn result(op: Option<Op>, width: Width, x: &Scalar) -> Result {
    let known = const_in(x, width).is_some();
    match op {
        _ if x.is_tainted(width) => Result::Unknown,
        Some(op @ (Op::Add | Op::Sub | Op::And)) => Result::Tracked(op),
        _ if !known => Result::Unknown,
        Some(op) if is_tracked(op, width, x) => Result::Tracked(op),
        _ => Result::UnknownInWidth,
    }
}

/// A result that is not tracked. Division and modulo by a known number, and shifts by too much, still end in their width.
pub fn untracked(op: Option<Op>, width: Width, x: &Scalar, rules: &Rules) -> Scalar {
    let mut s = Scalar::UNKNOWN;
    if width == Width::W32 && result(op, width, x) == Result::UnknownInWidth {
        s.zext32();
        s.sync_apart(rules);
    }
    s
}

/// Whether `a cmp b` is certain: only asked about a known right operand.
pub fn decide(cmp: Cmp, width: Width, a: &Scalar, b: &Scalar) -> Option<bool> {
    let c = Scalar::known(const_in(b, width)?);
    match cmp {
        Cmp::Eq | Cmp::Ne => const_in(a, width).map(|v| (v == const_in(&c, width).unwrap_or(v)) == (cmp == Cmp::Eq)),
        _ => super::refine::decide(cmp, width, a, &c, &Rules::V6_1),
    }
}

/// What it means that `a cmp b` holds, for both.
pub fn refine(cmp: Cmp, width: Width, a: &Cell<Scalar>, b: &Cell<Scalar>, rules: &Rules) {
    let narrow = |x: &Cell<Scalar>, cmp: Cmp, c: u64| {
        let mut s = x.get();
        s.narrow(cmp, width, c);
        match width {
            Width::W64 => s.low_from_wide(rules),
            Width::W32 => s.wide_from_low(rules),
        }
        x.set(s);
    };
    if let Some(c) = const_in(&b.get(), width) {
        narrow(a, cmp, c);
    } else if let Some(c) = const_in(&a.get(), width) {
        narrow(b, cmp.mirror(), c);
    } else if cmp == Cmp::Eq && width == Width::W64 {
        let (mut x, y) = (a.get(), b.get());
        x.smin = x.smin.max(y.smin);
        x.smax = x.smax.min(y.smax);
        x.umin = x.umin.max(y.umin);
        x.umax = x.umax.min(y.umax);
        x.var_off = x.var_off.intersect(y.var_off);
        let mut y = Scalar { smin: x.smin, smax: x.smax, umin: x.umin, umax: x.umax, var_off: x.var_off, ..y };
        x.sync_apart(rules);
        y.sync_apart(rules);
        a.set(x);
        b.set(y);
    }
}

/// The bound that a comparison with `c` moves, in one width.
macro_rules! bound {
    ($x:ident, $cmp:ident, $U:ty, $S:ty, $c:ident, $smin:ident, $smax:ident, $umin:ident, $umax:ident) => {{
        let (u, s) = ($c as $U, $c as $S);
        match $cmp {
            Cmp::Gt => $x.$umin = $x.$umin.max(u.wrapping_add(1)),
            Cmp::Ge => $x.$umin = $x.$umin.max(u),
            Cmp::Lt => $x.$umax = $x.$umax.min(u.wrapping_sub(1)),
            Cmp::Le => $x.$umax = $x.$umax.min(u),
            Cmp::Sgt => $x.$smin = $x.$smin.max(s.wrapping_add(1)),
            Cmp::Sge => $x.$smin = $x.$smin.max(s),
            Cmp::Slt => $x.$smax = $x.$smax.min(s.wrapping_sub(1)),
            Cmp::Sle => $x.$smax = $x.$smax.min(s),
            Cmp::Eq | Cmp::Ne | Cmp::Set | Cmp::NotSet => {}
        }
    }};
}

impl Scalar {
    fn narrow(&mut self, cmp: Cmp, width: Width, c: u64) {
        let x = self;
        match (cmp, width) {
            (Cmp::Eq, Width::W64) => *x = Scalar::known(c),
            (Cmp::Eq, Width::W32) => x.set_known32(c as u32),
            (Cmp::Set, Width::W64) if c.is_power_of_two() => x.var_off = x.var_off.or(Tnum::constant(c)),
            (Cmp::Set, Width::W32) if (c as u32).is_power_of_two() => {
                x.var_off = x.var_off.with_subreg(x.var_off.subreg().or(Tnum::constant(c as u32 as u64)));
            }
            (Cmp::NotSet, Width::W64) => x.var_off = x.var_off.and(Tnum::constant(!c)),
            (Cmp::NotSet, Width::W32) => {
                x.var_off = x.var_off.with_subreg(x.var_off.subreg().and(Tnum::constant(!(c as u32) as u64)));
            }
            (_, Width::W64) => bound!(x, cmp, u64, i64, c, smin, smax, umin, umax),
            (_, Width::W32) => bound!(x, cmp, u32, i32, c, s32_min, s32_max, u32_min, u32_max),
        }
    }
}

#[cfg(test)]
mod tests;
