//! Why a program was refused, from a verifier's log: cause, places, values and fixes. The log is the one interface; it may be our own
//! walk's or any kernel's. No program is judged or run here, and nothing is read or written.
//!
//! - `log/`: text to refusals; `path`: the failing path and what can be asked about it
//! - `cause/`: evidence rules, from a path to a cause with its places and fixes
//! - `words`: values in words; `render`: the report for a terminal

mod cause;
mod diagnosis;
mod ids;
pub mod log;
mod path;
mod render;
mod words;

pub use cause::Cause;
pub use diagnosis::{Certainty, Diagnosis, Extra, Fix, FunctionStack, PathLine, Place, Role, diagnose};
pub use ids::{Known, by_id, by_message, shown};
pub use render::{Style, render, short};
