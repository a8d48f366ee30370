//! PERF_EVENT_ARRAY: which slots have a reader. Samples themselves are outputs of the run. As in the kernel, a slot without a reader answers
//! ENOENT.

use std::cell::RefCell;
use std::collections::BTreeSet;

use program::MapDef;
use spec::Errno;

use super::MapResult;

#[derive(Debug)]
pub struct PerfEvents {
    open: RefCell<BTreeSet<u32>>,
    entries: u32,
}

impl PerfEvents {
    pub fn new(def: &MapDef) -> MapResult<Self> {
        if def.key_size != 4 || def.value_size != 4 || def.max_entries == 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Self { open: RefCell::default(), entries: def.max_entries })
    }

    fn index(&self, key: &[u8]) -> MapResult<u32> {
        let index = key.get(..4).and_then(|k| k.try_into().ok()).map(u32::from_le_bytes).ok_or(Errno::EINVAL)?;
        if index < self.entries { Ok(index) } else { Err(Errno::E2BIG) }
    }

    /// Opens a reader for the slot.
    pub fn put(&self, key: &[u8]) -> MapResult {
        let index = self.index(key)?;
        self.open.borrow_mut().insert(index);
        Ok(())
    }

    /// Opens a reader for every CPU, as perf buffer libraries do.
    pub fn open_all(&self, cpus: u32) {
        self.open.borrow_mut().extend(0..cpus.min(self.entries));
    }

    pub fn remove(&self, key: &[u8]) -> MapResult {
        let index = self.index(key)?;
        if self.open.borrow_mut().remove(&index) { Ok(()) } else { Err(Errno::ENOENT) }
    }

    pub fn entries(&self) -> u32 {
        self.entries
    }

    pub fn is_open(&self, index: u32) -> bool {
        self.open.borrow_mut().contains(&index)
    }
}
