//! The language for what a program is run on and what must come of it: one for `run`, `test`, the corpus and recordings. Files are TOML or
//! JSON; captures of packets are read too. Nothing here runs a program: engines take the [`Input`] that a [`Step`] becomes.

pub mod input;
pub mod literal;
pub mod packet;
pub mod step;
pub mod trigger;
pub mod world;

mod read;

pub use input::Input;
pub use read::{Malformed, Tests, capture, read, schema, tests};
pub use step::{Scenario, Step};
pub use trigger::Trigger;
