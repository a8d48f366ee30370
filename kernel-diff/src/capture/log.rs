//! The verifier's log of a load, out of the buffer that the loader gave for it. What is in a log is `judgement`'s matter.

use libc::pid_t;

use super::attr::{Attr, prog_load};
use super::memory;

/// Of a longer log, this much of its end is kept.
const MAX_LOG: usize = 8 << 20;

/// A loader's buffer, as it was before the load.
#[derive(Debug)]
pub struct Buffer {
    tid: pid_t,
    addr: u64,
    size: usize,
    /// Where newer kernels say how long the log is.
    length_addr: Option<u64>,
    length: u32,
    /// Hash of the text that it held: loads that are refused early leave what was there, and it may be anything.
    text: Option<String>,
}

impl Buffer {
    /// The buffer of a load about to be made, if a log is asked for.
    pub fn new(tid: pid_t, attr: &Attr, attr_addr: u64) -> Option<Self> {
        use prog_load::*;
        let (size, addr) = (attr.u32(LOG_SIZE) as usize, attr.u64(LOG_BUF));
        if attr.u32(LOG_LEVEL) == 0 || size == 0 || addr == 0 {
            return None;
        }
        let length_addr = attr.has(LOG_TRUE_SIZE, 4).then(|| attr_addr.wrapping_add(LOG_TRUE_SIZE as u64));
        let length = attr.u32(LOG_TRUE_SIZE);
        let text = memory::read_text(tid, addr, size, MAX_LOG).ok().map(|t| corpus::recorded::hash(&t));
        Some(Self { tid, addr, size, length_addr, length, text })
    }

    /// The log, once the load is over. `None`: the kernel has written none.
    pub fn read(&self) -> Option<Vec<u8>> {
        let told = self.length_addr.and_then(|at| memory::read(self.tid, at, 4).ok());
        let length = told.map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let text = memory::read_text(self.tid, self.addr, self.size, MAX_LOG).ok()?;
        let untouched =
            length == self.length && self.text.as_ref().is_some_and(|t| *t == corpus::recorded::hash(&text));
        (!untouched).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(text: &[u8]) -> Buffer {
        let (tid, addr) = (std::process::id() as pid_t, text.as_ptr() as u64);
        let hash = memory::read_text(tid, addr, text.len(), MAX_LOG).ok().map(|t| corpus::recorded::hash(&t));
        Buffer { tid, addr, size: text.len(), length_addr: None, length: 0, text: hash }
    }

    #[test]
    fn what_was_there_before_is_no_log() {
        let mut text = b"stale\0more".to_vec();
        let at = buffer(&text);
        assert_eq!(at.read(), None);
        text[..6].copy_from_slice(b"fresh\0");
        assert_eq!(at.read().unwrap(), b"fresh");
    }

    #[test]
    fn a_length_told_by_the_kernel_vouches_for_a_repeated_log() {
        let text = b"same\0".to_vec();
        let length = 5u32;
        let at = Buffer { length_addr: Some((&raw const length) as u64), ..buffer(&text) };
        assert_eq!(at.read().unwrap(), b"same");
    }
}
