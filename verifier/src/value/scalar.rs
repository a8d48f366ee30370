//! One abstract 64-bit number: known bits plus four pairs of bounds, how they are kept in step, coercions between widths.
//! What instructions do is in `alu`, what branches teach in `refine`.

use super::{Rules, Tnum};

/// A set of 64-bit values: the intersection of `var_off` and the four ranges. The 32-bit pairs bound the low half.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Scalar {
    pub var_off: Tnum,
    pub smin: i64,
    pub smax: i64,
    pub umin: u64,
    pub umax: u64,
    pub s32_min: i32,
    pub s32_max: i32,
    pub u32_min: u32,
    pub u32_max: u32,
}

/// Which internal agreement of a [`Scalar`] is broken. An impossible path is the usual cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Violation {
    EmptyRange,
    ConstTnum,
    ConstSubregTnum,
}

impl Violation {
    pub const fn text(self) -> &'static str {
        match self {
            Violation::EmptyRange => "range bounds violation",
            Violation::ConstTnum => "const tnum out of sync with range bounds",
            Violation::ConstSubregTnum => "const subreg tnum out of sync with range bounds",
        }
    }
}

impl Default for Scalar {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl Scalar {
    pub const UNKNOWN: Scalar = Scalar {
        var_off: Tnum::UNKNOWN,
        smin: i64::MIN,
        smax: i64::MAX,
        umin: 0,
        umax: u64::MAX,
        s32_min: i32::MIN,
        s32_max: i32::MAX,
        u32_min: 0,
        u32_max: u32::MAX,
    };

    pub const ZERO: Scalar = Scalar::known(0);

    #[inline]
    pub const fn known(c: u64) -> Self {
        Self {
            var_off: Tnum::constant(c),
            smin: c as i64,
            smax: c as i64,
            umin: c,
            umax: c,
            s32_min: c as i32,
            s32_max: c as i32,
            u32_min: c as u32,
            u32_max: c as u32,
        }
    }

    /// The sign-extended immediate, as every instruction form with an immediate sees it.
    #[inline]
    pub const fn from_imm(imm: i32) -> Self {
        Self::known(imm as i64 as u64)
    }

    #[inline]
    pub const fn is_const(&self) -> bool {
        self.var_off.is_const()
    }

    #[inline]
    pub const fn const_value(&self) -> Option<u64> {
        if self.is_const() { Some(self.var_off.value) } else { None }
    }

    #[inline]
    pub fn is_zero(&self) -> bool {
        self.const_value() == Some(0)
    }

    /// Nothing known: neither bits nor bounds.
    #[inline]
    pub fn is_unbounded(&self) -> bool {
        *self == Self::UNKNOWN
    }

    /// Whether every value fits `bits` bits unsigned.
    #[inline]
    pub const fn fits_unsigned(&self, bits: u32) -> bool {
        64 - self.umax.leading_zeros() <= bits
    }

    /// Whether sign extension from `bits` bits changes no value, judged by the unsigned bound.
    #[inline]
    pub const fn fits_positive(&self, bits: u32) -> bool {
        self.umax < 1 << (bits - 1)
    }

    /// Whether concrete `x` is one of the values.
    pub const fn has(&self, x: u64) -> bool {
        let (s, w, sw) = (x as i64, x as u32, x as i32);
        self.var_off.has(x)
            && self.umin <= x
            && x <= self.umax
            && self.smin <= s
            && s <= self.smax
            && self.u32_min <= w
            && w <= self.u32_max
            && self.s32_min <= sw
            && sw <= self.s32_max
    }

    /// Every bound of `self` lies inside `wider`'s (bits are not asked).
    #[inline]
    pub const fn bounds_within(&self, wider: &Scalar) -> bool {
        wider.umin <= self.umin
            && wider.umax >= self.umax
            && wider.smin <= self.smin
            && wider.smax >= self.smax
            && wider.u32_min <= self.u32_min
            && wider.u32_max >= self.u32_max
            && wider.s32_min <= self.s32_min
            && wider.s32_max >= self.s32_max
    }

    /// The order of the domain: bounds and bits of `self` are inside `wider`'s.
    #[inline]
    pub const fn is_within(&self, wider: &Scalar) -> bool {
        self.bounds_within(wider) && self.var_off.is_in(wider.var_off)
    }

    #[inline]
    pub const fn unbound64(&mut self) {
        self.smin = i64::MIN;
        self.smax = i64::MAX;
        self.umin = 0;
        self.umax = u64::MAX;
    }

    #[inline]
    pub const fn unbound32(&mut self) {
        self.s32_min = i32::MIN;
        self.s32_max = i32::MAX;
        self.u32_min = 0;
        self.u32_max = u32::MAX;
    }

    #[inline]
    pub const fn unbound(&mut self) {
        self.unbound64();
        self.unbound32();
    }

    /// Makes the low half `c`; the upper half's bits and all 64-bit bounds stay.
    #[inline]
    pub const fn set_known32(&mut self, c: u32) {
        self.var_off = self.var_off.const_subreg(c);
        self.s32_min = c as i32;
        self.s32_max = c as i32;
        self.u32_min = c;
        self.u32_max = c;
    }

    #[inline]
    fn meet_u64(&mut self, lo: u64, hi: u64) {
        self.umin = self.umin.max(lo);
        self.umax = self.umax.min(hi);
    }

    #[inline]
    fn meet_s64(&mut self, lo: i64, hi: i64) {
        self.smin = self.smin.max(lo);
        self.smax = self.smax.min(hi);
    }

    #[inline]
    fn meet_u32(&mut self, lo: u32, hi: u32) {
        self.u32_min = self.u32_min.max(lo);
        self.u32_max = self.u32_max.min(hi);
    }

    #[inline]
    fn meet_s32(&mut self, lo: i32, hi: i32) {
        self.s32_min = self.s32_min.max(lo);
        self.s32_max = self.s32_max.min(hi);
    }

    /// Brings bits and bounds in step with each other. Never asks whether the result is empty.
    pub fn sync(&mut self, rules: &Rules) {
        if self.is_const() && *self == Self::known(self.var_off.value) {
            return;
        }
        if rules.widths_apart {
            return self.sync_apart(rules);
        }
        self.bounds_from_bits(rules);
        for _ in 0..if rules.three_rounds { 3 } else { 2 } {
            let before = *self;
            self.deduce32(rules);
            self.deduce64(rules);
            self.deduce_mixed();
            if *self == before {
                break;
            }
        }
        self.bits_from_bounds();
        self.bounds_from_bits(rules);
    }

    /// 32-bit bounds from the low half of the bits.
    #[inline]
    pub(super) fn bounds32_from_bits(&mut self) {
        const SIGN: u32 = 1 << 31;
        let (v, m) = (self.var_off.value as u32, self.var_off.mask as u32);
        self.meet_s32((v | m & SIGN) as i32, (v | m & !SIGN) as i32);
        self.meet_u32(v, v | m);
    }

    /// Both pairs of bounds from the bits.
    pub(super) fn bounds_from_bits(&mut self, rules: &Rules) {
        const SIGN: u64 = 1 << 63;
        self.bounds32_from_bits();
        let Tnum { value: v, mask: m } = self.var_off;
        self.meet_s64((v | m & SIGN) as i64, (v | m & !SIGN) as i64);
        self.meet_u64(v, v | m);
        if rules.single_member {
            self.find_single_member();
        }
    }

    /// Known bits and unsigned range may leave one value only.
    fn find_single_member(&mut self) {
        let t = self.var_off;
        let next = t.step(self.umin);
        if t.has(self.umin) {
            if next > self.umax {
                *self = Self::known(self.umin);
            }
        } else if next == t.max() || next <= self.umax && t.step(next) > self.umax {
            *self = Self::known(next);
        }
    }

    fn deduce32(&mut self, rules: &Rules) {
        let (ulo, uhi) = (self.umin, self.umax);
        let (slo, shi) = (self.smin as u64, self.smax as u64);
        let high = |x: u64| (x >> 32) as u32;
        if high(ulo) == high(uhi) {
            self.meet_u32(ulo as u32, uhi as u32);
            if ulo as i32 <= uhi as i32 {
                self.meet_s32(ulo as i32, uhi as i32);
            }
        }
        if high(slo) == high(shi) {
            if slo as u32 <= shi as u32 {
                self.meet_u32(slo as u32, shi as u32);
            }
            if slo as i32 <= shi as i32 {
                self.meet_s32(slo as i32, shi as i32);
            }
        }
        // Neighbouring upper halves: the low half passes through -1 to 0 once.
        for (lo, hi) in [(ulo, uhi), (slo, shi)] {
            if high(lo).wrapping_add(1) == high(hi) && (lo as i32) < 0 && hi as i32 >= 0 {
                self.meet_s32(lo as i32, hi as i32);
            }
        }
        if self.u32_min as i32 <= self.u32_max as i32 {
            self.meet_s32(self.u32_min as i32, self.u32_max as i32);
        }
        if self.s32_min as u32 <= self.s32_max as u32 {
            self.meet_u32(self.s32_min as u32, self.s32_max as u32);
        } else if rules.cross_sign32 {
            if self.u32_max < self.s32_min as u32 {
                self.s32_min = self.u32_min as i32;
                self.u32_max = self.u32_max.min(self.s32_max as u32);
            } else if (self.s32_max as u32) < self.u32_min {
                self.s32_max = self.u32_max as i32;
                self.u32_min = self.u32_min.max(self.s32_min as u32);
            }
        }
    }

    fn deduce64(&mut self, rules: &Rules) {
        if self.umin as i64 <= self.umax as i64 {
            self.meet_s64(self.umin as i64, self.umax as i64);
        }
        if self.smin as u64 <= self.smax as u64 {
            self.meet_u64(self.smin as u64, self.smax as u64);
        } else if !rules.cross_sign64 {
            // Nothing is said about a range that crosses the sign.
        } else if self.umax < self.smin as u64 {
            self.smin = self.umin as i64;
            self.umax = self.umax.min(self.smax as u64);
        } else if (self.smax as u64) < self.umin {
            self.smax = self.umax as i64;
            self.umin = self.umin.max(self.smin as u64);
        }
    }

    fn deduce_mixed(&mut self) {
        let join = |high: u64, low: u32| high & !0xffff_ffff | low as u64;
        self.meet_u64(join(self.umin, self.u32_min), join(self.umax, self.u32_max));
        self.meet_s64(join(self.smin as u64, self.u32_min) as i64, join(self.smax as u64, self.u32_max) as i64);
        if self.s32_min >= 0 && self.smin >= i32::MIN as i64 && self.smax <= i32::MAX as i64 {
            self.smin = self.s32_min as i64;
            self.smax = self.s32_max as i64;
            self.umin = self.smin as u64;
            self.umax = self.smax as u64;
            self.var_off = self.var_off.intersect(Tnum::range(self.umin, self.umax));
        }
    }

    fn bits_from_bounds(&mut self) {
        let whole = self.var_off.intersect(Tnum::range(self.umin, self.umax));
        let low = self.var_off.subreg().intersect(Tnum::range(self.u32_min as u64, self.u32_max as u64));
        self.var_off = whole.clear_subreg().or(low);
    }

    /// The first broken agreement, if any.
    pub fn violation(&self) -> Option<Violation> {
        if self.umin > self.umax || self.smin > self.smax || self.u32_min > self.u32_max || self.s32_min > self.s32_max
        {
            return Some(Violation::EmptyRange);
        }
        let v = self.var_off.value;
        if self.is_const() && !(self.umin == v && self.umax == v && self.smin == v as i64 && self.smax == v as i64) {
            return Some(Violation::ConstTnum);
        }
        let low = v as u32;
        if self.var_off.is_subreg_const()
            && !(self.u32_min == low && self.u32_max == low && self.s32_min == low as i32 && self.s32_max == low as i32)
        {
            return Some(Violation::ConstSubregTnum);
        }
        None
    }

    /// Narrows to a signed 32-bit range that the whole value is known to be in.
    pub fn narrow_signed32(&mut self, min: i32, max: i32, rules: &Rules) {
        self.smin = self.smin.max(min.into());
        self.smax = self.smax.min(max.into());
        self.s32_min = self.s32_min.max(min);
        self.s32_max = self.s32_max.min(max);
        self.sync(rules);
    }

    /// The upper half becomes zero. The caller synchronises.
    #[inline]
    pub fn zext32(&mut self) {
        self.var_off = self.var_off.subreg();
        self.umin = self.u32_min as u64;
        self.umax = self.u32_max as u64;
        if self.s32_min >= 0 && self.s32_max >= 0 {
            self.smin = self.s32_min as i64;
            self.smax = self.s32_max as i64;
        } else {
            self.smin = 0;
            self.smax = u32::MAX as i64;
        }
    }

    /// Keeps the low `bytes` (1, 2, 4) bytes, zero-extended; 8 keeps all.
    pub fn coerce(&mut self, bytes: u32, rules: &Rules) {
        if bytes >= 8 {
            return;
        }
        self.var_off = self.var_off.cast(bytes);
        let keep = (1u64 << (8 * bytes)) - 1;
        if self.umin & !keep == self.umax & !keep {
            self.umin &= keep;
            self.umax &= keep;
        } else {
            self.umin = 0;
            self.umax = keep;
        }
        self.smin = self.umin as i64;
        self.smax = self.umax as i64;
        if rules.widths_apart {
            if bytes < 4 {
                self.low_from_wide(rules);
            }
            return;
        }
        if bytes < 4 {
            self.unbound32();
        }
        self.sync(rules);
    }

    /// Sign-extends the low `bytes` (1, 2, 4) bytes to 64 bits. Not synchronised afterwards.
    pub fn sign_extend64(&mut self, bytes: u32) {
        if bytes >= 8 {
            return;
        }
        let bits = 8 * bytes;
        let sx = |x: u64| (x << (64 - bits)) as i64 >> (64 - bits);
        if self.is_const() {
            *self = Self::known(sx(self.var_off.value) as u64);
            return;
        }
        if self.smin as u64 >> bits == self.smax as u64 >> bits {
            let (a, b) = (sx(self.smin as u64), sx(self.smax as u64));
            let (lo, hi) = (a.min(b), a.max(b));
            if (lo < 0) == (hi < 0) {
                *self = Self {
                    var_off: Tnum::range(lo as u64, hi as u64),
                    smin: lo,
                    smax: hi,
                    umin: lo as u64,
                    umax: hi as u64,
                    s32_min: lo as i32,
                    s32_max: hi as i32,
                    u32_min: lo as u32,
                    u32_max: hi as u32,
                };
                return;
            }
        }
        let top = 1i64 << (bits - 1);
        *self = Self { smin: -top, smax: top - 1, s32_min: -top as i32, s32_max: (top - 1) as i32, ..Self::UNKNOWN };
    }

    /// Sign-extends the low `bytes` (1, 2) bytes to 32 bits, then zero-extends and synchronises.
    pub fn sign_extend32(&mut self, bytes: u32, rules: &Rules) {
        let bits = 8 * bytes.min(4);
        let sx = |x: u32| (x << (32 - bits)) as i32 >> (32 - bits);
        self.sign_extend32_low(bits, sx);
        self.zext32();
        self.sync(rules);
    }

    fn sign_extend32_low(&mut self, bits: u32, sx: impl Fn(u32) -> i32) {
        if let Some(v) = self.const_value() {
            let c = sx(v as u32);
            self.var_off = Tnum::constant(c as i64 as u64);
            (self.s32_min, self.s32_max) = (c, c);
            (self.u32_min, self.u32_max) = (c as u32, c as u32);
            return;
        }
        if bits < 32 && self.s32_min as u32 >> bits == self.s32_max as u32 >> bits {
            let (a, b) = (sx(self.s32_min as u32), sx(self.s32_max as u32));
            let (lo, hi) = (a.min(b), a.max(b));
            if (lo < 0) == (hi < 0) {
                (self.s32_min, self.s32_max) = (lo, hi);
                (self.u32_min, self.u32_max) = (lo as u32, hi as u32);
                self.var_off = Tnum::range(lo as i64 as u64, hi as i64 as u64).subreg();
                return;
            }
        }
        let top = 1i64 << (bits - 1);
        self.unbound32();
        (self.s32_min, self.s32_max) = (-top as i32, (top - 1) as i32);
        self.var_off = Tnum::UNKNOWN.subreg();
    }
}

#[cfg(test)]
pub(super) mod tests;
