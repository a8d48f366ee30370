//! What must hold for a program: one oracle a file. Each says `None` when all is well, or a [`Finding`].

pub mod result;
pub mod verdict;

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
