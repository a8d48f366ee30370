//! BLOOM_FILTER: push values, ask whether one may be present. The kernel seeds its hash at random, so false positives differ from kernel to
//! kernel; here the seed is fixed, and size and number of hashes follow the kernel's rule.

use std::cell::RefCell;
use std::hash::BuildHasher;

use program::MapDef;
use rustc_hash::FxBuildHasher;
use spec::Errno;

use super::{ANY, MapResult};

#[derive(Debug)]
pub struct Bloom {
    bits: RefCell<Vec<u64>>,
    mask: u32,
    hashes: u32,
}

impl Bloom {
    pub fn new(def: &MapDef) -> MapResult<Self> {
        if def.key_size != 0 || def.value_size == 0 || def.max_entries == 0 || def.map_extra > 15 {
            return Err(Errno::EINVAL);
        }
        let hashes = if def.map_extra == 0 { 5 } else { def.map_extra as u32 };
        // Optimal size for this many hashes is entries * hashes / ln 2, then up to a power of two; at least one word.
        let wanted = (f64::from(def.max_entries) * f64::from(hashes) / std::f64::consts::LN_2).ceil();
        let bits =
            if wanted >= f64::from(1u32 << 31) { 1u64 << 32 } else { (wanted as u64).max(64).next_power_of_two() };
        Ok(Self { bits: RefCell::new(vec![0; (bits / 64) as usize]), mask: (bits - 1) as u32, hashes })
    }

    fn places(&self, value: &[u8]) -> impl Iterator<Item = (usize, u64)> {
        let base = FxBuildHasher.hash_one(value);
        (0..self.hashes).map(move |i| {
            // The short-key hash is mixed once more (splitmix64's end) so that each of its bits counts.
            let mut h = base.wrapping_add(u64::from(i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bit = (h ^ (h >> 31)) as u32 & self.mask;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }

    pub fn push(&self, value: &[u8], flags: u64) -> MapResult {
        if flags != ANY {
            return Err(Errno::EINVAL);
        }
        let mut bits = self.bits.borrow_mut();
        for (word, bit) in self.places(value) {
            bits[word] |= bit;
        }
        Ok(())
    }

    /// Whether the value may have been pushed.
    pub fn holds(&self, value: &[u8]) -> bool {
        let bits = self.bits.borrow_mut();
        self.places(value).all(|(word, bit)| bits[word] & bit != 0)
    }
}
