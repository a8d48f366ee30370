//! BTF and BTF.ext: parsing and CO-RE matching. No workspace dependencies.

/// Parsed BTF (of a program, or the kernel's).
#[derive(Clone, Debug, Default)]
pub struct Btf {}
