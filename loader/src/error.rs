//! Why an object, or one of its programs, cannot be made into what `bpf(2)` takes.

/// Names where, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("not an ELF object: {0}")]
    NotElf(&'static str),
    #[error("big-endian BPF objects are not supported; compile with -target bpfel")]
    BigEndian,
    #[error("ELF machine {0} is not BPF (247)")]
    NotBpf(u16),
    #[error("ELF file type {0} is not a relocatable object (1)")]
    NotRelocatable(u16),
    #[error("ELF: {what} at offset {offset:#x}: {problem}")]
    Elf { what: &'static str, offset: u64, problem: &'static str },
    #[error("section `{section}`: {problem}")]
    Section { section: String, problem: String },
    #[error("section `{section}`, relocation {index} at offset {offset:#x}: {problem}")]
    Relocation { section: String, index: usize, offset: u64, problem: String },
    #[error("section `{section}`: {source}")]
    Btf { section: &'static str, source: btf::Error },
    #[error("function `{function}` (section `{section}`, offset {offset:#x}): {problem}")]
    Function { function: String, section: String, offset: u64, problem: String },
    #[error("map `{map}`: {problem}")]
    Map { map: String, problem: String },
    #[error("extern `{name}`: {problem}")]
    Extern { name: String, problem: String },
    /// In libbpf's words. A module could have it: their BTF is not looked at.
    #[error(
        "extern ({kind} ksym) '{name}': not found in kernel or module BTFs (the kernel's own BTF lacks it; modules were not looked at)"
    )]
    MissingSymbol { name: String, kind: &'static str },
    #[error("program `{program}`, instruction {insn} of `{function}`: {problem}")]
    Insn { program: String, function: String, insn: usize, problem: String },
    #[error("program `{program}`, CO-RE relocation of instruction {insn} of `{function}`: {source}")]
    Core { program: String, function: String, insn: usize, source: Box<btf::core::Error> },
    #[error("program `{program}` (section `{section}`): {problem}")]
    Program { program: String, section: String, problem: String },
    #[error("--set {setting}: {problem}")]
    Preset { setting: String, problem: String },
    #[error("load record: {0}")]
    Record(String),
}

impl Error {
    pub(crate) fn section(section: &str, problem: impl Into<String>) -> Self {
        Self::Section { section: section.to_owned(), problem: problem.into() }
    }

    pub(crate) fn map(map: &str, problem: impl Into<String>) -> Self {
        Self::Map { map: map.to_owned(), problem: problem.into() }
    }

    pub(crate) fn external(name: &str, problem: impl Into<String>) -> Self {
        Self::Extern { name: name.to_owned(), problem: problem.into() }
    }
}
