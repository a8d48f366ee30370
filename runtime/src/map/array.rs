//! ARRAY and PERCPU_ARRAY (and CGROUP_ARRAY, whose values are cgroup ids): one block, elements 8-aligned, all CPUs' values of an element side by
//! side.

use program::MapDef;
use spec::Errno;

use super::{EXIST, F_LOCK, Fields, MapResult, NOEXIST, round8};
use crate::memory::Block;
use crate::region::{Kind, Region};

#[derive(Debug)]
pub struct Array {
    block: Block,
    fields: Fields,
    value_size: usize,
    stride: usize,
    entries: u32,
    cpus: u32,
    per_cpu: bool,
}

impl Array {
    pub fn new(def: &MapDef, cpus: u32, fields: &Fields) -> MapResult<Self> {
        if def.key_size != 4 || def.value_size == 0 || def.max_entries == 0 {
            return Err(Errno::EINVAL);
        }
        let per_cpu = def.map_type == 6;
        if def.value_size > i32::MAX as u32 || (per_cpu && round8(def.value_size) > 32768) {
            return Err(Errno::E2BIG);
        }
        let stride = round8(def.value_size);
        let len = stride.checked_mul(cpus as usize).and_then(|n| n.checked_mul(def.max_entries as usize));
        let block = len.and_then(Block::zeroed).ok_or(Errno::ENOMEM)?;
        Ok(Self {
            block,
            fields: fields.clone(),
            value_size: def.value_size as usize,
            stride,
            entries: def.max_entries,
            cpus,
            per_cpu,
        })
    }

    /// Initial contents of element 0 (.data, .rodata): bytes beyond the value are dropped.
    pub fn preset(&self, bytes: &[u8]) {
        self.block.write(0, &bytes[..bytes.len().min(self.value_size)]);
    }

    fn index(key: &[u8]) -> Option<u32> {
        Some(u32::from_le_bytes(key.get(..4)?.try_into().ok()?))
    }

    #[inline]
    fn offset(&self, index: u32, cpu: u32) -> Option<usize> {
        (index < self.entries && cpu < self.cpus)
            .then(|| (index as usize * self.cpus as usize + cpu as usize) * self.stride)
    }

    #[inline]
    pub fn address_of(&self, index: u32, cpu: u32) -> Option<u64> {
        self.offset(index, cpu).map(|off| self.block.addr() + off as u64)
    }

    #[inline]
    pub fn lookup(&self, key: &[u8], cpu: u32) -> Option<u64> {
        self.address_of(Self::index(key)?, if self.per_cpu { cpu } else { 0 })
    }

    /// What a JIT needs for an inlined lookup: address of element 0, distance of elements, number of elements.
    pub fn layout(&self) -> (u64, u64, u32) {
        (self.block.addr(), (self.stride * self.cpus as usize) as u64, self.entries)
    }

    pub fn entries(&self) -> u32 {
        self.entries
    }

    fn check(&self, key: &[u8], flags: u64) -> MapResult<u32> {
        if flags & !F_LOCK > EXIST {
            return Err(Errno::EINVAL);
        }
        let index = Self::index(key).ok_or(Errno::EINVAL)?;
        if index >= self.entries {
            return Err(Errno::E2BIG);
        }
        if flags & NOEXIST != 0 {
            return Err(Errno::EEXIST);
        }
        if flags & F_LOCK != 0 && self.fields.spin_lock.is_none() {
            return Err(Errno::EINVAL);
        }
        Ok(index)
    }

    fn copy_in(&self, off: usize, value: &[u8]) {
        for (at, n) in self.fields.data(self.value_size.min(value.len())) {
            self.block.write(off + at, &value[at..at + n]);
        }
    }

    pub fn update(&self, key: &[u8], value: &[u8], flags: u64, cpu: u32) -> MapResult {
        let index = self.check(key, flags)?;
        let off = self.offset(index, if self.per_cpu { cpu } else { 0 }).ok_or(Errno::E2BIG)?;
        self.copy_in(off, value);
        Ok(())
    }

    pub fn user_value_size(&self) -> usize {
        if self.per_cpu { self.stride * self.cpus as usize } else { self.value_size }
    }

    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let off = self.offset(Self::index(key)?, 0)?;
        let mut out = vec![0; self.user_value_size()];
        self.block.read(off, &mut out);
        Some(out)
    }

    pub fn put(&self, key: &[u8], value: &[u8], flags: u64) -> MapResult {
        if self.per_cpu && flags > EXIST {
            return Err(Errno::EINVAL);
        }
        let index = self.check(key, flags)?;
        for cpu in 0..self.cpus {
            let off = self.offset(index, cpu).ok_or(Errno::E2BIG)?;
            self.copy_in(off, &value[(cpu as usize * self.stride).min(value.len())..]);
        }
        Ok(())
    }

    pub fn keys(&self) -> Vec<Vec<u8>> {
        (0..self.entries).map(|i| i.to_le_bytes().to_vec()).collect()
    }

    pub fn regions(&self, add: &mut dyn FnMut(Region)) {
        let row = Region::new(Kind::MapValue, self.block.addr(), self.block.len() as u64);
        add(row.row(self.stride as u32, self.value_size as u32));
    }
}
