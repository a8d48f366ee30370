//! PROG_ARRAY: the targets of tail calls.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use program::MapDef;
use spec::Errno;

use super::MapResult;
use crate::image::Image;

/// Programs hold their maps, so a map holds its programs weakly: whoever made the images keeps them.
#[derive(Debug)]
pub struct ProgArray {
    slots: RefCell<BTreeMap<u32, Weak<Image>>>,
    entries: u32,
}

impl ProgArray {
    pub fn new(def: &MapDef) -> MapResult<Self> {
        if def.key_size != 4 || def.value_size != 4 || def.max_entries == 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Self { slots: RefCell::default(), entries: def.max_entries })
    }

    pub fn target(&self, index: u32) -> Option<Arc<Image>> {
        self.slots.borrow_mut().get(&index)?.upgrade()
    }

    pub fn set(&self, index: u32, image: &Arc<Image>) -> MapResult {
        if index >= self.entries {
            return Err(Errno::E2BIG);
        }
        self.slots.borrow_mut().insert(index, Arc::downgrade(image));
        Ok(())
    }

    fn index(key: &[u8]) -> Option<u32> {
        Some(u32::from_le_bytes(key.get(..4)?.try_into().ok()?))
    }

    /// Stands for the program's id: 1 for a filled slot.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.target(Self::index(key)?).map(|_| vec![1, 0, 0, 0])
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
