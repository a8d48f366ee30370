//! The BPF instruction set: one table, everything derived. No dependencies.
mod insn;
pub use insn::Insn;
