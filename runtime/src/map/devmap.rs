//! DEVMAP, DEVMAP_HASH, CPUMAP, XSKMAP: where packets can be redirected to. Filled from the user's side only. The targets themselves do not exist
//! here: a redirect is an output of the run.

use std::cell::RefCell;

use program::MapDef;
use spec::{Errno, MapType};

use super::table::{Reuse, Table};
use super::{EXIST, MapResult, NOEXIST};
use crate::region::Region;

#[derive(Debug)]
pub struct DevMap {
    table: RefCell<Table>,
    /// Index limit; `None` for DEVMAP_HASH, whose keys are arbitrary.
    indices: Option<u32>,
    max_entries: usize,
    value_size: usize,
    map_type: MapType,
}

impl DevMap {
    pub fn new(def: &MapDef, map_type: MapType) -> MapResult<Self> {
        let sizes = match map_type {
            MapType::Xskmap => def.value_size == 4,
            _ => matches!(def.value_size, 4 | 8),
        };
        if def.key_size != 4 || !sizes || def.max_entries == 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Self {
            table: RefCell::new(Table::new(4, def.value_size, 1, Reuse::Newest)),
            indices: (map_type != MapType::DevmapHash).then_some(def.max_entries),
            max_entries: def.max_entries as usize,
            value_size: def.value_size as usize,
            map_type,
        })
    }

    fn in_range(&self, key: &[u8]) -> bool {
        let index = key.get(..4).and_then(|k| k.try_into().ok()).map(u32::from_le_bytes);
        index.is_some_and(|i| self.indices.is_none_or(|n| i < n))
    }

    pub fn holds(&self, key: u32) -> bool {
        self.table.borrow_mut().find(&key.to_le_bytes()).is_some()
    }

    pub fn lookup(&self, key: &[u8]) -> Option<u64> {
        let table = self.table.borrow_mut();
        table.find(key).map(|slot| table.values().address(slot, 0))
    }

    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let table = self.table.borrow_mut();
        table.find(key).map(|slot| table.values().read(slot, 0, self.value_size).to_vec())
    }

    pub fn put(&self, key: &[u8], value: &[u8], flags: u64) -> MapResult {
        if flags > EXIST {
            return Err(Errno::EINVAL);
        }
        if !self.in_range(key) {
            return Err(Errno::E2BIG);
        }
        let mut table = self.table.borrow_mut();
        let old = table.find(key);
        if flags == NOEXIST && (self.map_type != MapType::DevmapHash || old.is_some()) {
            return Err(Errno::EEXIST);
        }
        if old.is_none() && table.len() >= self.max_entries {
            return Err(Errno::E2BIG);
        }
        // Value 0 (no interface, no queue) empties a DEVMAP's or CPUMAP's slot.
        if self.indices.is_some() && value.get(..4) == Some(&[0; 4]) && self.map_type != MapType::Xskmap {
            table.unlink(key);
            return Ok(());
        }
        let slot = match old {
            Some(slot) => slot,
            None => {
                let slot = table.take().ok_or(Errno::ENOMEM)?;
                table.link(key, slot);
                slot
            }
        };
        table.values().write(slot, 0, &value[..value.len().min(self.value_size)]);
        Ok(())
    }

    /// An empty slot of the array kinds can be deleted without an error.
    pub fn delete(&self, key: &[u8]) -> MapResult {
        if !self.in_range(key) {
            return Err(Errno::EINVAL);
        }
        match self.table.borrow_mut().unlink(key) {
            None if self.map_type == MapType::DevmapHash => Err(Errno::ENOENT),
            _ => Ok(()),
        }
    }

    pub fn keys(&self) -> Vec<Vec<u8>> {
        self.table.borrow_mut().keys()
    }

    pub fn regions(&self, add: &mut dyn FnMut(Region)) {
        self.table.borrow_mut().regions(&mut |r| add(r.read_only()));
    }
}
