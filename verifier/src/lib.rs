//! The kernel's BPF verifier in user space: a program and a profile in; verdict, reason and cost out. No IO, no ELF, no syscalls.
//!
//! - `value/`: abstract numbers; `reg`, `stack`, `state`: what a path knows; `env`: what all parts share
//! - `pass/`: everything before and after the walk; `walk`: the path explorer; `prune/`: when two states count as one
//! - `alu`, `ptr_arith`, `branch`, `mem/`, `call/`: what instructions may do and what they do to a state
//! - `reject`: the one table of refusals; `log`, `print`: the kernel's log

mod alu;
mod branch;
mod call;
mod cost;
mod env;
mod facts;
mod held;
mod invariants;
mod links;
mod log;
mod maps;
mod mem;
mod needs;
mod pass;
mod print;
mod prune;
mod ptr_arith;
mod reg;
mod reject;
mod sanitize;
mod stack;
mod state;
mod subprog;
pub mod value;
mod verdict;
mod versions;
mod walk;

pub use cost::{Cost, Spent};
pub use needs::needs;
pub use reject::Reject;
pub use verdict::{Options, Outcome, Stats, Verdict, verify, verify_counted};
