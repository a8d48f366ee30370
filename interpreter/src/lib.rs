//! Checked execution of BPF programs: every access is looked up in the run's regions, every jump and call is bounded. Runs rejected programs too.
//! Not here: memory, maps, helpers (`runtime`), the meaning of arithmetic (`isa::semantics`).

mod code;
mod exec;

use std::sync::Arc;

use runtime::{Engine, Fault, Image, Run};

/// The interpreter as an engine, for callbacks from helpers.
#[derive(Debug)]
pub struct Interpreter;

impl Engine for Interpreter {
    fn call_subprog(&self, run: &mut Run<'_>, entry: u32, args: [u64; 5]) -> Result<u64, Fault> {
        exec::call(run, entry, args)
    }
}

/// Runs the program from its first instruction with r1 = context, and returns r0.
pub fn run(image: &Arc<Image>, run: &mut Run<'_>) -> Result<u64, Fault> {
    run.engine = &Interpreter;
    run.image = image.clone();
    let context = run.ctx.addr();
    let r0 = exec::call(run, 0, [context, 0, 0, 0, 0])?;
    run.settle(r0)
}
