//! Special fields of map values (locks, timers, kptrs, ...): copies of a value leave them alone. Found in the map's BTF. Not here: what the
//! fields do.

use program::MapDef;

/// Byte ranges of the value that are not data, sorted by offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// (offset, length).
    pub ranges: Vec<(u32, u32)>,
    /// Offset of the bpf_spin_lock, if there is one.
    pub spin_lock: Option<u32>,
}

impl Fields {
    pub fn of(def: &MapDef) -> Self {
        let _ = def;
        Self::default()
    }

    /// The pieces of a value of `len` bytes that are data: (offset, length).
    pub fn data(&self, len: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut at = 0;
        let ends = self.ranges.iter().map(|&(o, n)| (o as usize, n as usize)).chain([(len, 0)]);
        ends.filter_map(move |(off, n)| {
            let (from, to) = (at, off.min(len));
            at = off + n;
            (to > from).then_some((from, to - from))
        })
    }

    /// Zeroes the special fields in a copy for the user; `stride` separates the CPUs' values.
    pub fn hide(&self, value: &mut [u8], stride: usize) {
        for part in value.chunks_mut(stride.max(1)) {
            for &(off, n) in &self.ranges {
                if let Some(bytes) = part.get_mut(off as usize..(off + n) as usize) {
                    bytes.fill(0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_what_lies_between_fields() {
        let fields = Fields { ranges: vec![(0, 4), (8, 16)], spin_lock: Some(0) };
        assert_eq!(fields.data(32).collect::<Vec<_>>(), [(4, 4), (24, 8)]);
        assert_eq!(Fields::default().data(5).collect::<Vec<_>>(), [(0, 5)]);
        let mut v = [1u8; 32];
        fields.hide(&mut v, 32);
        assert_eq!(v.iter().filter(|b| **b == 0).count(), 20);
    }
}
