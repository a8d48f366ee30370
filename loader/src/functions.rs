//! Functions of code sections, and the relocations inside them as references to maps, variables, functions and externs. Putting
//! a program together out of functions is in `link`.

use crate::Error;
use crate::elf::{Elf, Reloc, Section, Symbol};
use crate::externs::Externs;
use crate::maps::Maps;
use crate::section_name;
use isa::Insn;
use isa::consts::*;
use std::collections::HashMap;

/// A function as it stands in its section.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub name: String,
    /// ELF section number.
    pub section: usize,
    /// First slot, in the section.
    pub start: usize,
    pub count: usize,
    /// Visible to other functions' symbols, but hidden from other objects.
    pub hidden: bool,
    /// Only reached from others: in `.text`, or static in a section whose name tells no program type.
    pub is_sub: bool,
    /// By slot, ascending.
    pub refs: Vec<Ref>,
}

/// A relocated instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ref {
    /// Slot within the function.
    pub slot: usize,
    pub to: RefTo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefTo {
    Map(usize),
    /// A variable: the map of its section, and the symbol's offset there.
    Data {
        map: usize,
        offset: u32,
    },
    ExternValue(usize),
    ExternCall(usize),
    /// Call of a function: the section and the symbol's byte offset there.
    Call {
        section: usize,
        offset: u64,
    },
    /// Address of a function: likewise.
    FunctionAddress {
        section: usize,
        offset: u64,
    },
    /// A table of places to jump to: an index into [`Functions::jump_tables`].
    JumpTable(usize),
}

/// A code section, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Code {
    pub name: String,
    pub insns: Vec<Insn>,
}

/// Where a `switch` may go to, as byte offsets in the section of the function it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JumpTable {
    pub targets: Vec<u64>,
}

/// Functions of all code sections, by section and start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Functions {
    pub list: Vec<Function>,
    pub code: HashMap<usize, Code>,
    pub jump_tables: Vec<JumpTable>,
}

/// The section of functions that are no programs.
const TEXT: &str = ".text";
/// The section with the tables of indirect jumps (`gotox`).
const JUMP_TABLES: &str = ".jumptables";
const SLOT: u64 = Insn::SIZE as u64;

impl Functions {
    pub(crate) fn collect(elf: &Elf) -> Result<Self, Error> {
        let mut all = Self::default();
        for (index, section) in elf.sections.iter().enumerate().filter(|(_, s)| s.is_code()) {
            let insns = section.data.as_chunks::<8>().0.iter().map(|b| Insn::from_bytes(*b)).collect();
            all.code.insert(index, Code { name: section.name.to_owned(), insns });
        }
        for symbol in elf.symbols.iter().filter(|s| s.is_function()) {
            if let Some(section) = elf.sections.get(symbol.section).filter(|s| s.is_code()) {
                all.list.push(function(symbol, section)?);
            }
        }
        all.list.sort_by_key(|f| (f.section, f.start));
        Ok(all)
    }

    /// The function that a slot of a section belongs to.
    pub(crate) fn at(&self, section: usize, slot: usize) -> Option<usize> {
        let after = self.list.partition_point(|f| (f.section, f.start) <= (section, slot));
        let index = after.checked_sub(1)?;
        let f = &self.list[index];
        (f.section == section && slot - f.start < f.count).then_some(index)
    }

    pub(crate) fn insns(&self, f: &Function) -> &[Insn] {
        let code = self.code.get(&f.section).map_or(&[][..], |c| &c.insns);
        code.get(f.start..f.start + f.count).unwrap_or_default()
    }

    pub(crate) fn section_name(&self, f: &Function) -> &str {
        self.code.get(&f.section).map_or("", |c| &c.name)
    }
}

fn function(symbol: &Symbol, section: &Section) -> Result<Function, Error> {
    let bad = |problem: &str| Error::Function {
        function: symbol.name.to_owned(),
        section: section.name.to_owned(),
        offset: symbol.value,
        problem: problem.to_owned(),
    };
    let end = symbol.value.checked_add(symbol.size);
    if symbol.size == 0 || !symbol.size.is_multiple_of(SLOT) || !symbol.value.is_multiple_of(SLOT) {
        return Err(bad(&format!("its size of {} bytes is not a whole number of instructions", symbol.size)));
    }
    if end.is_none_or(|end| end > section.data.len() as u64) {
        return Err(bad(&format!("its {} bytes run past the end of the section", symbol.size)));
    }
    Ok(Function {
        name: symbol.name.to_owned(),
        section: symbol.section,
        start: (symbol.value / SLOT) as usize,
        count: (symbol.size / SLOT) as usize,
        hidden: symbol.hidden && !symbol.is_local(),
        is_sub: section.name == TEXT || symbol.is_local() && section_name::read_loosely(section.name).is_none(),
        refs: Vec::new(),
    })
}

/// Reads the relocations of all code sections into their functions.
pub(crate) fn relocate(elf: &Elf, all: &mut Functions, maps: &Maps, externs: &Externs) -> Result<(), Error> {
    let mut tables = JumpTables::default();
    for (section, target) in elf.relocations() {
        if !elf.sections.get(target).is_some_and(Section::is_code) {
            continue;
        }
        for (index, record) in elf.records(section)?.into_iter().enumerate() {
            let bad = |problem: String| Error::Relocation {
                section: section.name.to_owned(),
                index,
                offset: record.offset,
                problem,
            };
            let slot = (record.offset / SLOT) as usize;
            let code = all.code.get(&target).map_or(&[][..], |c| &c.insns);
            if !record.offset.is_multiple_of(SLOT) || slot >= code.len() {
                return Err(bad("does not point at an instruction".into()));
            }
            // Functions overridden by another object's leave relocations behind when objects are linked.
            let Some(f) = all.at(target, slot) else { continue };
            let reader = Reader { elf, maps, externs };
            let to = reader.read(code[slot], record, &mut tables).map_err(bad)?;
            let f = &mut all.list[f];
            f.refs.push(Ref { slot: slot - f.start, to });
        }
    }
    for f in &mut all.list {
        f.refs.sort_by_key(|r| r.slot);
    }
    all.jump_tables = tables.list;
    Ok(())
}

/// Tables met so far, each once.
#[derive(Default)]
struct JumpTables {
    list: Vec<JumpTable>,
    by_place: HashMap<(u64, u64), usize>,
    entries: usize,
}

impl JumpTables {
    /// The table that a symbol names. Symbols may overlap, so that many tables take up few bytes.
    fn read(&mut self, symbol: &Symbol, section: &Section) -> Result<usize, String> {
        if let Some(&index) = self.by_place.get(&(symbol.value, symbol.size)) {
            return Ok(index);
        }
        if !symbol.value.is_multiple_of(8) || !symbol.size.is_multiple_of(8) || symbol.size == 0 {
            return Err(format!("jump table `{}` is no whole number of entries", symbol.name));
        }
        let range = symbol.value as usize..symbol.value.saturating_add(symbol.size) as usize;
        let Some(bytes) = section.data.get(range) else {
            return Err(format!("jump table `{}` runs past the end of its section", symbol.name));
        };
        let targets: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
        self.entries += targets.len();
        if self.entries > MAX_JUMP_ENTRIES {
            return Err(format!("more than {MAX_JUMP_ENTRIES} entries in jump tables"));
        }
        self.by_place.insert((symbol.value, symbol.size), self.list.len());
        self.list.push(JumpTable { targets });
        Ok(self.list.len() - 1)
    }
}

/// As many as a program may have instructions.
const MAX_JUMP_ENTRIES: usize = 1 << 20;

struct Reader<'a, 'd> {
    elf: &'a Elf<'d>,
    maps: &'a Maps,
    externs: &'a Externs,
}

impl Reader<'_, '_> {
    fn read(&self, insn: Insn, record: Reloc, tables: &mut JumpTables) -> Result<RefTo, String> {
        let Some(symbol) = self.elf.symbols.get(record.symbol) else {
            return Err(format!("there is no symbol {}", record.symbol));
        };
        let is_call = insn.code == BPF_JMP | BPF_CALL;
        if !is_call && insn.code != LDIMM64 {
            return Err(format!("opcode {:#04x} is neither a call nor a 64-bit immediate load", insn.code));
        }
        if symbol.is_extern() {
            let Some(&ext) = self.externs.by_symbol.get(&record.symbol) else {
                return Err(format!("there is no extern `{}`", symbol.name));
            };
            return Ok(if is_call { RefTo::ExternCall(ext) } else { RefTo::ExternValue(ext) });
        }
        let section = match self.elf.sections.get(symbol.section) {
            Some(section) if symbol.section > 0 && !symbol.is_special() => section,
            _ => return Err(format!("symbol `{}` is in no section; is it a variable without a value?", symbol.name)),
        };
        let what = if symbol.name.is_empty() { section.name } else { symbol.name };
        if is_call {
            return self.call(insn, symbol, what, section);
        }
        if section.is_code() && (symbol.is_section() || symbol.is_function()) {
            if !symbol.value.is_multiple_of(SLOT) || !i64::from(insn.imm).cast_unsigned().is_multiple_of(SLOT) {
                return Err(format!("address of `{what}` is not that of an instruction"));
            }
            return Ok(RefTo::FunctionAddress { section: symbol.section, offset: symbol.value });
        }
        if section.name == JUMP_TABLES {
            return tables.read(symbol, section).map(RefTo::JumpTable);
        }
        if let Some(map) = self.maps.data_of_section(symbol.section) {
            let Ok(offset) = u32::try_from(symbol.value) else {
                return Err(format!("`{what}` is too far into its section"));
            };
            return Ok(RefTo::Data { map, offset });
        }
        match self.maps.defined_at(symbol.section, symbol.value) {
            Some(map) => Ok(RefTo::Map(map)),
            None => Err(format!("`{what}` in section `{}` is neither a map nor a variable", section.name)),
        }
    }

    fn call(&self, insn: Insn, symbol: &Symbol, what: &str, section: &Section) -> Result<RefTo, String> {
        if insn.src != BPF_PSEUDO_CALL {
            return Err(format!("call of `{what}` has source register {}, expected 1", insn.src));
        }
        if !section.is_code() {
            return Err(format!("call of `{what}` in section `{}`, which holds no code", section.name));
        }
        if !symbol.value.is_multiple_of(SLOT) {
            return Err(format!("call of `{what}` at offset {:#x}, which is not an instruction", symbol.value));
        }
        Ok(RefTo::Call { section: symbol.section, offset: symbol.value })
    }
}
