//! QUEUE and STACK: values without keys. Programs get copies, never addresses.

use std::cell::RefCell;
use std::collections::VecDeque;

use program::MapDef;
use spec::Errno;

use super::{EXIST, MapResult, NOEXIST};

#[derive(Debug)]
pub struct Queue {
    values: RefCell<VecDeque<Vec<u8>>>,
    max_entries: usize,
    /// Last in, first out.
    stack: bool,
}

impl Queue {
    pub fn new(def: &MapDef, stack: bool) -> MapResult<Self> {
        if def.key_size != 0 || def.value_size == 0 || def.max_entries == 0 {
            return Err(Errno::EINVAL);
        }
        if def.value_size > 4 << 20 {
            return Err(Errno::E2BIG);
        }
        Ok(Self { values: RefCell::new(VecDeque::new()), max_entries: def.max_entries as usize, stack })
    }

    /// With BPF_EXIST a full map makes room by dropping its oldest value.
    pub fn push(&self, value: &[u8], flags: u64) -> MapResult {
        if flags & NOEXIST != 0 || flags > EXIST {
            return Err(Errno::EINVAL);
        }
        let mut values = self.values.borrow_mut();
        if values.len() >= self.max_entries {
            if flags & EXIST == 0 {
                return Err(Errno::E2BIG);
            }
            values.pop_front();
        }
        values.push_back(value.to_vec());
        Ok(())
    }

    pub fn peek(&self) -> Option<Vec<u8>> {
        let values = self.values.borrow_mut();
        if self.stack { values.back() } else { values.front() }.cloned()
    }

    pub fn pop(&self) -> Option<Vec<u8>> {
        let mut values = self.values.borrow_mut();
        if self.stack { values.pop_back() } else { values.pop_front() }
    }

    /// From the next to be popped on.
    pub fn values(&self) -> Vec<Vec<u8>> {
        let values = self.values.borrow_mut();
        if self.stack { values.iter().rev().cloned().collect() } else { values.iter().cloned().collect() }
    }
}
