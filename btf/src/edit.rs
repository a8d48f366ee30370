//! Changing BTF before it goes to the kernel: words in place, strings and types at the end. What to change is the loader's matter.

use crate::Error;
use crate::read::{Btf, MAGIC, u32_at};
use crate::types::Kind;

/// A copy of a blob that can be changed. Ids and string offsets of what was there stay valid.
#[derive(Clone, Debug)]
pub struct Editor {
    /// Zero bytes behind the known part of the header, as newer compilers write them.
    header_tail: usize,
    types: Vec<u8>,
    strs: Vec<u8>,
    /// Where each type's record starts in `types`.
    offsets: Vec<usize>,
    next_id: u32,
}

impl Editor {
    /// Of self-contained BTF (split BTF is not edited).
    pub fn new(btf: &Btf) -> Self {
        let offsets = (btf.first_own_id()..btf.len()).filter_map(|id| btf.record_offset(id)).collect();
        let header_tail = btf.header_tail();
        Self {
            header_tail,
            types: btf.type_section().to_vec(),
            strs: btf.string_section().to_vec(),
            offsets,
            next_id: btf.len(),
        }
    }

    /// Nothing but void and the empty string.
    pub fn empty() -> Self {
        Self { header_tail: 0, types: Vec::new(), strs: vec![0], offsets: Vec::new(), next_id: 1 }
    }

    fn at(&self, id: u32, word: usize) -> Option<usize> {
        Some(self.offsets.get((id as usize).checked_sub(1)?)? + word * 4)
    }

    /// A word of a type's record: 0 name, 1 info, 2 size or type, 3.. the trailer.
    pub fn word(&self, id: u32, word: usize) -> Option<u32> {
        u32_at(&self.types, self.at(id, word)?)
    }

    /// Overwrites a word; ids and words that are not there change nothing.
    pub fn set_word(&mut self, id: u32, word: usize, value: u32) {
        if let Some(at) = self.at(id, word)
            && let Some(bytes) = self.types.get_mut(at..at + 4)
        {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// The record of a type as words (fixed part and trailer).
    pub fn record(&self, id: u32) -> Option<Vec<u32>> {
        let start = self.at(id, 0)?;
        let end = self.at(id + 1, 0).unwrap_or(self.types.len());
        Some(self.types.get(start..end)?.chunks_exact(4).filter_map(|w| u32_at(w, 0)).collect())
    }

    /// Offset of a string, appended unless it is there already.
    pub fn add_string(&mut self, s: &str) -> u32 {
        let mut start = 0;
        for nul in memchr::memchr_iter(0, &self.strs) {
            if &self.strs[start..nul] == s.as_bytes() {
                return start as u32;
            }
            start = nul + 1;
        }
        let off = self.strs.len() as u32;
        self.strs.extend_from_slice(s.as_bytes());
        self.strs.push(0);
        off
    }

    /// Appends a type of the given record and returns its id.
    pub fn add_type(&mut self, name_off: u32, kind: Kind, vlen: u16, size_or_type: u32, trailer: &[u32]) -> u32 {
        self.offsets.push(self.types.len());
        let info = (kind as u32) << 24 | u32::from(vlen);
        for word in [name_off, info, size_or_type].iter().chain(trailer) {
            self.types.extend_from_slice(&word.to_le_bytes());
        }
        self.next_id += 1;
        self.next_id - 1
    }

    /// The blob as it would be written: header, types, strings.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 + self.types.len() + self.strs.len());
        out.extend_from_slice(&MAGIC.to_le_bytes());
        out.extend_from_slice(&[1, 0]);
        let types = self.types.len() as u32;
        let header = 24 + self.header_tail as u32;
        for word in [header, 0, types, types, self.strs.len() as u32] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.resize(header as usize, 0);
        out.extend_from_slice(&self.types);
        out.extend_from_slice(&self.strs);
        out
    }

    pub fn finish(self) -> Result<Btf, Error> {
        Btf::parse_vec(self.to_bytes(), None)
    }
}
