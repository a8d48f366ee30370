//! What a gate decides about judged programs: the configuration, the baseline, limits, suppressions; findings out. Judging itself and reading
//! objects are the caller's, how findings look is `report`'s.

pub mod baseline;
pub mod config;
mod evaluate;
mod matrix;
pub mod veristat;

pub use config::Config;
pub use evaluate::{Gate, merge, rules};
pub use matrix::{Configuration, configurations};
