//! Other kernels: where they come from (`catalogue`, `fetch`, `package`), how they are booted under QEMU (`qemu`, `initramfs`), and a booted
//! one as an engine (`engine`, `guest`, `channel`, `wire`). What a kernel is asked and what its answers mean is `kernel-diff`'s matter.

pub mod catalogue;
pub mod channel;
pub mod engine;
pub mod fetch;
pub mod guest;
pub mod initramfs;
pub mod package;
pub mod qemu;
pub mod wire;

pub use catalogue::{Cached, Catalogue};
pub use engine::{Vm, VmEngine};
pub use qemu::{Boot, Options};

/// Why no kernel can be asked in a guest. None of these is a verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}")]
    File { path: String, source: std::io::Error },
    /// A program that this needs is not installed, or fails.
    #[error("{0}")]
    Tool(String),
    /// A file that is not what it should be.
    #[error("{path}: {what}")]
    Form { path: String, what: String },
    /// The guest did not come up, or went away.
    #[error("the guest {what}{}", tail(.console))]
    Guest { what: String, console: Vec<String> },
    #[error("{0}")]
    Unknown(String),
}

impl Error {
    /// For `map_err` on what touches a file.
    pub fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::File { path: path.display().to_string(), source }
    }
}

/// The last words on a console, indented below what they belong to.
fn tail(console: &[String]) -> String {
    console.iter().map(|l| format!("\n    | {l}")).collect()
}
