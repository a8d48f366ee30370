//! The x86-64 JIT: every instruction of `isa` becomes machine code; nothing falls back to the interpreter.
//!
//! Registers are mapped one to one (`regs`), each class of instructions has its lowering (`lower`), machine code is never
//! writable and executable at once (`code`). Memory accesses that the image's facts prove are bare; all others are checked
//! against the run's regions, mostly by one comparison (`state::Window`). Whatever goes wrong ends the run with a `Fault`.
//!
//! Not here: memory, maps, helpers, contexts (`runtime`), proofs (the verifier).
#![cfg(target_arch = "x86_64")]

mod code;
mod desc;
mod dump;
mod emit;
mod enter;
mod host;
mod lower;
mod regs;
mod state;
mod stubs;

use std::sync::Arc;

use isa::Insn;
use runtime::{Engine, Fault, FaultKind, Image, Meaning, Run};
use spec::ProgType;

pub use dump::dump;

/// Why a program could not be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("assembler: {0}")]
    Assembler(String),
    #[error("executable memory: {0}")]
    Memory(String),
    #[error("another JIT has compiled this image")]
    Foreign,
}

/// Machine code of one image. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Compiled(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    code: code::Code,
    /// Per slot: where its code starts, prologue of a function included.
    entries: Vec<u32>,
    /// Per slot: whether it is the second half of a 64-bit immediate.
    resolved_second: Vec<bool>,
    /// Where code begins that belongs to no slot.
    tail: u32,
    /// For `dump`.
    insns: Vec<Insn>,
    names: dump::CalledNames,
}

/// The JIT as an engine, for callbacks from helpers.
#[derive(Debug)]
pub struct Jit;

impl Engine for Jit {
    fn call_subprog(&self, run: &mut Run<'_>, entry: u32, args: [u64; 5]) -> Result<u64, Fault> {
        let compiled = Compiled::of(&run.image)?;
        compiled.call(run, entry, args)
    }
}

/// Compiles an image, once: later calls give the same code. Proven accesses are those of the image's facts.
pub fn compile(image: &Image) -> Result<Compiled, Error> {
    match image.compiled(|| Compiled::new(image)) {
        Some(compiled) => compiled.clone(),
        None => Err(Error::Foreign),
    }
}

/// Compiles if necessary, runs the program from its first instruction with r1 = context, and returns r0.
pub fn run(image: &Arc<Image>, run: &mut Run<'_>) -> Result<u64, Fault> {
    run.image = image.clone();
    Compiled::of(image)?.run(run)
}

impl Compiled {
    /// For use during a run.
    fn of(image: &Image) -> Result<Self, Fault> {
        compile(image).map_err(|e| Fault::unsupported(format!("JIT: {e}")))
    }

    fn new(image: &Image) -> Result<Self, Error> {
        let resolved: Vec<emit::Resolved> = image.meaning.iter().map(resolve).collect();
        let source = emit::Source {
            insns: &image.insns,
            resolved: &resolved,
            fact: &|slot| image.fact(slot),
            prog_type: ProgType::from_raw(image.prog_type),
            arena_base: image.arena().map_or(0, |a| a.user_start()),
        };
        let emitted = emit::emit(&source, &host::hooks()).map_err(|e| Error::Assembler(e.to_string()))?;
        Ok(Self(Arc::new(Inner {
            code: code::Code::new(&emitted.bytes).map_err(|e| Error::Memory(e.to_string()))?,
            entries: emitted.entries,
            resolved_second: resolved.iter().map(|r| *r == emit::Resolved::SecondHalf).collect(),
            tail: emitted.tail,
            insns: image.insns.clone(),
            names: dump::CalledNames::of(image),
        })))
    }

    /// Runs the program from its first instruction with r1 = context, and returns r0. The run's image must be the compiled one.
    pub fn run(&self, run: &mut Run<'_>) -> Result<u64, Fault> {
        if !Arc::ptr_eq(&Self::of(&run.image)?.0, &self.0) {
            return Err(Fault::unsupported("machine code of another image"));
        }
        run.engine = &Jit;
        let context = run.ctx.addr();
        let r0 = self.call(run, 0, [context, 0, 0, 0, 0])?;
        run.settle(r0)
    }

    /// Calls a function of the program in a new frame.
    fn call(&self, run: &mut Run<'_>, entry: u32, args: [u64; 5]) -> Result<u64, Fault> {
        // A callback costs something even if it does nothing.
        run.budget = run.budget.checked_sub(1).ok_or_else(|| Fault::new(FaultKind::Budget(run.budget_limit)))?;
        let depth = run.depth();
        let image = run.image.clone();
        let fp = run.push_frame()?;
        let result = enter::enter(self, run, entry, args, fp);
        while run.depth() > depth {
            run.pop_frame();
        }
        run.image = image;
        result
    }

    /// The machine code, stubs included.
    pub fn machine_code(&self) -> &[u8] {
        self.0.code.bytes()
    }
}

fn resolve(meaning: &Meaning) -> emit::Resolved {
    match meaning {
        Meaning::Plain => emit::Resolved::Plain,
        Meaning::Imm64(value) => emit::Resolved::Imm64(*value),
        Meaning::SecondHalf => emit::Resolved::SecondHalf,
        Meaning::Helper { .. } | Meaning::Kfunc { .. } => emit::Resolved::Host,
        Meaning::Subprog(entry) => emit::Resolved::Subprog(*entry),
        Meaning::Missing(_) => emit::Resolved::Missing,
    }
}
