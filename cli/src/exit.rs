//! Exit statuses (a contract with scripts) and the one way in which a command fails.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// What the process returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// All accepted, or all agree.
    Ok = 0,
    /// Something was rejected or differs.
    Negative = 1,
    /// Bad usage or unreadable input.
    BadInput = 2,
    /// The environment lacks what was asked for.
    Environment = 3,
    /// A defect of ours; shells show 101 for Rust programs that panic.
    Internal = 101,
}

impl Status {
    /// The worse of two.
    pub fn worst(self, other: Self) -> Self {
        self.max(other)
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub struct Failure {
    pub status: Status,
    pub message: String,
}

impl Failure {
    pub fn input(message: impl Display) -> Self {
        Self { status: Status::BadInput, message: message.to_string() }
    }

    pub fn environment(message: impl Display) -> Self {
        Self { status: Status::Environment, message: message.to_string() }
    }

    /// A file that cannot be used, with what is wrong about it.
    pub fn file(path: &Path, what: impl Display) -> Self {
        Self::input(format!("{}: {what}", path.display()))
    }

    /// One line on stderr.
    pub fn print(&self) {
        if !self.message.is_empty() {
            crate::output::complain(crate::output::BAD, "error", &self.message);
        }
    }
}

/// Writing results: a reader that went away (`| head`) ends the program quietly.
impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::BrokenPipe => Self { status: Status::Ok, message: String::new() },
            _ => Self::environment(format!("cannot write the result: {e}")),
        }
    }
}

impl From<csv::Error> for Failure {
    fn from(e: csv::Error) -> Self {
        match e.into_kind() {
            csv::ErrorKind::Io(e) => e.into(),
            other => Self::environment(format!("cannot write the result: {other:?}")),
        }
    }
}

/// A page that does not hold to its form is a defect of this build; the tests read them all.
impl From<explain::Malformed> for Failure {
    fn from(e: explain::Malformed) -> Self {
        Self { status: Status::Internal, message: e.to_string() }
    }
}

impl From<kernel_diff::Error> for Failure {
    fn from(e: kernel_diff::Error) -> Self {
        Self::environment(e)
    }
}
