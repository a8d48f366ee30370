//! What must hold for a program: one oracle a file. Each says `None` when all is well, or a [`Finding`].

pub mod result;
pub mod verdict;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Something that an oracle does not like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Like findings have one key.
    pub key: String,
    /// All of it, for people.
    pub text: String,
    /// A program that should have been refused was accepted, or an engine went wrong: worst first.
    pub grave: bool,
}

/// Runs `f`; a panic becomes an error with its message.
pub fn guarded<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|p| {
        let text = p.downcast_ref::<String>().map(String::as_str).or_else(|| p.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic without a message").to_owned()
    })
}
