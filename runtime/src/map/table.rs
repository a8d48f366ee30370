//! Keys to elements: an index from byte-string keys to slab slots, with the free list. Used by every map kind with arbitrary keys. Not here: flags,
//! limits, eviction.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use super::slab::Slab;
use crate::memory::Bytes;
use crate::region::{Kind, Region};

/// How a freed slot is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Preallocated maps: the last freed is the next used, and its old value stays readable until then.
    Newest,
    /// Maps without preallocation: freed memory stays as it is for long (a grace period in the kernel).
    Oldest,
}

/// Freed slots that a `Reuse::Oldest` table keeps before it uses one again.
const GRACE: usize = 64;

#[derive(Debug)]
pub struct Table {
    key_size: usize,
    index: HashTable<u32>,
    keys: Slab,
    values: Slab,
    free: VecDeque<u32>,
    reuse: Reuse,
}

impl Table {
    pub fn new(key_size: u32, value_size: u32, cpus: u32, reuse: Reuse) -> Self {
        Self {
            key_size: key_size as usize,
            index: HashTable::new(),
            keys: Slab::new(Kind::MapKey, key_size, 1),
            values: Slab::new(Kind::MapValue, value_size, cpus),
            free: VecDeque::new(),
            reuse,
        }
    }

    #[inline]
    fn hash(key: &[u8]) -> u64 {
        FxBuildHasher.hash_one(key)
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        self.index.find(Self::hash(key), |&slot| self.keys.equals(slot, key)).copied()
    }

    pub fn values(&self) -> &Slab {
        &self.values
    }

    /// Address of the stored key (callbacks get it).
    pub fn key_address(&self, slot: u32) -> u64 {
        self.keys.address(slot, 0)
    }

    pub fn key(&self, slot: u32) -> Bytes {
        self.keys.read(slot, 0, self.key_size)
    }

    /// A slot that is not in the index; its value holds what was there before.
    pub fn take(&mut self) -> Option<u32> {
        let enough = self.reuse == Reuse::Newest || self.free.len() >= GRACE;
        let old = match self.reuse {
            Reuse::Newest => self.free.pop_back(),
            Reuse::Oldest if enough => self.free.pop_front(),
            Reuse::Oldest => None,
        };
        match old {
            Some(slot) => Some(slot),
            None => {
                let slot = self.values.push()?;
                self.keys.push()?;
                Some(slot)
            }
        }
    }

    /// Puts a taken slot in the index under a key that is not there yet.
    pub fn link(&mut self, key: &[u8], slot: u32) {
        self.keys.write(slot, 0, key);
        let (keys, size) = (&self.keys, self.key_size);
        self.index.insert_unique(Self::hash(key), slot, |&s| Self::hash(&keys.read(s, 0, size)));
    }

    /// Takes a key's slot out of the index and frees it.
    pub fn unlink(&mut self, key: &[u8]) -> Option<u32> {
        let slot = {
            let keys = &self.keys;
            let entry = self.index.find_entry(Self::hash(key), |&slot| keys.equals(slot, key)).ok()?;
            entry.remove().0
        };
        self.free.push_back(slot);
        Some(slot)
    }

    /// Linked slots in the order of their numbers.
    pub fn slots(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.index.iter().copied().collect();
        all.sort_unstable();
        all
    }

    pub fn keys(&self) -> Vec<Vec<u8>> {
        self.slots().into_iter().map(|s| self.key(s).to_vec()).collect()
    }

    pub fn regions(&self, add: &mut dyn FnMut(Region)) {
        self.keys.regions(add);
        self.values.regions(add);
    }
}
