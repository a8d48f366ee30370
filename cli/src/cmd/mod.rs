//! The subcommands, one file each: arguments, `run`, and how the result looks.

pub mod asm;
pub mod capture;
pub mod completions;
pub mod diff;
pub mod disasm;
pub mod explain;
pub mod fuzz;
pub mod gate;
pub mod guests;
pub mod jit;
pub mod kernels;
pub mod man;
pub mod run;
pub mod test;
pub mod verify;
