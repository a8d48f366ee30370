//! Equal-sized elements with stable addresses, made in chunks as they are needed. Not here: which element belongs to which key.

use crate::memory::{Block, Bytes};
use crate::region::{Kind, Region};

/// Elements in the first chunk; each further chunk doubles, up to `MAX_CHUNK` elements.
const FIRST_CHUNK: u32 = 32;
const MAX_CHUNK: u32 = 1 << 16;

#[derive(Debug)]
struct Chunk {
    first: u32,
    count: u32,
    block: Block,
}

/// A growing row of elements of `stride` bytes, of which `size` bytes are the program's.
#[derive(Debug)]
pub struct Slab {
    kind: Kind,
    stride: usize,
    /// Objects per element (CPUs), each `stride` bytes apart.
    per_element: usize,
    size: u32,
    chunks: Vec<Chunk>,
    /// Chunks from the first on that double: their elements are found by arithmetic.
    doubling: usize,
    len: u32,
}

impl Slab {
    pub fn new(kind: Kind, size: u32, per_element: u32) -> Self {
        Self {
            kind,
            stride: super::round8(size.max(1)),
            per_element: per_element as usize,
            size,
            chunks: Vec::new(),
            doubling: 0,
            len: 0,
        }
    }

    fn element(&self) -> usize {
        self.stride * self.per_element
    }

    /// One more element, zeroed; `None` when memory is out.
    pub fn push(&mut self) -> Option<u32> {
        let room = self.chunks.last().is_some_and(|c| self.len < c.first + c.count);
        if !room {
            let mut count = self.chunks.last().map_or(FIRST_CHUNK, |c| (c.count * 2).min(MAX_CHUNK));
            // Large elements: a chunk is never more than some megabytes beyond one element.
            while count > 1 && self.element().checked_mul(count as usize).is_none_or(|n| n > 4 << 20) {
                count /= 2;
            }
            let block = Block::zeroed(self.element().checked_mul(count as usize)?)?;
            let doubled = FIRST_CHUNK.checked_shl(self.chunks.len() as u32);
            if self.doubling == self.chunks.len() && doubled == Some(count) {
                self.doubling += 1;
            }
            self.chunks.push(Chunk { first: self.len, count, block });
        }
        self.len += 1;
        Some(self.len - 1)
    }

    #[inline]
    fn place(&self, index: u32) -> (&Block, usize) {
        let doubling = (index / FIRST_CHUNK + 1).ilog2() as usize;
        let at =
            if doubling < self.doubling { doubling } else { self.chunks.partition_point(|c| c.first <= index) - 1 };
        let chunk = &self.chunks[at];
        (&chunk.block, (index - chunk.first) as usize * self.element())
    }

    /// Address of the element's object number `part`.
    #[inline]
    pub fn address(&self, index: u32, part: u32) -> u64 {
        let (block, off) = self.place(index);
        block.addr() + (off + part as usize * self.stride) as u64
    }

    pub fn write(&self, index: u32, at: usize, data: &[u8]) {
        let (block, off) = self.place(index);
        block.write(off + at, data);
    }

    pub fn clear(&self, index: u32) {
        let (block, off) = self.place(index);
        block.fill(off, self.element(), 0);
    }

    pub fn read(&self, index: u32, at: usize, len: usize) -> Bytes {
        let (block, off) = self.place(index);
        block.bytes(off + at, len)
    }

    /// Compares without copying out.
    #[inline]
    pub fn equals(&self, index: u32, data: &[u8]) -> bool {
        self.read(index, 0, data.len())[..] == *data
    }

    pub fn regions(&self, add: &mut dyn FnMut(Region)) {
        for chunk in &self.chunks {
            let row = Region::new(self.kind, chunk.block.addr(), chunk.block.len() as u64);
            let row = row.row(self.stride as u32, self.size);
            add(if self.kind == Kind::MapKey { row.read_only() } else { row });
        }
    }
}
