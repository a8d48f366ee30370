//! The running kernel. With feature `live` this is `bpf(2)`; without it the answer is always "not built with it". What a program
//! is and how answers are compared is not here.

#[cfg(feature = "live")]
mod events;
#[cfg(feature = "live")]
mod kernel;
#[cfg(feature = "live")]
mod maps;
#[cfg(feature = "live")]
pub mod recorder;
#[cfg(feature = "live")]
mod sys;

#[cfg(feature = "live")]
pub use kernel::HostKernel;

use crate::engine::{Engine, Error};

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

/// True when the live engine is part of this build.
pub const BUILT: bool = cfg!(feature = "live");
