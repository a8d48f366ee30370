//! The BPF instruction set, versions 1 to 4 as Linux 6.18 takes it: one table (`ops`), everything else derived. No dependencies.
//!
//! - `decode` / `Decoded` / `Kind`: instructions as structured data;
//! - `disasm` / `disasm_program`: the text of the kernel verifier's log;
//! - `asm::assemble`: that text back to slots;
//! - `semantics`: what ALU, jump, byte-order and atomic instructions compute;
//! - `generate`: random valid instructions;
//! - `consts`: numbers of the encoding.

pub mod asm;
pub mod consts;
mod decode;
mod disasm;
pub mod generate;
mod insn;
mod kind;
pub mod ops;
pub mod semantics;
mod token;

pub use decode::{DecodeError, Decoded, classify, decode, slots};
pub use disasm::{Names, Plain, disasm, disasm_program, text};
pub use insn::Insn;
pub use kind::{AluOp, AtomicOp, ByteOrder, Cast, JumpOp, Kind, Pseudo, Rhs, Size, Width};
pub use ops::{Fields, Op, Version};
