//! HASH, PERCPU_HASH, LRU_HASH, LRU_PERCPU_HASH.
//!
//! As in the kernel, updating an existing key of a HASH puts the new value into another element, so that a pointer from an earlier lookup keeps
//! seeing the old value; a per-cpu value is changed in place.
//!
//! LRU policy: when the map is full, the element that was inserted or updated longest ago goes, except that one that was looked up since gets a
//! second chance (a clock). The kernel approximates the same order with per-cpu lists, so which element goes may differ there.

use std::cell::{Cell, RefCell};

use program::MapDef;
use spec::Errno;

use super::table::{Element, Reuse, Table};
use super::{EXIST, F_LOCK, F_NO_PREALLOC, Fields, MapResult, NOEXIST, round8};
use crate::region::Region;

#[derive(Debug)]
struct Inner {
    table: Table,
    /// LRU only.
    queue: Queue,
}

/// End of the queue.
const NONE: u32 = u32::MAX;

/// A slot's place in the queue.
#[derive(Debug)]
struct Link {
    older: u32,
    newer: u32,
    /// Looked up since it was queued.
    referenced: Cell<bool>,
}

/// Slots from the oldest on, linked both ways, so that any of them leaves in constant time.
#[derive(Debug)]
struct Queue {
    links: Vec<Link>,
    oldest: u32,
    newest: u32,
}

#[derive(Debug)]
pub struct Hash {
    inner: RefCell<Inner>,
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
            inner: RefCell::new(Inner { table, queue: Queue::new() }),
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
        let inner = self.inner.borrow();
        self.found(&inner, inner.table.element(key)?, cpu)
    }

    /// The same for a key of at most 8 bytes, given as a number.
    #[inline]
    pub fn lookup_short(&self, key: u64, cpu: u32) -> Option<u64> {
        let inner = self.inner.borrow();
        self.found(&inner, inner.table.find_short(key)?, cpu)
    }

    #[inline]
    fn found(&self, inner: &Inner, element: &Element, cpu: u32) -> Option<u64> {
        if self.lru {
            inner.queue.mark(element.slot);
        }
        if !self.per_cpu {
            return Some(element.value);
        }
        (cpu < self.cpus).then(|| element.value + (cpu as usize * self.stride) as u64)
    }

    /// For callbacks: (slot, key address, value address) of every element.
    pub fn elements(&self, cpu: u32) -> Vec<(u32, u64, u64)> {
        let inner = self.inner.borrow_mut();
        let part = if self.per_cpu { cpu.min(self.cpus - 1) } else { 0 };
        let table = &inner.table;
        table.slots().into_iter().map(|s| (s, table.key_address(s), table.values().address(s, part))).collect()
    }

    /// Whether the slot still holds a linked element (a callback may have deleted it).
    pub fn is_live(&self, slot: u32) -> bool {
        let inner = self.inner.borrow_mut();
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
        let inner = &mut *self.inner.borrow_mut();
        let old = self.admit(inner, key, flags)?;
        let in_place = self.per_cpu || flags & F_LOCK != 0;
        if let (Some(slot), true) = (old, in_place) {
            self.copy_parts(inner, slot, value, cpu);
            if self.lru {
                inner.queue.mark(slot);
            }
            return Ok(());
        }
        let slot = self.allocate(inner, old.is_some())?;
        if self.per_cpu || !self.fields.ranges.is_empty() || value.len() < self.value_size {
            inner.table.values().clear(slot);
        }
        self.copy_parts(inner, slot, value, cpu);
        match old {
            Some(old) => {
                inner.table.relink(key, slot);
                if self.lru {
                    inner.queue.remove(old);
                }
            }
            None => inner.table.link(key, slot),
        }
        if self.lru {
            inner.queue.push(slot);
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
        let inner = &mut *self.inner.borrow_mut();
        let slot = inner.table.unlink(key).ok_or(Errno::ENOENT)?;
        if self.lru {
            inner.queue.remove(slot);
        }
        Ok(())
    }

    pub fn user_value_size(&self) -> usize {
        if self.per_cpu { self.stride * self.cpus as usize } else { self.value_size }
    }

    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let inner = self.inner.borrow_mut();
        let slot = inner.table.find(key)?;
        Some(inner.table.values().read(slot, 0, self.user_value_size()).to_vec())
    }

    pub fn put(&self, key: &[u8], value: &[u8], flags: u64) -> MapResult {
        self.change(key, value, flags, None)
    }

    pub fn keys(&self) -> Vec<Vec<u8>> {
        self.inner.borrow_mut().table.keys()
    }

    pub fn regions(&self, add: &mut dyn FnMut(Region)) {
        self.inner.borrow_mut().table.regions(add);
    }
}

impl Inner {
    fn evict(&mut self) {
        while let Some(slot) = self.queue.pop() {
            if self.queue.links[slot as usize].referenced.take() {
                self.queue.push(slot);
                continue;
            }
            let key = self.table.key(slot);
            self.table.unlink(&key);
            return;
        }
    }
}

impl Queue {
    fn new() -> Self {
        Self { links: Vec::new(), oldest: NONE, newest: NONE }
    }

    fn mark(&self, slot: u32) {
        if let Some(link) = self.links.get(slot as usize) {
            link.referenced.set(true);
        }
    }

    /// Queues a slot that is not queued, as the newest.
    fn push(&mut self, slot: u32) {
        while self.links.len() <= slot as usize {
            self.links.push(Link { older: NONE, newer: NONE, referenced: Cell::new(false) });
        }
        self.links[slot as usize] = Link { older: self.newest, newer: NONE, referenced: Cell::new(false) };
        match self.newest {
            NONE => self.oldest = slot,
            before => self.links[before as usize].newer = slot,
        }
        self.newest = slot;
    }

    /// Takes a queued slot out.
    fn remove(&mut self, slot: u32) {
        let Link { older, newer, .. } = self.links[slot as usize];
        match older {
            NONE => self.oldest = newer,
            n => self.links[n as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            n => self.links[n as usize].older = older,
        }
    }

    fn pop(&mut self) -> Option<u32> {
        let slot = self.oldest;
        (slot != NONE).then(|| {
            self.remove(slot);
            slot
        })
    }
}
