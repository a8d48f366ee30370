//! USER_RINGBUF: samples from user space that a program drains with a callback.

use std::cell::RefCell;
use std::collections::VecDeque;

use program::MapDef;
use spec::Errno;

use super::MapResult;

#[derive(Debug)]
pub struct UserRingBuf {
    samples: RefCell<VecDeque<Vec<u8>>>,
    size: usize,
}

impl UserRingBuf {
    pub fn new(def: &MapDef) -> MapResult<Self> {
        let size = def.max_entries as usize;
        if def.key_size != 0 || def.value_size != 0 || !size.is_power_of_two() || !size.is_multiple_of(4096) {
            return Err(Errno::EINVAL);
        }
        Ok(Self { samples: RefCell::default(), size })
    }

    /// The producer's side. Each sample takes 8 bytes more than its data, rounded up to 8.
    pub fn produce(&self, sample: &[u8]) -> MapResult {
        let mut samples = self.samples.borrow_mut();
        let used: usize = samples.iter().map(|s| (s.len() + 15) & !7).sum();
        if used + ((sample.len() + 15) & !7) > self.size {
            return Err(Errno::ENOSPC);
        }
        samples.push_back(sample.to_vec());
        Ok(())
    }

    pub fn take(&self) -> Option<Vec<u8>> {
        self.samples.borrow_mut().pop_front()
    }
}
