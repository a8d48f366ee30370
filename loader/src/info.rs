//! func_info and line_info of a program put together from functions: records of each function, moved to where it went.

use crate::Error;
use crate::functions::{Function, Functions};
use btf::Btf;
use btf::ext::{BtfExt, Table};
use program::InfoTable;
use std::collections::HashMap;
use std::ops::Range;

/// BTF.ext by ELF section number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Info {
    pub func: Records,
    pub line: Records,
}

/// One table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    rec_size: usize,
    bytes: Vec<u8>,
    /// Section -> its records, and whether they ascend.
    sections: HashMap<usize, Range<usize>>,
}

fn insn_off(record: &[u8]) -> u32 {
    record.first_chunk::<4>().map_or(0, |b| u32::from_le_bytes(*b))
}

impl Records {
    fn collect(btf: &Btf, ext: &BtfExt, table: &Table, functions: &Functions) -> Result<Self, Error> {
        let by_name: HashMap<&str, usize> = functions.code.iter().map(|(i, c)| (c.name.as_str(), *i)).collect();
        let mut all = Self { rec_size: table.rec_size as usize, ..Self::default() };
        for section in &table.sections {
            let name = btf.string(section.sec_name_off);
            let Some(&index) = by_name.get(name) else { continue };
            let records = ext.records(table, section);
            if !records.clone().is_sorted_by_key(insn_off) {
                return Err(Error::section(".BTF.ext", format!("records of section `{name}` are not in order")));
            }
            let start = all.bytes.len();
            records.for_each(|r| all.bytes.extend_from_slice(r));
            // The first table of a section counts.
            let range = start..all.bytes.len();
            all.sections.entry(index).or_insert(range);
        }
        Ok(all)
    }

    /// The records within a function.
    fn of(&self, f: &Function) -> &[u8] {
        let Some(range) = self.sections.get(&f.section) else { return &[] };
        let bytes = &self.bytes[range.clone()];
        let count = bytes.len() / self.rec_size;
        let first = |slot: usize| {
            let (mut low, mut high) = (0, count);
            while low < high {
                let mid = (low + high) / 2;
                let at = insn_off(&bytes[mid * self.rec_size..]) as usize / 8;
                if at < slot { low = mid + 1 } else { high = mid }
            }
            low
        };
        &bytes[first(f.start) * self.rec_size..first(f.start + f.count) * self.rec_size]
    }
}

impl Info {
    pub(crate) fn collect(btf: &Btf, ext: &BtfExt, functions: &Functions) -> Result<Self, Error> {
        Ok(Self {
            func: Records::collect(btf, ext, &ext.func_info, functions)?,
            line: Records::collect(btf, ext, &ext.line_info, functions)?,
        })
    }
}

/// Far more than the largest program has.
const MAX_TABLE: usize = 128 << 20;

/// A table under construction.
#[derive(Default)]
pub(crate) struct Builder {
    table: InfoTable,
    started: bool,
}

impl Builder {
    /// Adds the records of a function that went to slot `base`. When the first function has none, the table stays empty; when a
    /// later one has none, that is an error.
    pub(crate) fn add(
        &mut self,
        records: &Records,
        f: &Function,
        base: usize,
        is_main: bool,
    ) -> Result<(), &'static str> {
        if !is_main && !self.started {
            return Ok(());
        }
        let found = records.of(f);
        if found.is_empty() {
            return if self.started {
                Err("has no records in .BTF.ext, while other functions of the program have")
            } else {
                Ok(())
            };
        }
        self.started = true;
        if self.table.bytes.len() + found.len() > MAX_TABLE {
            return Err("has more records in .BTF.ext than fit a program");
        }
        self.table.rec_size = records.rec_size as u32;
        for record in found.chunks_exact(records.rec_size) {
            let slot = insn_off(record) as usize / 8 - f.start + base;
            self.table.bytes.extend_from_slice(&(slot as u32).to_le_bytes());
            self.table.bytes.extend_from_slice(&record[4..]);
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> InfoTable {
        self.table
    }
}
