//! What every engine can do: load a program, run it, show its maps. The engines themselves live in their own files.

use program::Program;
use runtime::Input;
use serde::{Deserialize, Serialize};

use crate::input::{MapDump, Output};
use crate::judgement::Judgement;

/// Something that takes programs: a kernel, an interpreter, a JIT, a recording of a kernel.
pub trait Engine {
    /// Short name for tables: `kernel`, `interp`, `jit`, `rbpf`, `recorded`.
    fn name(&self) -> &str;

    /// Loads `program`. An error means that the engine could not be asked; a program that it refuses is a [`Load`] with a
    /// negative judgement.
    ///
    /// Programs of one object share maps: a map definition (told apart by its `Arc`) that was seen before is the same map.
    fn load(&mut self, program: &Program, options: &LoadOptions) -> Result<Load, Error>;

    /// Ends the sharing: programs loaded from now on get fresh maps.
    fn forget_maps(&mut self) {}
}

/// A program that an engine has accepted, with the maps that belong to it.
pub trait Loaded {
    /// Executes on the input, `repeat` times (0 counts as 1). The input's map presets are put in first; contents of earlier runs
    /// persist.
    fn run(&mut self, input: &Input, repeat: u32) -> Result<Output, Error>;

    /// What the maps hold now, in the order of `Program::maps`; maps whose contents cannot be read have none.
    fn maps(&mut self) -> Result<Vec<MapDump>, Error>;
}

/// The answer to a load.
pub struct Load {
    pub judgement: Judgement,
    /// Present when the program was accepted.
    pub program: Option<Box<dyn Loaded>>,
}

/// How to load.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LoadOptions {
    /// Bits of `log_level`: 1 = branches, 2 = every instruction, 4 = statistics; 0 = no log, fastest.
    pub log_level: u32,
    /// Bytes of log to keep.
    pub log_size: u32,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { log_level: 4, log_size: 16 << 20 }
    }
}

impl LoadOptions {
    pub fn with_level(log_level: u32) -> Self {
        Self { log_level, ..Self::default() }
    }
}

/// Why an engine could not be asked. None of these is a verdict on the program.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq, Serialize, Deserialize)]
pub enum Error {
    /// The environment lacks something: privilege, a kernel feature, a file.
    #[error("{0}")]
    Environment(String),
    /// The engine does not reach this program or input; running it elsewhere is fine.
    #[error("{0}")]
    Unsupported(String),
    /// The engine stopped the program: an access out of bounds, a step limit.
    #[error("{0}")]
    Fault(String),
}

impl Error {
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }
}
