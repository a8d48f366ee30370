//! LPM_TRIE: keys are a prefix length (u32) and address bytes, most significant bit first; a lookup finds the longest stored prefix.

use std::cell::RefCell;
use std::collections::BTreeMap;

use program::MapDef;
use spec::Errno;

use super::table::{Reuse, Table};
use super::{EXIST, F_NO_PREALLOC, MapResult, NOEXIST};
use crate::memory::Bytes;
use crate::region::Region;

#[derive(Debug)]
struct Inner {
    /// By canonical key: prefix length and address with the bits beyond it cleared.
    table: Table,
    /// How many stored prefixes have each length, so that a lookup tries only lengths that exist.
    lengths: BTreeMap<u32, u32>,
    /// Canonical key to the key as it was stored, which keeps its host bits.
    stored: BTreeMap<Bytes, Bytes>,
}

#[derive(Debug)]
pub struct Lpm {
    inner: RefCell<Inner>,
    max_prefix: u32,
    max_entries: usize,
    value_size: usize,
}

impl Lpm {
    pub fn new(def: &MapDef) -> MapResult<Self> {
        let sizes_ok = (5..=260).contains(&def.key_size) && (1..=(4 << 20) - 280).contains(&def.value_size);
        if def.max_entries == 0 || def.map_flags & F_NO_PREALLOC == 0 || !sizes_ok {
            return Err(Errno::EINVAL);
        }
        let table = Table::new(def.key_size, def.value_size, 1, Reuse::Oldest);
        Ok(Self {
            inner: RefCell::new(Inner { table, lengths: BTreeMap::new(), stored: BTreeMap::new() }),
            max_prefix: (def.key_size - 4) * 8,
            max_entries: def.max_entries as usize,
            value_size: def.value_size as usize,
        })
    }

    fn prefix(key: &[u8]) -> Option<u32> {
        Some(u32::from_le_bytes(key.get(..4)?.try_into().ok()?))
    }

    /// The key with another prefix length and the bits beyond it cleared.
    fn canonical(key: &[u8], prefix: u32) -> Bytes {
        let mut out = Bytes::from_slice(key);
        out[..4].copy_from_slice(&prefix.to_le_bytes());
        for (i, byte) in out[4..].iter_mut().enumerate() {
            let kept = prefix.saturating_sub(i as u32 * 8).min(8);
            *byte &= !(0xffu32 >> kept) as u8;
        }
        out
    }

    fn find(&self, inner: &Inner, key: &[u8]) -> Option<u32> {
        let prefix = Self::prefix(key)?;
        if prefix > self.max_prefix {
            return None;
        }
        inner.lengths.range(..=prefix).rev().find_map(|(&n, _)| inner.table.find(&Self::canonical(key, n)))
    }

    pub fn lookup(&self, key: &[u8]) -> Option<u64> {
        let inner = self.inner.borrow_mut();
        self.find(&inner, key).map(|slot| inner.table.values().address(slot, 0))
    }

    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let inner = self.inner.borrow_mut();
        self.find(&inner, key).map(|slot| inner.table.values().read(slot, 0, self.value_size).to_vec())
    }

    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> MapResult {
        if flags > EXIST {
            return Err(Errno::EINVAL);
        }
        let prefix = Self::prefix(key).filter(|&p| p <= self.max_prefix).ok_or(Errno::EINVAL)?;
        let canonical = Self::canonical(key, prefix);
        let inner = &mut *self.inner.borrow_mut();
        let exists = inner.table.find(&canonical).is_some();
        if exists && flags == NOEXIST {
            return Err(Errno::EEXIST);
        }
        if !exists && flags == EXIST {
            return Err(Errno::ENOENT);
        }
        if !exists && inner.table.len() >= self.max_entries {
            return Err(Errno::ENOSPC);
        }
        let slot = inner.table.take().ok_or(Errno::ENOMEM)?;
        inner.table.values().write(slot, 0, &value[..value.len().min(self.value_size)]);
        if exists {
            inner.table.unlink(&canonical);
        } else {
            *inner.lengths.entry(prefix).or_default() += 1;
        }
        inner.table.link(&canonical, slot);
        inner.stored.insert(canonical, Bytes::from_slice(key));
        Ok(())
    }

    pub fn delete(&self, key: &[u8]) -> MapResult {
        let prefix = Self::prefix(key).filter(|&p| p <= self.max_prefix).ok_or(Errno::EINVAL)?;
        let canonical = Self::canonical(key, prefix);
        let inner = &mut *self.inner.borrow_mut();
        inner.table.unlink(&canonical).ok_or(Errno::ENOENT)?;
        inner.stored.remove(&canonical);
        if let Some(n) = inner.lengths.get_mut(&prefix) {
            *n -= 1;
            if *n == 0 {
                inner.lengths.remove(&prefix);
            }
        }
        Ok(())
    }

    pub fn keys(&self) -> Vec<Vec<u8>> {
        self.inner.borrow_mut().stored.values().map(|k| k.to_vec()).collect()
    }

    pub fn regions(&self, add: &mut dyn FnMut(Region)) {
        self.inner.borrow_mut().table.regions(add);
    }
}
