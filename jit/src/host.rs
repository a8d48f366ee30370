//! The Rust side of the stubs: what machine code cannot do alone. Every function here is called by machine code of this crate
//! and nothing else, with r12's `State` as its first argument.

use isa::semantics;
use runtime::{Fault, FaultKind, Image, Kind, Meaning, Run};

use crate::Compiled;
use crate::desc::{Desc, Trap};
use crate::enter::enter;
use crate::state::State;
use crate::stubs::{GO_ON, Hooks, LEAVE, RETURN};

/// The addresses that are compiled in.
pub(crate) fn hooks() -> Hooks {
    Hooks {
        load: load as *const () as usize,
        store: store as *const () as usize,
        atomic: atomic as *const () as usize,
        call: call as *const () as usize,
        enter: enter_function as *const () as usize,
        leave: leave_function as *const () as usize,
        packet: packet as *const () as usize,
        trap: trap as *const () as usize,
    }
}

/// The state and the run of a call from machine code.
///
/// # Safety
/// `state` is the pointer that `enter` gave to machine code, and machine code is waiting for this call to return: then nothing
/// else uses the state or the run, which `enter` keeps borrowed meanwhile.
unsafe fn parts<'a>(state: *mut State) -> (&'a mut State, &'a mut Run<'a>) {
    // SAFETY: the caller's condition; `run` was made from a `&mut Run` in `enter`.
    unsafe {
        let state = &mut *state;
        let run = &mut *state.run.cast::<Run<'a>>();
        (state, run)
    }
}

fn fail(state: &mut State, fault: Fault, slot: u32) -> u64 {
    state.fault = Some(fault.at(slot));
    state.status = LEAVE;
    0
}

/// After a checked access: the next one to the same object need not ask.
fn remember(state: &mut State, run: &Run<'_>, desc: Desc, addr: u64) {
    if let Some(region) = run.regions.at(addr)
        && !matches!(region.kind, Kind::Ctx | Kind::Arena)
    {
        state.remember(desc.base(), region, addr);
    }
}

/// # Safety
/// As `parts`.
unsafe extern "C" fn load(state: *mut State, desc: u64, addr: u64) -> u64 {
    // SAFETY: called by the load stub.
    let (state, run) = unsafe { parts(state) };
    let desc = Desc(desc);
    match run.load(addr, desc.bytes()) {
        Ok(value) => {
            remember(state, run, desc, addr);
            if desc.is_signed() { semantics::sign_extend(desc.size(), value) } else { value }
        }
        Err(_) if desc.is_probe() => 0,
        Err(fault) => fail(state, fault, desc.slot()),
    }
}

/// # Safety
/// As `parts`.
unsafe extern "C" fn store(state: *mut State, desc: u64, addr: u64, value: u64) -> u64 {
    // SAFETY: called by the store stub.
    let (state, run) = unsafe { parts(state) };
    let desc = Desc(desc);
    match run.store(addr, desc.bytes(), value) {
        Ok(()) => {
            remember(state, run, desc, addr);
            0
        }
        Err(fault) => fail(state, fault, desc.slot()),
    }
}

/// # Safety
/// As `parts`.
unsafe extern "C" fn atomic(state: *mut State, desc: u64, addr: u64, src: u64, r0: u64) -> u64 {
    // SAFETY: called by the atomic stub.
    let (state, run) = unsafe { parts(state) };
    let desc = Desc(desc);
    let Some(op) = desc.op() else { return fail(state, unknown(), desc.slot()) };
    match run.atomic(op, desc.size(), addr, src, r0) {
        Ok(value) => {
            remember(state, run, desc, addr);
            value.unwrap_or(0)
        }
        Err(fault) => fail(state, fault, desc.slot()),
    }
}

#[cold]
fn unknown() -> Fault {
    Fault::new(FaultKind::Instruction("an atomic operation that does not exist".into()))
}

/// A helper or kfunc.
///
/// # Safety
/// As `parts`.
unsafe extern "C" fn call(state: *mut State, slot: u32) -> u64 {
    // SAFETY: called by the call stub.
    let (state, run) = unsafe { parts(state) };
    let function = match run.image.meaning.get(slot as usize) {
        Some(Meaning::Helper { function, .. } | Meaning::Kfunc { function, .. }) => *function,
        _ => {
            fail(state, Fault::unsupported("a call that means nothing"), slot);
            return LEAVE;
        }
    };
    let is_tail_call = matches!(run.image.meaning.get(slot as usize), Some(Meaning::Helper { id: TAIL_CALL, .. }));
    sync_out(state, run);
    let result = function(run, state.args);
    let answer = match result {
        Err(fault) => Err(fault),
        Ok(_) if is_tail_call => tail_call(state, run),
        Ok(r0) => {
            state.ret = r0;
            Ok(GO_ON)
        }
    };
    // Helpers may move, resize and free memory.
    state.invalidate();
    sync_in(state, run);
    match answer {
        Err(fault) => {
            fail(state, fault, slot);
            LEAVE
        }
        Ok(_) if run.thrown.is_some() => LEAVE,
        Ok(answer) => answer,
    }
}

/// Number of bpf_tail_call.
const TAIL_CALL: u32 = 12;

/// Runs the program that a tail call chose, in the frame of the function that called, and returns from that function.
fn tail_call(state: &mut State, run: &mut Run<'_>) -> Result<u64, Fault> {
    let Some(target) = run.tail_target.take() else { return Ok(GO_ON) };
    let compiled = Compiled::of(&target)?;
    let caller = std::mem::replace(&mut run.image, target);
    let context = run.ctx.addr();
    let result = enter(&compiled, run, 0, [context, 0, 0, 0, 0], state.fp);
    run.image = caller;
    state.ret = result?;
    Ok(RETURN)
}

fn sync_out(state: &State, run: &mut Run<'_>) {
    run.budget = u64::try_from(state.budget).unwrap_or(0);
}

fn sync_in(state: &mut State, run: &Run<'_>) {
    state.budget = i64::try_from(run.budget).unwrap_or(i64::MAX);
}

/// A legacy packet load; outside of the packet the function returns 0. Offset as u32, r6 as the last argument.
///
/// # Safety
/// As `parts`.
unsafe extern "C" fn packet(state: *mut State, slot: u32, off: u32, context: u64) -> u64 {
    // SAFETY: called by the packet stub.
    let (state, run) = unsafe { parts(state) };
    let size = match isa::decode(&run.image.insns, slot as usize).map(|d| d.kind()) {
        Ok(isa::Kind::LdAbs(size) | isa::Kind::LdInd(size)) => size,
        _ => {
            fail(state, Fault::new(FaultKind::Instruction("not a packet load".into())), slot);
            return LEAVE;
        }
    };
    match runtime::helper::packet_load(run, context, off as i32, size.bytes()) {
        Some(value) => {
            state.ret = value;
            GO_ON
        }
        None => {
            state.ret = 0;
            RETURN
        }
    }
}

/// A frame for a subprogram: its r10, or 0 and a fault.
///
/// # Safety
/// As `parts`.
unsafe extern "C" fn enter_function(state: *mut State, slot: u32) -> u64 {
    // SAFETY: called by the stub before a local call.
    let (state, run) = unsafe { parts(state) };
    // Without loops, calls of calls are still exponential in the length of the program.
    state.budget -= 1;
    if state.budget < 0 {
        return fail(state, Fault::new(FaultKind::Budget(run.budget_limit)), slot);
    }
    match run.push_frame() {
        Ok(fp) => fp,
        Err(fault) => fail(state, fault, slot),
    }
}

/// # Safety
/// As `parts`.
unsafe extern "C" fn leave_function(state: *mut State) {
    // SAFETY: called by the stub after a local call.
    let (state, run) = unsafe { parts(state) };
    run.pop_frame();
    // The callee's frame is gone.
    state.invalidate();
}

/// Control came to a place from which it cannot go on.
///
/// # Safety
/// As `parts`.
unsafe extern "C" fn trap(state: *mut State, desc: u64) {
    // SAFETY: called by the trap stub.
    let (state, run) = unsafe { parts(state) };
    let desc = Desc(desc);
    let slot = desc.slot();
    let fault = reason(&run.image, slot as usize, desc.as_trap(), run.budget_limit);
    fail(state, fault, slot);
}

#[cold]
fn reason(image: &Image, slot: usize, trap: Trap, budget: u64) -> Fault {
    match trap {
        Trap::Budget => Fault::new(FaultKind::Budget(budget)),
        Trap::End => Fault::new(FaultKind::Jump(image.insns.len() as i64)),
        Trap::Missing => match image.meaning.get(slot) {
            Some(Meaning::Missing(what)) => Fault::unsupported(&**what),
            other => Fault::unsupported(format!("an instruction that means {other:?}")),
        },
        Trap::Jump => {
            let to = isa::decode(&image.insns, slot).ok().and_then(|d| d.target(slot)).unwrap_or(-1);
            Fault::new(FaultKind::Jump(to))
        }
        Trap::Instruction => {
            let why = isa::decode(&image.insns, slot).err().map_or("malformed".into(), |e| e.to_string());
            Fault::new(FaultKind::Instruction(why))
        }
    }
}
