//! The ELF file as sections, symbols and relocations with checked bounds. What sections mean is in `object`.

use crate::Error;
use object::LittleEndian as LE;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader, Sym};

type Header = elf::FileHeader64<LE>;

pub(crate) struct Section<'d> {
    pub name: &'d str,
    pub kind: elf::SectionType,
    pub flags: elf::SectionFlags,
    pub size: u64,
    /// Empty for sections without bytes in the file.
    pub data: &'d [u8],
    /// For relocation sections: the section they apply to.
    pub info: u32,
}

impl Section<'_> {
    pub(crate) fn is_code(&self) -> bool {
        self.kind == elf::SHT_PROGBITS && self.flags.0 & elf::SHF_EXECINSTR.0 != 0
    }

    pub(crate) fn is_bss(&self) -> bool {
        self.kind == elf::SHT_NOBITS
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Symbol<'d> {
    pub name: &'d str,
    pub value: u64,
    pub size: u64,
    pub section: usize,
    pub bind: elf::SymbolBind,
    pub kind: elf::SymbolType,
    pub hidden: bool,
}

impl Symbol<'_> {
    /// Of a reserved section number: absolute, common, extended.
    pub(crate) fn is_special(&self) -> bool {
        self.section >= usize::from(elf::SHN_LORESERVE)
    }

    pub(crate) fn is_function(&self) -> bool {
        self.kind == elf::STT_FUNC
    }

    pub(crate) fn is_local(&self) -> bool {
        self.bind == elf::STB_LOCAL
    }

    pub(crate) fn is_weak(&self) -> bool {
        self.bind == elf::STB_WEAK
    }

    pub(crate) fn is_section(&self) -> bool {
        self.kind == elf::STT_SECTION
    }

    /// A global variable.
    pub(crate) fn is_object(&self) -> bool {
        self.kind == elf::STT_OBJECT
    }

    /// Declared here, defined in no section.
    pub(crate) fn is_extern(&self) -> bool {
        self.section == 0 && !self.is_local() && self.kind == elf::STT_NOTYPE
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Reloc {
    pub offset: u64,
    pub symbol: usize,
}

pub(crate) struct Elf<'d> {
    pub sections: Vec<Section<'d>>,
    pub symbols: Vec<Symbol<'d>>,
}

fn check_ident(bytes: &[u8]) -> Result<(), Error> {
    let ident = bytes.first_chunk::<20>().ok_or(Error::NotElf("the file is shorter than an ELF header"))?;
    if ident[..4] != elf::ELFMAG {
        return Err(Error::NotElf("it does not start with \\x7fELF"));
    }
    if ident[4] != elf::ELFCLASS64.0 {
        return Err(Error::NotElf("it is not 64-bit"));
    }
    if ident[5] == elf::ELFDATA2MSB.0 {
        return Err(Error::BigEndian);
    }
    let half = |at: usize| u16::from_le_bytes([ident[at], ident[at + 1]]);
    // Old compilers left the machine number empty.
    if half(18) != elf::EM_BPF.0 && half(18) != elf::EM_NONE.0 {
        return Err(Error::NotBpf(half(18)));
    }
    if half(16) != elf::ET_REL.0 {
        return Err(Error::NotRelocatable(half(16)));
    }
    Ok(())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("")
}

impl<'d> Elf<'d> {
    pub(crate) fn parse(bytes: &'d [u8]) -> Result<Self, Error> {
        check_ident(bytes)?;
        let bad = |what, offset, problem| Error::Elf { what, offset, problem };
        let header = Header::parse(bytes).map_err(|_| bad("file header", 0, "is malformed"))?;
        let shoff = header.e_shoff.get(LE);
        let table = header.sections(LE, bytes).map_err(|_| bad("section table", shoff, "lies outside of the file"))?;
        let mut sections = Vec::with_capacity(table.len());
        let mut total = 0u64;
        // Names may share bytes, but not so that reading them all takes forever.
        let mut name_bytes = bytes.len() * 4;
        for (index, section) in table.iter().enumerate() {
            let kind = section.sh_type.get(LE);
            let offset = section.sh_offset.get(LE);
            let stored = !matches!(kind, elf::SHT_NOBITS | elf::SHT_NULL);
            let data = match stored {
                true => section.data(LE, bytes).map_err(|_| bad("section", offset, "lies outside of the file"))?,
                false => &[],
            };
            total = total.saturating_add(data.len() as u64);
            let name = match index {
                0 => "",
                _ => text(
                    table.section_name(LE, section).map_err(|_| bad("section name", offset, "is not in .shstrtab"))?,
                ),
            };
            name_bytes = name_bytes.checked_sub(name.len()).ok_or(bad("section name", offset, "is too long"))?;
            let (flags, size) = (section.sh_flags.get(LE), section.sh_size.get(LE));
            sections.push(Section { name, kind, flags, size, data, info: section.sh_info.get(LE) });
        }
        if total > bytes.len() as u64 {
            // No compiler's output does; it would let a small file ask for any amount of work.
            return Err(bad("section table", shoff, "sections overlap"));
        }
        let symbols = table
            .symbols(LE, bytes, elf::SHT_SYMTAB)
            .map_err(|_| bad("symbol table", shoff, "is malformed or has no string table"))?;
        let mut named = Vec::with_capacity(symbols.len());
        for symbol in symbols.iter() {
            let name =
                symbol.name(LE, symbols.strings()).map_err(|_| bad("symbol name", shoff, "is not in .strtab"))?;
            name_bytes = name_bytes.checked_sub(name.len()).ok_or(bad("symbol name", shoff, "is too long"))?;
            named.push(Symbol {
                name: text(name),
                value: symbol.st_value.get(LE),
                size: symbol.st_size.get(LE),
                section: usize::from(symbol.st_shndx.get(LE).0),
                bind: symbol.st_bind(),
                kind: symbol.st_type(),
                hidden: matches!(symbol.st_visibility(), elf::STV_HIDDEN | elf::STV_INTERNAL),
            });
        }
        Ok(Self { sections, symbols: named })
    }

    pub(crate) fn section(&self, name: &str) -> Option<(usize, &Section<'d>)> {
        self.sections.iter().enumerate().find(|(_, s)| s.name == name)
    }

    /// Relocation sections with the section they apply to.
    pub(crate) fn relocations(&self) -> impl Iterator<Item = (&Section<'d>, usize)> {
        self.sections.iter().filter(|s| matches!(s.kind, elf::SHT_REL | elf::SHT_RELA)).map(|s| (s, s.info as usize))
    }

    /// The records of a relocation section, in file order. BPF objects have no addends of their own (`SHT_REL`).
    pub(crate) fn records(&self, section: &Section<'d>) -> Result<Vec<Reloc>, Error> {
        if section.kind != elf::SHT_REL {
            return Err(Error::section(section.name, "relocations with addends (RELA) are not part of BPF objects"));
        }
        let word = |b: &[u8], at: usize| b[at..].first_chunk::<8>().map_or(0, |w| u64::from_le_bytes(*w));
        let record = |b: &[u8]| Reloc { offset: word(b, 0), symbol: (word(b, 8) >> 32) as usize };
        Ok(section.data.chunks_exact(16).map(record).collect())
    }
}
