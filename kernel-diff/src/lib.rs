//! The real kernel as an engine, and comparison: programs go through several engines, every difference is typed. The only crate
//! that knows `bpf(2)`, and with feature `libbpf` that library. How programs are made up is not here (see `fuzz`), nor is judging them (see `verifier`).

pub mod canonical;
pub mod capture;
pub mod engine;
pub mod expected;
pub mod input;
pub mod judgement;
pub mod ledger;
#[cfg(feature = "libbpf")]
pub mod libbpf;
pub mod live;
pub mod logdiff;
pub mod outcome;
pub mod play;
pub mod raw;
pub mod recorded;
pub mod shape;

pub use engine::{Engine, Error, Load, LoadOptions, Loaded};
pub use input::{Event, MapDump, Output};
pub use judgement::{Judgement, Stats};
pub use outcome::Outcome;
pub use runtime::Input;
