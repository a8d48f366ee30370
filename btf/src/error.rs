//! What can be wrong with a BTF or BTF.ext blob. Not: what can be wrong with a CO-RE relocation (`core::Error`).

/// Why bytes are not BTF.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("BTF: {len} bytes are too few for a header of {need}")]
    Truncated { len: usize, need: usize },
    #[error("BTF: bad magic {0:#06x}, expected 0xeb9f")]
    Magic(u16),
    #[error("BTF is big endian; only little-endian objects are supported")]
    BigEndian,
    #[error("BTF: version {0}, expected 1")]
    Version(u8),
    #[error("BTF: {what} section at {off}+{len} lies outside of the {available} bytes after the header")]
    Section { what: &'static str, off: u32, len: u32, available: usize },
    #[error("BTF: string section must begin and end with a NUL byte")]
    Strings,
    #[error("BTF: a string of {0} bytes is longer than {1} bytes")]
    LongString(usize, usize),
    #[error("BTF: type [{id}] at type offset {off}: unknown kind {kind}")]
    Kind { id: u32, off: usize, kind: u8 },
    #[error("BTF: type [{id}] at type offset {off} runs past the end of the type section")]
    TypeTruncated { id: u32, off: usize },
    #[error("BTF: more than {0} types")]
    TooManyTypes(u32),
    #[error("BTF.ext: {what} at offset {off}: {problem}")]
    Ext { what: &'static str, off: usize, problem: &'static str },
}
