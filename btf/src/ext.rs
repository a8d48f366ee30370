//! BTF.ext: function, line and CO-RE relocation records by section. What they mean for instructions is the loader's matter.

use crate::Error;
use crate::read::{check_preamble, u32_at};
use std::ops::Range;

/// Records of one ELF section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecInfo {
    /// Offset of the section's name in the strings of the BTF beside this.
    pub sec_name_off: u32,
    pub count: u32,
    /// Where the records are in the blob.
    at: Range<usize>,
}

/// func_info, line_info or core_relo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub rec_size: u32,
    pub sections: Vec<SecInfo>,
}

/// A CO-RE relocation record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CoreRelo {
    /// Bytes from the start of the section.
    pub insn_off: u32,
    pub type_id: u32,
    pub access_off: u32,
    pub kind: u32,
}

/// Parsed BTF.ext.
#[derive(Clone, Debug, Default)]
pub struct BtfExt {
    raw: Vec<u8>,
    pub func_info: Table,
    pub line_info: Table,
    pub core_relo: Table,
}

const MIN_HEADER: usize = 24;
const HEADER_WITH_CORE: usize = 32;

impl BtfExt {
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let hdr_len = check_preamble(bytes, MIN_HEADER)?;
        let word = |at| u32_at(bytes, at).unwrap_or(0);
        let func_info = parse_table(bytes, "func_info", hdr_len, word(8), word(12), 8)?;
        let line_info = parse_table(bytes, "line_info", hdr_len, word(16), word(20), 16)?;
        let core_relo = match hdr_len >= HEADER_WITH_CORE {
            true => parse_table(bytes, "core_relo", hdr_len, word(24), word(28), 16)?,
            false => Table::default(),
        };
        Ok(Self { raw: bytes.to_vec(), func_info, line_info, core_relo })
    }

    /// The records of a section, `rec_size` bytes each.
    pub fn records<'a>(&'a self, table: &Table, section: &SecInfo) -> std::slice::ChunksExact<'a, u8> {
        let bytes = self.raw.get(section.at.clone()).unwrap_or_default();
        bytes.chunks_exact((table.rec_size as usize).max(1))
    }

    /// CO-RE relocations of a section, in file order.
    pub fn core_relos(&self, section: &SecInfo) -> impl Iterator<Item = CoreRelo> + '_ {
        self.records(&self.core_relo, section).map(|r| {
            let word = |i: usize| u32_at(r, i * 4).unwrap_or(0);
            CoreRelo { insn_off: word(0), type_id: word(1), access_off: word(2), kind: word(3) }
        })
    }
}

fn parse_table(b: &[u8], what: &'static str, hdr_len: usize, off: u32, len: u32, min_rec: u32) -> Result<Table, Error> {
    if len == 0 {
        return Ok(Table::default());
    }
    let start = hdr_len + off as usize;
    let end = start + len as usize;
    let bad = |off, problem| Err(Error::Ext { what, off, problem });
    if end > b.len() {
        return bad(start, "lies outside of the section");
    }
    if !off.is_multiple_of(4) {
        return bad(start, "is not aligned to 4 bytes");
    }
    let Some(rec_size) = u32_at(&b[..end], start) else { return bad(start, "has no record size") };
    if rec_size < min_rec || !rec_size.is_multiple_of(4) {
        return bad(start, "has an invalid record size");
    }
    let mut at = start + 4;
    let mut sections = Vec::new();
    while at < end {
        let (Some(sec_name_off), Some(count)) = (u32_at(&b[..end], at), u32_at(&b[..end], at + 4)) else {
            return bad(at, "section header is cut short");
        };
        if count == 0 {
            return bad(at, "section has no records");
        }
        let bytes = count as u64 * u64::from(rec_size);
        let first = at + 8;
        if bytes > (end - first) as u64 {
            return bad(at, "records run past the end");
        }
        at = first + bytes as usize;
        sections.push(SecInfo { sec_name_off, count, at: first..at });
    }
    if sections.is_empty() {
        return bad(start, "has no section");
    }
    Ok(Table { rec_size, sections })
}
