//! BTF and BTF.ext: parsing, editing, and CO-RE matching. Knows neither ELF nor instructions.
//!
//! Parsing is one pass that checks that every record lies within its section and stores 16 bytes a type; members, names and ids
//! are decoded when asked for. What a record refers to (names, other ids) is therefore checked at use: accessors give `None`, an
//! empty name or an empty iterator for what is out of range, never a panic.

mod check;
pub mod core;
mod edit;
mod error;
pub mod ext;
mod index;
mod read;
mod resolve;
mod types;

#[cfg(test)]
mod tests;

pub use check::Refusal;
pub use edit::Editor;
pub use error::Error;
pub use index::essential_name;
pub use read::{Btf, MAGIC};
pub use resolve::MAX_DEPTH;
pub use types::{Array, DeclTag, Enumerator, FuncLinkage, IntInfo, Kind, Member, Param, SecVar, Type, VarLinkage};
