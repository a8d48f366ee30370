//! HASH, PERCPU_HASH, LRU_HASH, LRU_PERCPU_HASH.
//!
//! As in the kernel, updating an existing key of a HASH puts the new value into another element, so that a pointer from an earlier lookup keeps
//! seeing the old value; a per-cpu value is changed in place.
//!
//! LRU policy: when the map is full, the element that was inserted or updated longest ago goes, except that one that was looked up since gets a
//! second chance (a clock). The kernel approximates the same order with per-cpu lists, so which element goes may differ there.

use std::collections::VecDeque;
use std::sync::Mutex;

use program::MapDef;
use spec::Errno;

use super::table::{Reuse, Table};
use super::{EXIST, F_LOCK, F_NO_PREALLOC, Fields, MapResult, NOEXIST, lock, round8};
use crate::region::Region;

#[derive(Debug)]
struct Inner {
    table: Table,
    /// LRU only: slots from the oldest on, and per slot whether it was looked up since it was queued.
    queue: VecDeque<u32>,
    referenced: Vec<bool>,
}

#[derive(Debug)]
pub struct Hash {
    inner: Mutex<Inner>,
    fields: Fields,
    value_size: usize,
    stride: usize,
    max_entries: usize,
    cpus: u32,
    per_cpu: bool,
    lru: bool,
}

impl Hash {
    pub fn new(def: &MapDef, cpus: u32, lru: bool, fields: &Fields) -> MapResult<Self> {
        if def.key_size == 0 || def.value_size == 0 || def.max_entries == 0 {
            return Err(Errno::EINVAL);
        }
        let per_cpu = matches!(def.map_type, 5 | 10);
        if lru && def.map_flags & F_NO_PREALLOC != 0 {
            return Err(Errno::ENOTSUPP);
        }
        let too_big = u64::from(def.key_size) + u64::from(def.value_size) >= (4 << 20) - 48;
        if too_big || (per_cpu && round8(def.value_size) > 32768) || def.max_entries > 1 << 31 {
            return Err(Errno::E2BIG);
        }
        let reuse = if def.map_flags & F_NO_PREALLOC != 0 { Reuse::Oldest } else { Reuse::Newest };
        let table = Table::new(def.key_size, def.value_size, cpus, reuse);
        Ok(Self {
            inner: Mutex::new(Inner { table, queue: VecDeque::new(), referenced: Vec::new() }),
            fields: fields.clone(),
            value_size: def.value_size as usize,
            stride: round8(def.value_size),
            max_entries: def.max_entries as usize,
            cpus,
            per_cpu,
            lru,
        })
    }

    #[inline]
    pub fn lookup(&self, key: &[u8], cpu: u32) -> Option<u64> {
        let mut inner = lock(&self.inner);
        let slot = inner.table.find(key)?;
        if self.lru {
            inner.mark(slot);
        }
        let part = if self.per_cpu { cpu } else { 0 };
        (part < self.cpus).then(|| inner.table.values().address(slot, part))
    }

    /// For callbacks: (slot, key address, value address) of every element.
    pub fn elements(&self, cpu: u32) -> Vec<(u32, u64, u64)> {
        let inner = lock(&self.inner);
        let part = if self.per_cpu { cpu.min(self.cpus - 1) } else { 0 };
        let table = &inner.table;
        table.slots().into_iter().map(|s| (s, table.key_address(s), table.values().address(s, part))).collect()
    }

    /// Whether the slot still holds a linked element (a callback may have deleted it).
    pub fn is_live(&self, slot: u32) -> bool {
        let inner = lock(&self.inner);
        inner.table.find(&inner.table.key(slot)) == Some(slot)
    }

    /// Flag and existence checks that all updates share. `Some(slot)` when the key exists.
    fn admit(&self, inner: &Inner, key: &[u8], flags: u64) -> MapResult<Option<u32>> {
        let lockable = !self.lru && !self.per_cpu;
        if (if lockable { flags & !F_LOCK } else { flags }) > EXIST {
            return Err(Errno::EINVAL);
        }
        if flags & F_LOCK != 0 && self.fields.spin_lock.is_none() {
            return Err(Errno::EINVAL);
        }
        let old = inner.table.find(key);
        match (old, flags & !F_LOCK) {
            (Some(_), NOEXIST) => Err(Errno::EEXIST),
            (None, EXIST) => Err(Errno::ENOENT),
            _ => Ok(old),
        }
    }

    /// A free slot for a new element; evicts in an LRU map.
    fn allocate(&self, inner: &mut Inner, replacing: bool) -> MapResult<u32> {
        if !replacing && inner.table.len() >= self.max_entries {
            if !self.lru {
                return Err(Errno::E2BIG);
            }
            inner.evict();
        }
        inner.table.take().ok_or(Errno::ENOMEM)
    }

    fn copy_in(&self, inner: &Inner, slot: u32, part: usize, value: &[u8]) {
        for (at, n) in self.fields.data(self.value_size.min(value.len())) {
            inner.table.values().write(slot, part * self.stride + at, &value[at..at + n]);
        }
    }

    pub fn update(&self, key: &[u8], value: &[u8], flags: u64, cpu: u32) -> MapResult {
        self.change(key, value, flags, Some(cpu))
    }

    /// `cpu`: whose value a per-cpu map changes; `None` for all of them (the user's side).
    fn change(&self, key: &[u8], value: &[u8], flags: u64, cpu: Option<u32>) -> MapResult {
        let inner = &mut *lock(&self.inner);
        let old = self.admit(inner, key, flags)?;
        let in_place = self.per_cpu || flags & F_LOCK != 0;
        if let (Some(slot), true) = (old, in_place) {
            self.copy_parts(inner, slot, value, cpu);
            if self.lru {
                inner.mark(slot);
            }
            return Ok(());
        }
        let slot = self.allocate(inner, old.is_some())?;
        inner.table.values().clear(slot);
        self.copy_parts(inner, slot, value, cpu);
        if let Some(old) = old {
            inner.table.unlink(key);
            inner.queue.retain(|&s| s != old);
        }
        inner.table.link(key, slot);
        if self.lru {
            inner.enqueue(slot);
        }
        Ok(())
    }

    fn copy_parts(&self, inner: &Inner, slot: u32, value: &[u8], cpu: Option<u32>) {
        match cpu {
            _ if !self.per_cpu => self.copy_in(inner, slot, 0, value),
            Some(cpu) => self.copy_in(inner, slot, cpu.min(self.cpus - 1) as usize, value),
            None => {
                for (part, bytes) in value.chunks(self.stride).enumerate().take(self.cpus as usize) {
                    self.copy_in(inner, slot, part, bytes);
                }
            }
        }
    }

    pub fn delete(&self, key: &[u8]) -> MapResult {
        let inner = &mut *lock(&self.inner);
        let slot = inner.table.unlink(key).ok_or(Errno::ENOENT)?;
        if self.lru {
            inner.queue.retain(|&s| s != slot);
        }
        Ok(())
    }

    pub fn user_value_size(&self) -> usize {
        if self.per_cpu { self.stride * self.cpus as usize } else { self.value_size }
    }

    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let inner = lock(&self.inner);
        let slot = inner.table.find(key)?;
        Some(inner.table.values().read(slot, 0, self.user_value_size()).to_vec())
    }

    pub fn put(&self, key: &[u8], value: &[u8], flags: u64) -> MapResult {
        self.change(key, value, flags, None)
    }

    pub fn keys(&self) -> Vec<Vec<u8>> {
        lock(&self.inner).table.keys()
    }

    pub fn regions(&self, add: &mut dyn FnMut(Region)) {
        lock(&self.inner).table.regions(add);
    }
}

impl Inner {
    fn mark(&mut self, slot: u32) {
        if let Some(bit) = self.referenced.get_mut(slot as usize) {
            *bit = true;
        }
    }

    fn enqueue(&mut self, slot: u32) {
        if self.referenced.len() <= slot as usize {
            self.referenced.resize(slot as usize + 1, false);
        }
        self.referenced[slot as usize] = false;
        self.queue.push_back(slot);
    }

    fn evict(&mut self) {
        while let Some(slot) = self.queue.pop_front() {
            if std::mem::take(&mut self.referenced[slot as usize]) {
                self.queue.push_back(slot);
                continue;
            }
            let key = self.table.key(slot);
            self.table.unlink(&key);
            return;
        }
    }
}
