//! SK_, INODE_, TASK_, CGRP_STORAGE and CGROUP_STORAGE: a value attached to an object. The object's address in this run is the key (0 for the one
//! cgroup of a CGROUP_STORAGE). Not here: what the objects are.

use std::cell::RefCell;

use program::MapDef;
use spec::Errno;

use super::table::{Reuse, Table};
use super::{EXIST, MapResult, NOEXIST, round8};
use crate::region::Region;

#[derive(Debug)]
pub struct LocalStorage {
    table: RefCell<Table>,
    value_size: usize,
    stride: usize,
    cpus: u32,
    /// The user's key is a file descriptor there; here the object's id cut to this size.
    key_size: usize,
}

impl LocalStorage {
    pub fn new(def: &MapDef, cpus: u32) -> MapResult<Self> {
        if def.value_size == 0 || def.max_entries != 0 || !matches!(def.key_size, 4 | 8 | 16) {
            return Err(Errno::EINVAL);
        }
        if def.value_size > 65_407 {
            return Err(Errno::E2BIG);
        }
        Ok(Self {
            table: RefCell::new(Table::new(8, def.value_size, cpus, Reuse::Oldest)),
            value_size: def.value_size as usize,
            stride: round8(def.value_size),
            cpus,
            key_size: def.key_size as usize,
        })
    }

    pub fn find(&self, object: u64, cpu: u32) -> Option<u64> {
        let table = self.table.borrow_mut();
        let slot = table.find(&object.to_le_bytes())?;
        Some(table.values().address(slot, cpu.min(self.cpus - 1)))
    }

    /// The object's value, made zeroed or from `init` if there is none.
    pub fn find_or_create(&self, object: u64, cpu: u32, init: Option<&[u8]>) -> MapResult<u64> {
        if let Some(addr) = self.find(object, cpu) {
            return Ok(addr);
        }
        let mut table = self.table.borrow_mut();
        let slot = table.take().ok_or(Errno::ENOMEM)?;
        table.values().clear(slot);
        if let Some(init) = init {
            table.values().write(slot, 0, &init[..init.len().min(self.value_size)]);
        }
        table.link(&object.to_le_bytes(), slot);
        Ok(table.values().address(slot, cpu.min(self.cpus - 1)))
    }

    pub fn forget(&self, object: u64) -> MapResult {
        self.table.borrow_mut().unlink(&object.to_le_bytes()).map(|_| ()).ok_or(Errno::ENOENT)
    }

    fn object(key: &[u8]) -> u64 {
        let mut id = [0; 8];
        let n = key.len().min(8);
        id[..n].copy_from_slice(&key[..n]);
        u64::from_le_bytes(id)
    }

    pub fn user_value_size(&self) -> usize {
        if self.cpus > 1 { self.stride * self.cpus as usize } else { self.value_size }
    }

    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let table = self.table.borrow_mut();
        let slot = table.find(&Self::object(key).to_le_bytes())?;
        Some(table.values().read(slot, 0, self.user_value_size()).to_vec())
    }

    pub fn put(&self, key: &[u8], value: &[u8], flags: u64) -> MapResult {
        let object = Self::object(key);
        match (self.find(object, 0), flags) {
            (_, f) if f > EXIST => return Err(Errno::EINVAL),
            (Some(_), NOEXIST) => return Err(Errno::EEXIST),
            (None, EXIST) => return Err(Errno::ENOENT),
            _ => {}
        }
        self.find_or_create(object, 0, None)?;
        let table = self.table.borrow_mut();
        let slot = table.find(&object.to_le_bytes()).ok_or(Errno::ENOENT)?;
        table.values().write(slot, 0, &value[..value.len().min(self.user_value_size())]);
        Ok(())
    }

    pub fn delete(&self, key: &[u8]) -> MapResult {
        self.forget(Self::object(key))
    }

    pub fn keys(&self) -> Vec<Vec<u8>> {
        let cut = |k: Vec<u8>| {
            let mut k = k;
            k.resize(self.key_size, 0);
            k
        };
        self.table.borrow_mut().keys().into_iter().map(cut).collect()
    }

    pub fn regions(&self, add: &mut dyn FnMut(Region)) {
        self.table.borrow_mut().regions(add);
    }
}
