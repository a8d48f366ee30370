//! Capturing: follows a command and all that it starts, and writes a load record for every program that any of them gives to
//! `bpf(2)`, with the kernel's answer. So a program of any loader can be judged for other kernels without its sources.
//!
//! Nothing here remembers who has which file open. A descriptor is looked up in `/proc` when a load names it, and what it refers to has
//! an id that the kernel never reuses: descriptors that are closed, reopened, inherited or passed on cannot be mixed up. The kernel is
//! asked for the rest; only what it does not tell again is kept from the calls that go by (`session`).
//!
//! Not seen are loads that the kernel makes for a program (light skeletons: `bpf()` called by a program of type `syscall`) and loads
//! of a process that stands outside of the command's tree, such as a daemon that the command talks to.
//!
//! What a record means is `loader::records`' matter, how it is judged the verifier's.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod attr;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod known;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod log;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod memory;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod objects;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod program;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod record;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod session;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod trace;

/// What to follow and where the records go.
#[derive(Clone, Debug)]
pub struct Options {
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// The record file; BTF goes into the folder `btf` beside it.
    pub output: PathBuf,
    /// Leave out programs without a name: most of what loaders load to find out what the kernel can do.
    pub named: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Summary {
    pub accepted: usize,
    pub refused: usize,
    /// Records among them that say of themselves that something is missing.
    pub incomplete: usize,
    /// Loads left out for want of a name.
    pub unnamed: usize,
    /// How the command itself ended.
    pub ended: ExitStatus,
}

/// Why there is no capture.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no command is given")]
    NoCommand,
    #[error("{}: {why}", .command.display())]
    Command { command: OsString, why: io::Error },
    #[error("{}: {why}", .path.display())]
    Output { path: PathBuf, why: io::Error },
    #[error("processes cannot be followed here: {0}")]
    Refused(io::Error),
    #[error("capturing works on x86-64 Linux only")]
    Platform,
}

/// Runs the command to its end, and what it has started to theirs.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub fn run(options: &Options) -> Result<Summary, Error> {
    let mut session = session::Session::new(options)?;
    let ended = trace::follow(&options.command, &mut session)?;
    session.finish(ended)
}

/// Runs the command to its end, and what it has started to theirs.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub fn run(_: &Options) -> Result<Summary, Error> {
    Err(Error::Platform)
}
