//! The packet behind a context: one linear buffer with room before and behind. Not here: the context's fields, checksums, protocols.

use crate::memory::{Block, Bytes};

/// A packet. Offsets count from the start of the buffer: `meta <= data <= end <= limit`.
#[derive(Debug)]
pub struct Packet {
    block: Block,
    pub meta: usize,
    pub data: usize,
    pub end: usize,
    /// Where the tail must stop.
    pub limit: usize,
}

impl Packet {
    /// Room for packets that a helper makes larger; `None` when memory is out.
    pub fn new(headroom: usize, bytes: &[u8], tailroom: usize) -> Option<Self> {
        let end = headroom.checked_add(bytes.len())?;
        let limit = end.checked_add(tailroom)?;
        let block = Block::zeroed(limit)?;
        block.write(headroom, bytes);
        Some(Self { block, meta: headroom, data: headroom, end, limit })
    }

    pub fn len(&self) -> usize {
        self.end - self.data
    }

    pub fn is_empty(&self) -> bool {
        self.end == self.data
    }

    pub fn address(&self, off: usize) -> u64 {
        self.block.addr() + off as u64
    }

    /// Bytes `off..off+len` counted from the packet's first.
    pub fn bytes(&self, off: usize, len: usize) -> Option<Bytes> {
        let fits = off.checked_add(len).is_some_and(|e| e <= self.len());
        fits.then(|| self.block.bytes(self.data + off, len))
    }

    pub fn write(&self, off: usize, data: &[u8]) -> bool {
        let fits = off.checked_add(data.len()).is_some_and(|e| e <= self.len());
        if fits {
            self.block.write(self.data + off, data);
        }
        fits
    }

    /// Anything in the buffer, headroom included.
    pub fn raw(&self, at: usize, len: usize) -> Option<Bytes> {
        let fits = at.checked_add(len).is_some_and(|e| e <= self.limit);
        fits.then(|| self.block.bytes(at, len))
    }

    pub fn write_raw(&self, at: usize, data: &[u8]) {
        if at + data.len() <= self.limit {
            self.block.write(at, data);
        }
    }

    pub fn zero_raw(&self, at: usize, len: usize) {
        if at + len <= self.limit {
            self.block.fill(at, len, 0);
        }
    }

    /// The packet as it stands.
    pub fn contents(&self) -> Vec<u8> {
        self.block.bytes(self.data, self.len()).to_vec()
    }

    /// The same with the metadata in front of it.
    pub fn contents_with_meta(&self) -> Vec<u8> {
        self.block.bytes(self.meta, self.end - self.meta).to_vec()
    }

    /// Moves to a larger buffer, contents kept: the packet's address changes, as after a reallocation in the kernel.
    pub fn grow(&mut self, headroom: usize, tailroom: usize) -> bool {
        let meta_len = self.data - self.meta;
        let all = self.block.bytes(self.meta, self.end - self.meta);
        let Some(mut new) = Self::new(headroom + meta_len, &all, tailroom) else { return false };
        new.meta = headroom + meta_len;
        new.data = new.meta + meta_len;
        *self = new;
        true
    }

    /// Opens a gap of `n` zero bytes at `off` by moving what stands before it towards the front (the packet gets a new start).
    pub fn open_gap(&mut self, off: usize, n: usize) -> bool {
        if off > self.len() {
            return false;
        }
        if self.data < n && !self.grow(n + 64, self.limit - self.end) {
            return false;
        }
        self.block.shift(self.data, self.data - n, off);
        self.data -= n;
        self.meta = self.data;
        self.block.fill(self.data + off, n, 0);
        true
    }

    /// Closes a gap of `n` bytes at `off` by moving what stands before it towards the end.
    pub fn close_gap(&mut self, off: usize, n: usize) -> bool {
        if off.checked_add(n).is_none_or(|e| e > self.len()) {
            return false;
        }
        self.block.shift(self.data, self.data + n, off);
        self.data += n;
        self.meta = self.data;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_open_and_close_where_asked() {
        let mut p = Packet::new(8, b"abcdef", 8).expect("memory");
        assert!(p.open_gap(2, 3));
        assert_eq!(p.contents(), b"ab\0\0\0cdef");
        assert!(p.close_gap(1, 4));
        assert_eq!(p.contents(), b"acdef");
        assert!(p.open_gap(0, 100), "grows when the headroom is short");
        assert_eq!(p.len(), 105);
        assert!(!p.close_gap(100, 6));
    }
}
