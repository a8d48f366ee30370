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

/// One element of the index.
#[derive(Clone, Copy, Debug)]
pub struct Element {
    /// The key itself where it has at most 8 bytes, else its hash.
    key: u64,
    /// Address of the first CPU's value.
    pub value: u64,
    pub slot: u32,
}

#[derive(Debug)]
pub struct Table {
    key_size: usize,
    index: HashTable<Element>,
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

    /// A short key as a number. `None`: the key is long.
    #[inline]
    fn short(key: &[u8]) -> Option<u64> {
        match key.len() {
            4 => Some(u64::from(u32::from_le_bytes(key.try_into().ok()?))),
            8 => Some(u64::from_le_bytes(key.try_into().ok()?)),
            n if n < 8 => {
                let mut all = [0; 8];
                all[..n].copy_from_slice(key);
                Some(u64::from_le_bytes(all))
            }
            _ => None,
        }
    }

    /// What an element keeps of a key.
    #[inline]
    fn digest(key: &[u8]) -> u64 {
        Self::short(key).unwrap_or_else(|| FxBuildHasher.hash_one(key))
    }

    /// Both ends of the hash must depend on all of the key: the index takes its place from one and a tag from the other.
    #[inline]
    fn spread(digest: u64) -> u64 {
        let h = digest.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        h ^ h >> 32
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// The element of a key of at most 8 bytes, given as a number.
    #[inline]
    pub fn find_short(&self, key: u64) -> Option<&Element> {
        self.index.find(Self::spread(key), |e| e.key == key)
    }

    #[inline]
    pub fn element(&self, key: &[u8]) -> Option<&Element> {
        if let Some(short) = Self::short(key) {
            return self.find_short(short);
        }
        let digest = Self::digest(key);
        self.index.find(Self::spread(digest), |e| e.key == digest && self.keys.equals(e.slot, key))
    }

    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        self.element(key).map(|e| e.slot)
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
        let digest = Self::digest(key);
        let element = Element { key: digest, value: self.values.address(slot, 0), slot };
        self.index.insert_unique(Self::spread(digest), element, |e| Self::spread(e.key));
    }

    /// Gives a key that is there another slot, and frees the one that it had.
    pub fn relink(&mut self, key: &[u8], slot: u32) {
        self.keys.write(slot, 0, key);
        let (keys, digest) = (&self.keys, Self::digest(key));
        let long = key.len() > 8;
        let found =
            self.index.find_mut(Self::spread(digest), |e| e.key == digest && (!long || keys.equals(e.slot, key)));
        if let Some(element) = found {
            let old = std::mem::replace(&mut element.slot, slot);
            element.value = self.values.address(slot, 0);
            self.free.push_back(old);
        }
    }

    /// Takes a key's slot out of the index and frees it.
    pub fn unlink(&mut self, key: &[u8]) -> Option<u32> {
        let (keys, digest) = (&self.keys, Self::digest(key));
        let long = key.len() > 8;
        let entry = self
            .index
            .find_entry(Self::spread(digest), |e| e.key == digest && (!long || keys.equals(e.slot, key)))
            .ok()?;
        let slot = entry.remove().0.slot;
        self.free.push_back(slot);
        Some(slot)
    }

    /// Linked slots in the order of their numbers.
    pub fn slots(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.index.iter().map(|e| e.slot).collect();
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
