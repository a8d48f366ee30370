//! What can go wrong while a program runs: typed, with the instruction and the address. Not here: errno values that a helper returns to the
//! program (those are results, not faults).

use std::fmt;

/// Which way memory was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    Read,
    Write,
}

/// A run ended without a result. Small (two words) because every step of an engine can return one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Slot of the instruction, `Fault::NO_PC` until an engine has filled it in.
    pub pc: u32,
    pub kind: Box<FaultKind>,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// An access outside of every region, across the end of one, or against its permission.
    Memory { access: Access, addr: u64, len: u64, near: String },
    /// Something that the engine knows it does not model: a helper, kfunc, map type, instruction.
    Unsupported(String),
    /// The instruction budget is used up.
    Budget(u64),
    /// More than 8 frames.
    CallDepth,
    /// A reserved or unknown encoding was reached.
    Instruction(String),
    /// Control went outside of the program.
    Jump(i64),
    /// A helper got something that no verified program passes: a number where a map belongs, an unknown flag word, ...
    HelperArg { helper: &'static str, arg: u8, why: String },
    /// Locks, references: taken twice, never given back, given back twice.
    Resource(String),
}

impl Fault {
    pub const NO_PC: u32 = u32::MAX;

    #[cold]
    pub fn new(kind: FaultKind) -> Self {
        Self { pc: Self::NO_PC, kind: Box::new(kind) }
    }

    #[cold]
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::new(FaultKind::Unsupported(what.into()))
    }

    #[cold]
    pub fn arg(helper: &'static str, arg: u8, why: impl Into<String>) -> Self {
        Self::new(FaultKind::HelperArg { helper, arg, why: why.into() })
    }

    /// Fills in the instruction unless an inner one is already named.
    #[cold]
    pub fn at(mut self, pc: u32) -> Self {
        if self.pc == Self::NO_PC {
            self.pc = pc;
        }
        self
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { access, addr, len, near } => {
                let way = if *access == Access::Read { "read" } else { "write" };
                write!(f, "invalid {way} of {len} bytes at {addr:#x} ({near})")
            }
            Self::Unsupported(what) => write!(f, "unsupported: {what}"),
            Self::Budget(n) => write!(f, "instruction budget of {n} used up"),
            Self::CallDepth => f.write_str("call depth exceeds 8 frames"),
            Self::Instruction(why) => write!(f, "invalid instruction: {why}"),
            Self::Jump(to) => write!(f, "jump to {to}, outside of the program"),
            Self::HelperArg { helper, arg, why } => write!(f, "bpf_{helper}: argument {arg}: {why}"),
            Self::Resource(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pc != Self::NO_PC {
            write!(f, "at insn {}: ", self.pc)?;
        }
        self.kind.fmt(f)
    }
}

impl std::error::Error for Fault {}
