//! What arithmetic does to abstract numbers: binary operators, negation, byte swaps, and displacement of pointers. Division is in
//! `divide`. Which operands are allowed, and ids of registers, are not here.

mod divide;

use super::{Rules, Scalar, Tnum, Width, early};

pub use divide::{Division, divide, is_divided};

/// Binary operators whose result is tracked; those of [`divide`] are not among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    Add,
    Sub,
    Mul,
    And,
    Or,
    Xor,
    Lsh,
    Rsh,
    Arsh,
}

impl Op {
    /// The tracked operator behind an instruction's, if it is one.
    pub const fn of(op: isa::AluOp) -> Option<Op> {
        Some(match op {
            isa::AluOp::Add => Op::Add,
            isa::AluOp::Sub => Op::Sub,
            isa::AluOp::Mul => Op::Mul,
            isa::AluOp::And => Op::And,
            isa::AluOp::Or => Op::Or,
            isa::AluOp::Xor => Op::Xor,
            isa::AluOp::Lsh => Op::Lsh,
            isa::AluOp::Rsh => Op::Rsh,
            isa::AluOp::Arsh => Op::Arsh,
            isa::AluOp::Div | isa::AluOp::Sdiv | isa::AluOp::Mod | isa::AluOp::Smod | isa::AluOp::Mov => return None,
        })
    }
}

/// Signed and unsigned bounds of one width, with the operators that treat both widths alike.
macro_rules! bounds {
    ($name:ident, $S:ty, $U:ty, $smin:ident, $smax:ident, $umin:ident, $umax:ident) => {
        #[derive(Clone, Copy)]
        struct $name {
            smin: $S,
            smax: $S,
            umin: $U,
            umax: $U,
        }

        impl $name {
            #[inline]
            fn of(s: &Scalar) -> Self {
                Self { smin: s.$smin, smax: s.$smax, umin: s.$umin, umax: s.$umax }
            }

            #[inline]
            fn store(self, s: &mut Scalar) {
                s.$smin = self.smin;
                s.$smax = self.smax;
                s.$umin = self.umin;
                s.$umax = self.umax;
            }

            #[inline]
            fn set_signed(&mut self, range: Option<($S, $S)>) {
                (self.smin, self.smax) = range.unwrap_or((<$S>::MIN, <$S>::MAX));
            }

            #[inline]
            fn set_unsigned(&mut self, range: Option<($U, $U)>) {
                (self.umin, self.umax) = range.unwrap_or((0, <$U>::MAX));
            }

            /// Signed sums must not overflow; unsigned ones may, if both do and the rules have it.
            fn add(mut self, x: Self, rules: &Rules) -> Self {
                self.set_signed(self.smin.checked_add(x.smin).zip(self.smax.checked_add(x.smax)));
                let (lo, lo_wraps) = self.umin.overflowing_add(x.umin);
                let (hi, hi_wraps) = self.umax.overflowing_add(x.umax);
                self.set_unsigned(keeps(lo_wraps, hi_wraps, rules).then_some((lo, hi)));
                self
            }

            fn sub(mut self, x: Self, rules: &Rules) -> Self {
                self.set_signed(self.smin.checked_sub(x.smax).zip(self.smax.checked_sub(x.smin)));
                let (lo, lo_wraps) = self.umin.overflowing_sub(x.umax);
                let (hi, hi_wraps) = self.umax.overflowing_sub(x.umin);
                self.set_unsigned(keeps(lo_wraps, hi_wraps, rules).then_some((lo, hi)));
                self
            }

            fn mul(mut self, x: Self, rules: &Rules) -> Self {
                if !rules.mul_signed {
                    return self.mul_small(x);
                }
                let mut hull: Option<($S, $S)> = None;
                for (a, b) in [(self.smin, x.smin), (self.smin, x.smax), (self.smax, x.smin), (self.smax, x.smax)] {
                    let Some(p) = a.checked_mul(b) else {
                        hull = None;
                        break;
                    };
                    hull = Some(hull.map_or((p, p), |(lo, hi)| (lo.min(p), hi.max(p))));
                }
                self.set_signed(hull);
                self.set_unsigned(self.umin.checked_mul(x.umin).zip(self.umax.checked_mul(x.umax)));
                self
            }

            /// Only factors that cannot overflow, in half the width and not negative.
            fn mul_small(mut self, x: Self) -> Self {
                let half = <$U>::MAX >> (<$U>::BITS / 2);
                if self.smin < 0 || x.smin < 0 || self.umax > half || x.umax > half {
                    self.set_signed(None);
                    self.set_unsigned(None);
                    return self;
                }
                self.set_unsigned(Some((self.umin * x.umin, self.umax * x.umax)));
                self.set_signed((self.umax as $S >= 0).then_some((self.umin as $S, self.umax as $S)));
                self
            }

            /// Unsigned bounds as given; the same bits bound the signed reading when they do not cross the sign.
            fn set_bitwise(mut self, lo: $U, hi: $U) -> Self {
                (self.umin, self.umax) = (lo, hi);
                self.set_signed((lo as $S <= hi as $S).then_some((lo as $S, hi as $S)));
                self
            }

            /// AND, OR, XOR; `t` = bits of the result in this width.
            fn bitwise(self, op: Op, x: Self, t: Tnum, rules: &Rules) -> Self {
                let (v, top) = (t.value as $U, t.max() as $U);
                let signed = self.smin < 0 || x.smin < 0;
                let mut out = match op {
                    Op::And => self.set_bitwise(v, self.umax.min(x.umax)),
                    Op::Or => self.set_bitwise(self.umin.max(x.umin), top),
                    _ => self.set_bitwise(v, top),
                };
                if rules.widths_apart && signed {
                    out.set_signed(None);
                }
                out
            }
        }
    };
}

/// Whether unsigned bounds of a sum are kept, given which of them wrapped.
fn keeps(lo_wraps: bool, hi_wraps: bool, rules: &Rules) -> bool {
    lo_wraps == hi_wraps && (rules.add_wraps || !hi_wraps)
}

bounds!(Bounds64, i64, u64, smin, smax, umin, umax);
bounds!(Bounds32, i32, u32, s32_min, s32_max, u32_min, u32_max);

/// The value of `x` if it is one number in this width by bits and by bounds.
fn width_const(x: &Scalar, width: Width) -> Option<u64> {
    let single = match width {
        Width::W64 => x.is_const() && x.smin == x.smax && x.umin == x.umax,
        Width::W32 => x.var_off.is_subreg_const() && x.s32_min == x.s32_max && x.u32_min == x.u32_max,
    };
    single.then_some(match width {
        Width::W64 => x.umin,
        Width::W32 => x.u32_min as u64,
    })
}

/// Whether the result can be tracked: shifts need a known amount below the width.
#[inline]
pub fn is_tracked(op: Op, width: Width, x: &Scalar) -> bool {
    let bits = match width {
        Width::W64 => 64,
        Width::W32 => 32,
    };
    match op {
        Op::Lsh | Op::Rsh | Op::Arsh => width_const(x, width).is_some() && x.umax < bits,
        _ => true,
    }
}

impl Rules {
    /// Whether the result of the operator with right operand `x` is tracked.
    pub fn tracks(&self, op: Op, width: Width, x: &Scalar) -> bool {
        if self.widths_apart {
            return early::result(Some(op), width, x) == early::Result::Tracked(op);
        }
        is_tracked(op, width, x)
    }
}

/// `Some(width)` if `d op x` is to be walked apart for the values -1 and 0 of `d` before it is computed.
#[inline]
pub fn fork(op: Op, d: &Scalar, x: &Scalar, rules: &Rules) -> Option<Width> {
    if !rules.fork || !matches!(op, Op::And | Op::Or) || !x.is_const() {
        None
    } else if d.smin == -1 && d.smax == 0 {
        Some(Width::W64)
    } else if d.s32_min == -1 && d.s32_max == 0 {
        Some(Width::W32)
    } else {
        None
    }
}

/// `d op x`. The caller has dealt with `fork`. Untracked results are unknown in all 64 bits, in either width.
pub fn binary(op: Op, width: Width, d: &mut Scalar, x: &Scalar, rules: &Rules) {
    if rules.widths_apart && !rules.tracks(op, width, x) {
        *d = early::untracked(Some(op), width, x, rules);
        return;
    }
    if !is_tracked(op, width, x) {
        *d = Scalar::UNKNOWN;
        return;
    }
    match op {
        Op::Add => add(d, x, rules),
        Op::Sub => sub(d, x, rules),
        Op::Mul => {
            d.var_off = if rules.mul_bitwise { d.var_off.mul(x.var_off) } else { d.var_off.mul_apart(x.var_off) };
            Bounds32::of(d).mul(Bounds32::of(x), rules).store(d);
            Bounds64::of(d).mul(Bounds64::of(x), rules).store(d);
        }
        Op::And | Op::Or | Op::Xor => bitwise(op, d, x, rules),
        Op::Lsh | Op::Rsh | Op::Arsh => shift(op, width, d, x, rules),
    }
    if width == Width::W32 {
        d.zext32();
    }
    d.sync(rules);
}

/// Sum of bounds and bits, not synchronised.
#[inline]
pub fn add(d: &mut Scalar, x: &Scalar, rules: &Rules) {
    Bounds32::of(d).add(Bounds32::of(x), rules).store(d);
    Bounds64::of(d).add(Bounds64::of(x), rules).store(d);
    d.var_off = d.var_off.add(x.var_off);
}

#[inline]
fn sub(d: &mut Scalar, x: &Scalar, rules: &Rules) {
    Bounds32::of(d).sub(Bounds32::of(x), rules).store(d);
    Bounds64::of(d).sub(Bounds64::of(x), rules).store(d);
    d.var_off = d.var_off.sub(x.var_off);
}

fn bitwise(op: Op, d: &mut Scalar, x: &Scalar, rules: &Rules) {
    d.var_off = match op {
        Op::And => d.var_off.and(x.var_off),
        Op::Or => d.var_off.or(x.var_off),
        _ => d.var_off.xor(x.var_off),
    };
    let t = d.var_off;
    // "Both constant" looks at the result: unknown & 0 is 0.
    if t.is_subreg_const() && x.var_off.is_subreg_const() {
        d.set_known32(t.value as u32);
    } else {
        Bounds32::of(d).bitwise(op, Bounds32::of(x), t, rules).store(d);
    }
    if t.is_const() && x.is_const() {
        *d = Scalar::known(t.value);
    } else {
        Bounds64::of(d).bitwise(op, Bounds64::of(x), t, rules).store(d);
        d.bounds_from_bits(rules);
    }
}

fn shift(op: Op, width: Width, d: &mut Scalar, x: &Scalar, rules: &Rules) {
    let old = *d;
    let low = old.var_off.subreg();
    match width {
        Width::W64 => {
            let k = x.umin as u32;
            d.unbound();
            match op {
                Op::Lsh => {
                    lsh_low(d, &old, k);
                    lsh_wide(d, &old, k, rules);
                    d.var_off = old.var_off.lsh(k);
                }
                Op::Rsh => {
                    d.var_off = old.var_off.rsh(k);
                    (d.umin, d.umax) = (old.umin >> k, old.umax >> k);
                }
                _ => {
                    (d.smin, d.smax) = (old.smin >> k, old.smax >> k);
                    d.var_off = old.var_off.arsh64(k);
                }
            }
            d.bounds_from_bits(rules);
        }
        Width::W32 => {
            // Bounds that contradict each other may put the low half beyond the width; the hardware's answer is as good as any.
            let k = x.u32_min & 31;
            d.unbound();
            match op {
                Op::Lsh => {
                    lsh_low(d, &old, k);
                    d.var_off = low.lsh(k).subreg();
                }
                Op::Rsh => {
                    d.var_off = low.rsh(k);
                    (d.u32_min, d.u32_max) = (old.u32_min >> k, old.u32_max >> k);
                }
                _ => {
                    (d.s32_min, d.s32_max) = (old.s32_min >> k, old.s32_max >> k);
                    d.var_off = low.arsh32(k);
                }
            }
            d.bounds32_from_bits();
        }
    }
}

/// Unsigned 32-bit bounds of a left shift, if no bit is lost.
fn lsh_low(d: &mut Scalar, old: &Scalar, k: u32) {
    if k <= 31 && old.u32_max <= 1 << (31 - k) {
        (d.u32_min, d.u32_max) = (old.u32_min << k, old.u32_max << k);
    }
}

/// 64-bit bounds of a left shift. A shift by 32 is half of the compiler's idiom for sign extension and keeps signs.
fn lsh_wide(d: &mut Scalar, old: &Scalar, k: u32, rules: &Rules) {
    if k == 32 && (rules.lsh32_signed || old.s32_max >= 0) {
        d.smax = (old.s32_max as i64) << 32;
    }
    if k == 32 && (rules.lsh32_signed || old.s32_min >= 0) {
        d.smin = (old.s32_min as i64) << 32;
    }
    if old.umax <= 1 << (63 - k) {
        (d.umin, d.umax) = (old.umin << k, old.umax << k);
    }
}

/// `-d`.
pub fn neg(width: Width, d: &mut Scalar, rules: &Rules) {
    let old = *d;
    *d = Scalar::ZERO;
    sub(d, &old, rules);
    if width == Width::W32 {
        d.zext32();
    }
    d.sync(rules);
}

/// Conversion of the low `bits` (16, 32, 64) to another byte order; `swap` is false for the order the machine has.
pub fn end(bits: u32, swap: bool, d: &mut Scalar, rules: &Rules) {
    if !rules.end_tracked {
        *d = Scalar::UNKNOWN;
        return;
    }
    if swap {
        d.var_off = d.var_off.bswap(bits);
        d.unbound();
    }
    if bits < 64 {
        d.coerce(bits / 8, rules);
    } else if swap {
        d.sync(rules);
    }
}

/// The variable part of `pointer + x`. Unlike [`Op::Add`] no wrapped unsigned bounds are kept, and the 32-bit bounds are
/// left as they are.
pub fn displace_up(p: &Scalar, x: &Scalar, out: &mut Scalar) {
    (out.smin, out.smax) = p.smin.checked_add(x.smin).zip(p.smax.checked_add(x.smax)).unwrap_or((i64::MIN, i64::MAX));
    (out.umin, out.umax) = p.umin.checked_add(x.umin).zip(p.umax.checked_add(x.umax)).unwrap_or((0, u64::MAX));
    out.var_off = p.var_off.add(x.var_off);
}

/// The variable part of `pointer - x`.
pub fn displace_down(p: &Scalar, x: &Scalar, out: &mut Scalar) {
    (out.smin, out.smax) = p.smin.checked_sub(x.smax).zip(p.smax.checked_sub(x.smin)).unwrap_or((i64::MIN, i64::MAX));
    (out.umin, out.umax) = if p.umin < x.umax { (0, u64::MAX) } else { (p.umin - x.umax, p.umax.wrapping_sub(x.umin)) };
    out.var_off = p.var_off.sub(x.var_off);
}

#[cfg(test)]
mod tests;
