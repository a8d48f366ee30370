//! Tracked numbers: which bits of a 64-bit value are known. Arithmetic on them and the order between them. No bounds here
//! (see `scalar`).

/// The set of all `x` with `x & !mask == value`. A bit set in `mask` is unknown; `value & mask == 0` always.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tnum {
    pub value: u64,
    pub mask: u64,
}

impl Tnum {
    pub const UNKNOWN: Tnum = Tnum { value: 0, mask: u64::MAX };

    #[inline]
    pub const fn constant(value: u64) -> Self {
        Self { value, mask: 0 }
    }

    /// The common prefix of the two end points as bit patterns; with `min > max` the same prefix, not a contradiction.
    #[inline]
    pub const fn range(min: u64, max: u64) -> Self {
        let differing = 64 - (min ^ max).leading_zeros();
        if differing == 64 {
            return Self::UNKNOWN;
        }
        let mask = (1u64 << differing) - 1;
        Self { value: min & !mask, mask }
    }

    #[inline]
    pub const fn is_const(self) -> bool {
        self.mask == 0
    }

    /// No bit is known.
    #[inline]
    pub const fn is_unknown(self) -> bool {
        self.mask == u64::MAX
    }

    /// The largest member.
    #[inline]
    pub const fn max(self) -> u64 {
        self.value | self.mask
    }

    #[inline]
    pub const fn has(self, x: u64) -> bool {
        x & !self.mask == self.value
    }

    #[inline]
    pub const fn lsh(self, by: u32) -> Self {
        Self { value: self.value << by, mask: self.mask << by }
    }

    #[inline]
    pub const fn rsh(self, by: u32) -> Self {
        Self { value: self.value >> by, mask: self.mask >> by }
    }

    #[inline]
    pub const fn arsh64(self, by: u32) -> Self {
        Self { value: (self.value as i64 >> by) as u64, mask: (self.mask as i64 >> by) as u64 }
    }

    /// Arithmetic shift of the low half; the upper half of the result is known zero.
    #[inline]
    pub const fn arsh32(self, by: u32) -> Self {
        Self { value: (self.value as i32 >> by) as u32 as u64, mask: (self.mask as i32 >> by) as u32 as u64 }
    }

    #[inline]
    pub const fn add(self, b: Self) -> Self {
        let sum = self.value.wrapping_add(b.value);
        let most = sum.wrapping_add(self.mask).wrapping_add(b.mask);
        let mask = (most ^ sum) | self.mask | b.mask;
        Self { value: sum & !mask, mask }
    }

    #[inline]
    pub const fn sub(self, b: Self) -> Self {
        let diff = self.value.wrapping_sub(b.value);
        let most = diff.wrapping_add(self.mask);
        let least = diff.wrapping_sub(b.mask);
        let mask = (most ^ least) | self.mask | b.mask;
        Self { value: diff & !mask, mask }
    }

    #[inline]
    pub const fn and(self, b: Self) -> Self {
        let value = self.value & b.value;
        Self { value, mask: self.max() & b.max() & !value }
    }

    #[inline]
    pub const fn or(self, b: Self) -> Self {
        let value = self.value | b.value;
        Self { value, mask: (self.mask | b.mask) & !value }
    }

    #[inline]
    pub const fn xor(self, b: Self) -> Self {
        let mask = self.mask | b.mask;
        Self { value: (self.value ^ b.value) & !mask, mask }
    }

    /// Long multiplication over the bits of `self`. Not symmetric: precision depends on which operand is which.
    pub const fn mul(self, b: Self) -> Self {
        let mut acc = Self::constant(0);
        if self.is_const() && b.is_const() {
            return Self::constant(self.value.wrapping_mul(b.value));
        }
        let mut rest = self.max();
        while rest != 0 {
            let bit = rest.trailing_zeros();
            rest &= rest - 1;
            let with = acc.add(b.lsh(bit));
            acc = if self.value >> bit & 1 == 1 { with } else { acc.union(with) };
        }
        acc
    }

    /// Long multiplication that sums up products of what is known and, apart, what is not known in each.
    pub const fn mul_apart(self, b: Self) -> Self {
        let mut unknown = Self::constant(0);
        let mut rest = self.max();
        while rest != 0 {
            let bit = rest.trailing_zeros();
            rest &= rest - 1;
            let mask = if self.value >> bit & 1 == 1 { b.mask } else { b.max() };
            unknown = unknown.add(Self { value: 0, mask: mask << bit });
        }
        Self::constant(self.value.wrapping_mul(b.value)).add(unknown)
    }

    /// The smallest tnum with all members of both.
    #[inline]
    pub const fn union(self, b: Self) -> Self {
        let mask = (self.value ^ b.value) | self.mask | b.mask;
        Self { value: self.value & b.value & !mask, mask }
    }

    /// What both say. Where they contradict each other the bit reads as 1: callers that care ask `overlaps` first.
    #[inline]
    pub const fn intersect(self, b: Self) -> Self {
        let mask = self.mask & b.mask;
        Self { value: (self.value | b.value) & !mask, mask }
    }

    /// Whether some value is a member of both.
    #[inline]
    pub const fn overlaps(self, b: Self) -> bool {
        (self.value ^ b.value) & !self.mask & !b.mask == 0
    }

    /// The low `bytes` bytes, zero-extended.
    #[inline]
    pub const fn cast(self, bytes: u32) -> Self {
        if bytes >= 8 {
            return self;
        }
        let keep = (1u64 << (8 * bytes)) - 1;
        Self { value: self.value & keep, mask: self.mask & keep }
    }

    #[inline]
    pub const fn subreg(self) -> Self {
        self.cast(4)
    }

    #[inline]
    pub const fn clear_subreg(self) -> Self {
        self.rsh(32).lsh(32)
    }

    /// Upper half of `self`, low half of `low`.
    #[inline]
    pub const fn with_subreg(self, low: Self) -> Self {
        self.clear_subreg().or(low.subreg())
    }

    #[inline]
    pub const fn const_subreg(self, low: u32) -> Self {
        self.with_subreg(Self::constant(low as u64))
    }

    #[inline]
    pub const fn is_subreg_const(self) -> bool {
        self.mask as u32 == 0
    }

    /// Whether every member is a multiple of the power of two `size`; 0 asks for nothing.
    #[inline]
    pub const fn is_aligned(self, size: u64) -> bool {
        size == 0 || self.max() & (size - 1) == 0
    }

    /// The order: every member of `self` is one of `wider`.
    #[inline]
    pub const fn is_in(self, wider: Self) -> bool {
        self.mask & !wider.mask == 0 && self.value & !wider.mask == wider.value
    }

    /// Swaps the low `bits` bits bytewise; the rest becomes known zero.
    #[inline]
    pub const fn bswap(self, bits: u32) -> Self {
        let up = 64 - bits;
        Self {
            value: (self.value << up).swap_bytes() & low_bits(bits),
            mask: (self.mask << up).swap_bytes() & low_bits(bits),
        }
    }

    /// The smallest member greater than `z`; the largest member when there is none.
    pub const fn step(self, z: u64) -> u64 {
        if z >= self.max() {
            return self.max();
        }
        if z < self.value {
            return self.value;
        }
        let next = z + 1;
        let wrong = (next ^ self.value) & !self.mask;
        if wrong == 0 {
            return next;
        }
        let bit = 63 - wrong.leading_zeros();
        if self.value >> bit & 1 == 1 {
            // The known 1 lifts us above `next`: everything below it may be smallest.
            return keep_above(next, bit) | (self.value & low_bits(bit + 1));
        }
        // A known 0 where `next` has a 1: carry into the lowest unknown bit above that is still 0.
        let carry = self.mask & !next & !low_bits(bit + 1);
        let at = carry.trailing_zeros();
        keep_above(next, at) | 1 << at | (self.value & low_bits(at))
    }
}

#[inline]
const fn low_bits(n: u32) -> u64 {
    if n >= 64 { u64::MAX } else { (1u64 << n) - 1 }
}

#[inline]
const fn keep_above(x: u64, bit: u32) -> u64 {
    x & !low_bits(bit + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: u32 = 4;
    const TOP: u64 = (1 << W) - 1;

    /// Every tnum over the low `W` bits.
    fn all() -> impl Iterator<Item = Tnum> + Clone {
        (0..=TOP).flat_map(|mask| (0..=TOP).filter(move |v| v & mask == 0).map(move |value| Tnum { value, mask }))
    }

    fn members(t: Tnum) -> impl Iterator<Item = u64> + Clone {
        (0..=TOP).filter(move |x| t.has(*x))
    }

    fn sound(name: &str, abs: fn(Tnum, Tnum) -> Tnum, conc: fn(u64, u64) -> u64) {
        for a in all() {
            for b in all() {
                let r = abs(a, b);
                assert_eq!(r.value & r.mask, 0, "{name} {a:?} {b:?}");
                for x in members(a) {
                    for y in members(b) {
                        assert!(r.has(conc(x, y)), "{name} {a:?} {b:?} -> {r:?} lacks {x} . {y}");
                    }
                }
            }
        }
    }

    #[test]
    fn binary_operations_contain_every_concrete_result() {
        sound("add", Tnum::add, u64::wrapping_add);
        sound("sub", Tnum::sub, u64::wrapping_sub);
        sound("mul", Tnum::mul, u64::wrapping_mul);
        sound("and", Tnum::and, |x, y| x & y);
        sound("or", Tnum::or, |x, y| x | y);
        sound("xor", Tnum::xor, |x, y| x ^ y);
        sound("union left", Tnum::union, |x, _| x);
        sound("union right", Tnum::union, |_, y| y);
    }

    #[test]
    fn bitwise_operations_are_exact() {
        for a in all() {
            for b in all() {
                for (abs, conc) in [
                    (Tnum::and(a, b), (|x, y| x & y) as fn(u64, u64) -> u64),
                    (Tnum::or(a, b), |x, y| x | y),
                    (Tnum::xor(a, b), |x, y| x ^ y),
                ] {
                    let hull = members(a)
                        .flat_map(|x| members(b).map(move |y| Tnum::constant(conc(x, y))))
                        .reduce(Tnum::union);
                    assert_eq!(hull, Some(abs), "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn intersection_overlap_and_order_agree_with_sets() {
        for a in all() {
            for b in all() {
                let common: Vec<u64> = members(a).filter(|x| b.has(*x)).collect();
                assert_eq!(a.overlaps(b), !common.is_empty());
                if a.overlaps(b) {
                    assert_eq!(members(a.intersect(b)).collect::<Vec<_>>(), common);
                }
                assert_eq!(a.is_in(b), members(a).all(|x| b.has(x)), "{a:?} in {b:?}");
            }
        }
    }

    #[test]
    fn shifts_contain_every_concrete_result() {
        for low in all() {
            for up in [0, 28, 60] {
                let t = low.lsh(up);
                for k in 0..64 {
                    for x in members(low).map(|x| x << up) {
                        assert!(t.lsh(k).has(x << k));
                        assert!(t.rsh(k).has(x >> k));
                        assert!(t.arsh64(k).has((x as i64 >> k) as u64));
                        if k < 32 {
                            assert!(t.arsh32(k).has((x as i32 >> k) as u32 as u64));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn range_is_the_smallest_prefix() {
        for a in 0..=TOP {
            for b in a..=TOP {
                let t = Tnum::range(a, b);
                assert!((a..=b).all(|x| t.has(x)));
                assert_eq!(t, Tnum::range(b, a));
                let hull = (a..=b).map(Tnum::constant).reduce(Tnum::union);
                assert_eq!(hull, Some(t));
            }
        }
        assert_eq!(Tnum::range(0, u64::MAX), Tnum::UNKNOWN);
    }

    #[test]
    fn step_finds_the_next_member() {
        for t in all() {
            for z in 0..=TOP + 2 {
                let want = members(t).find(|x| *x > z).unwrap_or(t.max());
                assert_eq!(t.step(z), want, "{t:?} after {z}");
                let high = t.lsh(60);
                assert_eq!(high.step(z << 60), if z > TOP { high.step(z << 60) } else { want << 60 });
            }
        }
    }

    #[test]
    fn alignment_and_casts() {
        for t in all() {
            for size in [0, 1, 2, 4, 8] {
                assert_eq!(t.is_aligned(size), members(t).all(|x| size == 0 || x % size == 0));
            }
        }
        let t = Tnum { value: 0x1122_3344_0000_0000, mask: 0xff };
        assert_eq!(t.subreg(), Tnum { value: 0, mask: 0xff });
        assert_eq!(t.clear_subreg(), Tnum::constant(0x1122_3344_0000_0000));
        assert_eq!(t.with_subreg(Tnum::constant(7)), t.const_subreg(7));
        assert_eq!(Tnum { value: 1, mask: 0xff0 }.bswap(16), Tnum { value: 0x100, mask: 0xf00f });
        assert_eq!(Tnum { value: 1, mask: 0xff0 }.bswap(32), Tnum { value: 0x100_0000, mask: 0xf00f_0000 });
    }
}
