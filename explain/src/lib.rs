//! `explain`, by reports that name a page, and by the book. Text with a form; nothing here judges a program or looks at a log.

mod cause;
mod page;

pub use cause::{Cause, Example, cause, causes};
pub use page::{Block, Page};

/// Why a page does not hold to the form. Only whoever writes pages meets it: the tests read every page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {what}")]
pub struct Malformed {
    pub file: String,
    pub what: String,
}
