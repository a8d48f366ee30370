//! Functions of code sections, and the relocations inside them as references to maps, variables, functions and externs. Putting
//! a program together out of functions is in `link`.

use crate::Error;
use crate::elf::{Elf, Reloc, Section, Symbol};
use crate::externs::Externs;
use crate::maps::Maps;
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
    /// Call of a function: the symbol's byte offset in `.text`.
    Call {
        offset: u64,
    },
    /// Address of a function: likewise.
    FunctionAddress {
        offset: u64,
    },
}

/// A code section, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Code {
    pub name: String,
    pub insns: Vec<Insn>,
}

/// Functions of all code sections, by section and start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Functions {
    pub list: Vec<Function>,
    pub code: HashMap<usize, Code>,
    pub text: Option<usize>,
}

const SLOT: u64 = Insn::SIZE as u64;

impl Functions {
    pub(crate) fn collect(elf: &Elf) -> Result<Self, Error> {
        let mut all = Self::default();
        for (index, section) in elf.sections.iter().enumerate().filter(|(_, s)| s.is_code()) {
            if section.name == ".text" {
                all.text = Some(index);
            }
            let insns = section.data.as_chunks::<8>().0.iter().map(|b| Insn::from_bytes(*b)).collect();
            all.code.insert(index, Code { name: section.name.to_owned(), insns });
        }
        for symbol in elf.symbols.iter().filter(|s| s.is_function()) {
            if let Some(section) = elf.sections.get(symbol.section).filter(|s| s.is_code()) {
                all.list.push(function(symbol, section, all.text)?);
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

    /// Whether a function is only reached from others: it is in `.text`.
    pub(crate) fn is_sub(&self, f: &Function) -> bool {
        Some(f.section) == self.text
    }

    pub(crate) fn insns(&self, f: &Function) -> &[Insn] {
        let code = self.code.get(&f.section).map_or(&[][..], |c| &c.insns);
        code.get(f.start..f.start + f.count).unwrap_or_default()
    }

    pub(crate) fn section_name(&self, f: &Function) -> &str {
        self.code.get(&f.section).map_or("", |c| &c.name)
    }
}

fn function(symbol: &Symbol, section: &Section, text: Option<usize>) -> Result<Function, Error> {
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
    if Some(symbol.section) != text && symbol.is_local() {
        return Err(bad("static functions are programs of no kind; only `.text` may hold them"));
    }
    Ok(Function {
        name: symbol.name.to_owned(),
        section: symbol.section,
        start: (symbol.value / SLOT) as usize,
        count: (symbol.size / SLOT) as usize,
        hidden: symbol.hidden && !symbol.is_local(),
        refs: Vec::new(),
    })
}

/// Reads the relocations of all code sections into their functions.
pub(crate) fn relocate(elf: &Elf, all: &mut Functions, maps: &Maps, externs: &Externs) -> Result<(), Error> {
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
            let reader = Reader { elf, text: all.text, maps, externs };
            let to = reader.read(code[slot], record).map_err(bad)?;
            let f = &mut all.list[f];
            f.refs.push(Ref { slot: slot - f.start, to });
        }
    }
    for f in &mut all.list {
        f.refs.sort_by_key(|r| r.slot);
    }
    Ok(())
}

struct Reader<'a, 'd> {
    elf: &'a Elf<'d>,
    text: Option<usize>,
    maps: &'a Maps,
    externs: &'a Externs,
}

impl Reader<'_, '_> {
    fn read(&self, insn: Insn, record: Reloc) -> Result<RefTo, String> {
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
            return self.call(insn, symbol, what, section.name);
        }
        if Some(symbol.section) == self.text && (symbol.is_section() || symbol.is_function()) {
            if !symbol.value.is_multiple_of(SLOT) || !i64::from(insn.imm).cast_unsigned().is_multiple_of(SLOT) {
                return Err(format!("address of `{what}` is not that of an instruction"));
            }
            return Ok(RefTo::FunctionAddress { offset: symbol.value });
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

    fn call(&self, insn: Insn, symbol: &Symbol, what: &str, section: &str) -> Result<RefTo, String> {
        if insn.src != BPF_PSEUDO_CALL {
            return Err(format!("call of `{what}` has source register {}, expected 1", insn.src));
        }
        if Some(symbol.section) != self.text {
            return Err(format!("call of `{what}` in section `{section}`: only functions in `.text` can be called"));
        }
        if !symbol.value.is_multiple_of(SLOT) {
            return Err(format!("call of `{what}` at offset {:#x}, which is not an instruction", symbol.value));
        }
        Ok(RefTo::Call { offset: symbol.value })
    }
}
