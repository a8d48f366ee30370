//! STACK_TRACE: call stacks by their hash. Where a stack comes from is the world's business (`Values::kernel_stack`, `user_stack`).

use std::cell::RefCell;
use std::collections::BTreeMap;

use program::MapDef;
use spec::Errno;

use super::MapResult;

/// Bits of bpf_get_stackid's flags.
const FAST_COMPARE: u64 = 1 << 9;
const REUSE: u64 = 1 << 10;
const BUILD_ID: u32 = 1 << 5;

#[derive(Debug)]
pub struct StackTraces {
    buckets: RefCell<BTreeMap<u32, (u32, Vec<u64>)>>,
    count: u32,
    /// Most addresses of a stack.
    depth: usize,
    /// Build ids in place of addresses are not modelled.
    build_ids: bool,
}

/// Bob Jenkins' hash of 32-bit words (public domain, lookup3), as the kernel seeds it.
fn jhash2(words: &[u32], seed: u32) -> u32 {
    let start = 0xdead_beefu32.wrapping_add((words.len() as u32) << 2).wrapping_add(seed);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut rest = words;
    while rest.len() > 3 {
        a = a.wrapping_add(rest[0]);
        b = b.wrapping_add(rest[1]);
        c = c.wrapping_add(rest[2]);
        for (shift_a, shift_b, shift_c) in [(4, 6, 8), (16, 19, 4)] {
            a = a.wrapping_sub(c) ^ c.rotate_left(shift_a);
            c = c.wrapping_add(b);
            b = b.wrapping_sub(a) ^ a.rotate_left(shift_b);
            a = a.wrapping_add(c);
            c = c.wrapping_sub(b) ^ b.rotate_left(shift_c);
            b = b.wrapping_add(a);
        }
        rest = &rest[3..];
    }
    if rest.is_empty() {
        return c;
    }
    let word = |i: usize| rest.get(i).copied().unwrap_or(0);
    a = a.wrapping_add(word(0));
    b = b.wrapping_add(word(1));
    c = c.wrapping_add(word(2));
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

impl StackTraces {
    pub fn new(def: &MapDef) -> MapResult<Self> {
        let build_ids = def.map_flags & BUILD_ID != 0;
        let each = if build_ids { 32 } else { 8 };
        let sizes = def.value_size >= each && def.value_size.is_multiple_of(each) && def.value_size / each <= 127;
        if def.key_size != 4 || !sizes || def.max_entries == 0 {
            return Err(Errno::EINVAL);
        }
        if def.max_entries > 1 << 31 {
            return Err(Errno::E2BIG);
        }
        Ok(Self {
            buckets: RefCell::default(),
            count: def.max_entries.next_power_of_two(),
            depth: (def.value_size / each) as usize,
            build_ids,
        })
    }

    pub fn has_build_ids(&self) -> bool {
        self.build_ids
    }

    /// Stores a stack, innermost frame first, and answers its id.
    pub fn store(&self, stack: &[u64], flags: u64) -> MapResult<u32> {
        let skip = (flags & 0xff) as usize;
        let stack = stack.get(skip..).filter(|s| !s.is_empty()).ok_or(Errno::EFAULT)?;
        let stack = &stack[..stack.len().min(self.depth)];
        let words: Vec<u32> = stack.iter().flat_map(|ip| [*ip as u32, (*ip >> 32) as u32]).collect();
        let hash = jhash2(&words, 0);
        let id = hash & (self.count - 1);
        let mut buckets = self.buckets.borrow_mut();
        if let Some((old_hash, old)) = buckets.get(&id) {
            let equal = *old_hash == hash && (flags & FAST_COMPARE != 0 || old == stack);
            if equal {
                return Ok(id);
            }
            if flags & REUSE == 0 {
                return Err(Errno::EEXIST);
            }
        }
        buckets.insert(id, (hash, stack.to_vec()));
        Ok(id)
    }

    fn key(key: &[u8]) -> Option<u32> {
        Some(u32::from_le_bytes(key.get(..4)?.try_into().ok()?))
    }

    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let buckets = self.buckets.borrow_mut();
        let (_, stack) = buckets.get(&Self::key(key)?)?;
        let mut out: Vec<u8> = stack.iter().flat_map(|ip| ip.to_le_bytes()).collect();
        out.resize(self.depth * 8, 0);
        Some(out)
    }

    pub fn remove(&self, key: &[u8]) -> MapResult {
        let id = Self::key(key).filter(|id| *id < self.count).ok_or(Errno::E2BIG)?;
        self.buckets.borrow_mut().remove(&id).map(|_| ()).ok_or(Errno::ENOENT)
    }

    pub fn keys(&self) -> Vec<Vec<u8>> {
        self.buckets.borrow_mut().keys().map(|k| k.to_le_bytes().to_vec()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_kernels() {
        // bpf_get_stackid on Linux 6.18.44, 2^20 buckets, three and four frames.
        let stack = [0xffff_ffff_c002_5bf0, 0xffff_ffff_81f0_602a, 0xffff_ffff_81f0_7f97];
        let longer = [0xffff_ffff_c002_5c10, stack[1], stack[2], 0xffff_ffff_814d_bf21];
        let def = MapDef { map_type: 7, key_size: 4, value_size: 32, max_entries: 1 << 20, ..MapDef::default() };
        let map = StackTraces::new(&def).expect("a map");
        assert_eq!(map.store(&stack, 0), Ok(107_777));
        assert_eq!(map.store(&longer, 0), Ok(948_638));
    }

    #[test]
    fn stacks_are_found_again_and_collide_as_told() {
        let def = MapDef { map_type: 7, key_size: 4, value_size: 24, max_entries: 1, ..MapDef::default() };
        let map = StackTraces::new(&def).expect("a map");
        let id = map.store(&[1, 2, 3, 4], 0).expect("stored");
        assert_eq!(map.get(&id.to_le_bytes()).map(|v| v.len()), Some(24));
        assert_eq!(map.store(&[1, 2, 3, 9], 0), Ok(id), "cut to three frames");
        assert_eq!(map.store(&[9, 1, 2, 3], 1), Ok(id), "one frame skipped");
        assert_eq!(map.store(&[5], 0), Err(Errno::EEXIST));
        assert_eq!(map.store(&[5], REUSE), Ok(0));
        assert_eq!(map.store(&[5], 1), Err(Errno::EFAULT));
    }
}
