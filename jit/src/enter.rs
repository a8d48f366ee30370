//! Entering machine code from Rust. What it may do there is in `stubs`, what it may call in `host`.

use std::ptr::from_mut;

use runtime::{Fault, FaultKind, Run};

use crate::Compiled;
use crate::state::State;
use crate::stubs::LEAVE;

/// Runs the function that starts at slot `entry`, in the frame whose r10 is `fp`. The image of `run` is the compiled one.
///
/// If a helper threw an exception, the result means nothing and `run.thrown` is set.
pub(crate) fn enter(compiled: &Compiled, run: &mut Run<'_>, entry: u32, args: [u64; 5], fp: u64) -> Result<u64, Fault> {
    let inner = &*compiled.0;
    let is_slot = inner.resolved_second.get(entry as usize) == Some(&false);
    let target = inner.entries.get(entry as usize).filter(|_| is_slot).and_then(|o| inner.code.at(*o));
    let (Some(target), Some(start)) = (target, inner.code.at(0)) else {
        return Err(Fault::new(FaultKind::Jump(entry.into())));
    };
    let mut state = State::new(from_mut(run).cast(), run.budget, args, fp);
    // SAFETY: the first byte of the code is the entry stub, which is a C function of this type (see `stubs::entry`).
    let call: extern "C" fn(*mut State, *const u8) = unsafe { std::mem::transmute(start) };
    // The compiled code touches memory only
    // - in its own frame below `fp` (r10 cannot change, see `emit::constant_fp`) and the loop counter in the gap above it,
    // - in the state,
    // - inside a window, that is, an object that the run's region table allowed and that nothing has freed since,
    // - where a fact of the image says that the access lies within a live object.
    call(&mut state, target);
    run.budget = u64::try_from(state.budget).unwrap_or(0);
    match state.fault {
        Some(fault) => Err(fault),
        None if state.status == LEAVE => Err(Fault::unsupported("machine code that left without a reason")),
        None => Ok(state.ret),
    }
}
