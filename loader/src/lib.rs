//! ELF objects and load records to programs as the kernel would get them. Deterministic, no syscalls.
//!
//! [`open`] reads an object for a kernel that [`Options`] describe; [`Object::program`] links one of its programs for that kernel's BTF,
//! the way libbpf 1.7 does: the same instructions, maps, BTF and line information reach the kernel. [`records`] reads load records.

mod arg_ctx;
mod attach;
mod btf_fixup;
mod core_patch;
mod elf;
mod error;
mod externs;
mod functions;
mod info;
mod kconfig;
mod ksyms;
mod link;
mod maps;
mod object;
mod presets;
pub mod records;
mod sanitize;
mod section_name;

pub use error::Error;
pub use link::Linker;
pub use object::{ObjProgram, Object, Options, open};
pub use section_name::{SectionKind, section_kind};
