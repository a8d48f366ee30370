//! Why a program was refused, from a verifier's log: cause, places, values and fixes. The log is the one interface; it may be our own
//! walk's or any kernel's. No program is judged or run here, and nothing is read or written.
//!
//! - `log/`: text to refusals; `path`: the failing path and what can be asked about it
//! - `cause/`: evidence rules, from a path to a cause with its places and fixes
//! - `probe`: what a path says about inputs that lead down it
//! - `words`: values in words; `render`: the report for a terminal

mod cause;
mod diagnosis;
mod ids;
pub mod log;
mod path;
mod probe;
mod render;
mod words;

pub use cause::Cause;
pub use diagnosis::{Certainty, Diagnosis, Extra, Fix, FunctionStack, Kernel, PathLine, Place, Role, Trial, diagnose};
pub use ids::{Known, by_id, by_message, shown};
pub use path::failing as failing_path;
pub use probe::Probe;
pub use render::{Style, render, short};
