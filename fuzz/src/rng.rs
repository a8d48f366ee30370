//! Random numbers: seeded, the same on every machine and in every version, which saved seeds rely on.

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.number() % n }
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).max(1) as u64) as i64
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of a non-empty list.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    /// An index by weight; weights must not all be 0.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut left = self.below(weights.iter().map(|w| u64::from(*w)).sum());
        for (i, w) in weights.iter().enumerate() {
            if left < u64::from(*w) {
                return i;
            }
            left -= u64::from(*w);
        }
        0
    }

    /// A 32-bit number from where bugs live: small, around powers of two, at the ends, or anything.
    pub fn interesting(&mut self) -> i32 {
        const EDGES: [i32; 12] = [0, 1, -1, 2, -2, 7, 8, 63, 255, i32::MAX, i32::MIN, i32::MIN + 1];
        match self.below(6) {
            0 => self.pick(&EDGES),
            1 | 2 => self.between(-16, 64) as i32,
            3 => (1i32.wrapping_shl(self.below(32) as u32)).wrapping_add(self.between(-1, 1) as i32),
            4 => -(1i32.wrapping_shl(self.below(31) as u32)),
            _ => self.number() as i32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_never_changes() {
        let mut r = Rng::new(1);
        assert_eq!([r.number(), r.number()], [0x910a_2dec_8902_5cc1, 0xbeeb_8da1_658e_ec67]);
    }

    #[test]
    fn weights_of_zero_are_never_taken() {
        let mut r = Rng::new(7);
        assert!((0..1000).all(|_| r.weighted(&[0, 3, 0, 1]) % 2 == 1));
    }
}
