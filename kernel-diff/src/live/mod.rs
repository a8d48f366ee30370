//! The running kernel. With feature `live` this is `bpf(2)`; without it the answer is always "not built with it". What a program
//! is and how answers are compared is not here.

#[cfg(feature = "live")]
mod events;
#[cfg(feature = "live")]
mod kernel;
#[cfg(feature = "live")]
mod maps;
#[cfg(feature = "live")]
mod privilege;
#[cfg(feature = "live")]
pub mod recorder;
#[cfg(feature = "live")]
mod sys;

#[cfg(feature = "live")]
pub use kernel::HostKernel;

use program::Program;
use spec::Caps;

use crate::engine::{Engine, Error, LoadOptions};
use crate::judgement::Judgement;

/// The kernel of this machine, if this build and this process can ask it.
#[cfg(feature = "live")]
pub fn host() -> Result<Box<dyn Engine>, Error> {
    Ok(Box::new(HostKernel::new()?))
}

/// The kernel of this machine, if this build and this process can ask it.
#[cfg(not(feature = "live"))]
pub fn host() -> Result<Box<dyn Engine>, Error> {
    Err(Error::NotBuilt)
}

/// What the kernel of this machine says to a program when the process has these capabilities only (as far as it has them).
#[cfg(feature = "live")]
pub fn judge_with(caps: Caps, program: &Program, options: &LoadOptions) -> Result<Judgement, Error> {
    let ask = || {
        privilege::limit_thread(caps)?;
        HostKernel::new()?.load(program, options).map(|l| l.judgement)
    };
    let asked = std::thread::scope(|s| s.spawn(ask).join());
    asked.unwrap_or_else(|_| Err(Error::Environment("the thread that asked panicked".to_owned())))
}

/// What the kernel of this machine says to a program when the process has these capabilities only (as far as it has them).
#[cfg(not(feature = "live"))]
pub fn judge_with(_: Caps, _: &Program, _: &LoadOptions) -> Result<Judgement, Error> {
    Err(Error::NotBuilt)
}

/// True when the live engine is part of this build.
pub const BUILT: bool = cfg!(feature = "live");
