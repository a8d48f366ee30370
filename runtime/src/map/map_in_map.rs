//! ARRAY_OF_MAPS and HASH_OF_MAPS: a lookup gives a map handle. Inner maps are put in from the user's side.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use program::MapDef;
use spec::Errno;

use super::{Map, MapResult};

/// Whether a map may stand where the template says: same type, sizes and flags; the number of entries counts for arrays without BPF_F_INNER_MAP.
fn fits(template: Option<&Arc<MapDef>>, map: &Map) -> bool {
    const F_INNER_MAP: u32 = 1 << 12;
    let Some(t) = template else { return true };
    let d = &map.def;
    let entries_count = matches!(t.map_type, 17) || (t.map_type == 2 && t.map_flags & F_INNER_MAP == 0);
    t.map_type == d.map_type
        && t.key_size == d.key_size
        && t.value_size == d.value_size
        && t.map_flags == d.map_flags
        && (!entries_count || t.max_entries == d.max_entries)
}

#[derive(Debug)]
pub struct ArrayOfMaps {
    slots: RefCell<BTreeMap<u32, Arc<Map>>>,
    entries: u32,
    template: Option<Arc<MapDef>>,
}

impl ArrayOfMaps {
    pub fn new(def: &MapDef) -> MapResult<Self> {
        if def.key_size != 4 || def.value_size != 4 || def.max_entries == 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Self { slots: RefCell::default(), entries: def.max_entries, template: def.inner.clone() })
    }

    fn index(key: &[u8]) -> Option<u32> {
        Some(u32::from_le_bytes(key.get(..4)?.try_into().ok()?))
    }

    pub fn get(&self, key: &[u8]) -> Option<Arc<Map>> {
        self.slots.borrow_mut().get(&Self::index(key)?).cloned()
    }

    pub fn set(&self, index: u32, map: &Arc<Map>) -> MapResult {
        if index >= self.entries {
            return Err(Errno::E2BIG);
        }
        if !fits(self.template.as_ref(), map) {
            return Err(Errno::EINVAL);
        }
        self.slots.borrow_mut().insert(index, map.clone());
        Ok(())
    }

    pub fn remove(&self, key: &[u8]) -> MapResult {
        let index = Self::index(key).ok_or(Errno::EINVAL)?;
        if index >= self.entries {
            return Err(Errno::E2BIG);
        }
        self.slots.borrow_mut().remove(&index).map(|_| ()).ok_or(Errno::ENOENT)
    }

    pub fn keys(&self) -> Vec<Vec<u8>> {
        self.slots.borrow_mut().keys().map(|k| k.to_le_bytes().to_vec()).collect()
    }
}

#[derive(Debug)]
pub struct HashOfMaps {
    slots: RefCell<BTreeMap<Vec<u8>, Arc<Map>>>,
    max_entries: usize,
    template: Option<Arc<MapDef>>,
}

impl HashOfMaps {
    pub fn new(def: &MapDef) -> MapResult<Self> {
        if def.key_size == 0 || def.value_size != 4 || def.max_entries == 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Self { slots: RefCell::default(), max_entries: def.max_entries as usize, template: def.inner.clone() })
    }

    pub fn get(&self, key: &[u8]) -> Option<Arc<Map>> {
        self.slots.borrow_mut().get(key).cloned()
    }

    pub fn set(&self, key: &[u8], map: &Arc<Map>) -> MapResult {
        if !fits(self.template.as_ref(), map) {
            return Err(Errno::EINVAL);
        }
        let mut slots = self.slots.borrow_mut();
        if !slots.contains_key(key) && slots.len() >= self.max_entries {
            return Err(Errno::E2BIG);
        }
        slots.insert(key.to_vec(), map.clone());
        Ok(())
    }

    pub fn remove(&self, key: &[u8]) -> MapResult {
        self.slots.borrow_mut().remove(key).map(|_| ()).ok_or(Errno::ENOENT)
    }

    pub fn keys(&self) -> Vec<Vec<u8>> {
        self.slots.borrow_mut().keys().cloned().collect()
    }
}
