//! The execution loop. One loop runs a whole call chain; only callbacks from helpers recurse. The match over instruction forms is derived from the
//! instruction table.

use std::sync::Arc;

use isa::{AluOp, AtomicOp, ByteOrder, Cast, JumpOp, Op, Size, Width, semantics};
use runtime::{Fault, FaultKind, Image, Run};

use crate::code::{Broken, Code, Flag, Inst};

/// Iterations that `may_goto` grants each frame.
const MAY_GOTO_LIMIT: u32 = 8 << 20;

/// Registers r0..r10; 16 so that a masked index needs no bounds check.
type Registers = [u64; 16];

/// What a caller gets back when its callee exits.
struct Frame {
    return_to: usize,
    saved: [u64; 4],
    r10: u64,
    may_goto: u32,
    /// Index into `Chain::images`.
    image: usize,
}

/// A call chain in execution.
struct Chain {
    regs: Registers,
    pc: usize,
    may_goto: u32,
    image: usize,
    frames: Vec<Frame>,
    /// Programs of the chain: the first, and those that tail calls brought in.
    images: Vec<Arc<Image>>,
}

/// Why the loop over one program's code ended.
enum Stop {
    /// The chain's first function has returned.
    Done(u64),
    /// Go on in `Chain::image`.
    Switch,
}

/// Calls the function at `entry` of the run's current program in a new frame.
pub fn call(run: &mut Run<'_>, entry: u32, args: [u64; 5]) -> Result<u64, Fault> {
    let start = run.image.clone();
    let depth = run.depth();
    let r10 = run.push_frame()?;
    let mut regs = [0; 16];
    regs[1..6].copy_from_slice(&args);
    regs[10] = r10;
    let mut chain = Chain {
        regs,
        pc: entry as usize,
        may_goto: MAY_GOTO_LIMIT,
        image: 0,
        frames: Vec::new(),
        images: vec![start.clone()],
    };
    let result = chain.run(run);
    while run.depth() > depth {
        run.pop_frame();
    }
    run.image = start;
    result
}

impl Chain {
    fn run(&mut self, run: &mut Run<'_>) -> Result<u64, Fault> {
        loop {
            let image = self.images[self.image].clone();
            run.image = image.clone();
            let Some(code) = image.interpreted(|| Code::of(&image)) else {
                return Err(Fault::unsupported("an image that another interpreter has lowered"));
            };
            match self.run_code(run, code).map_err(|(pc, fault)| fault.at(pc as u32))? {
                Stop::Done(r0) => return Ok(r0),
                Stop::Switch => {}
            }
        }
    }

    /// Enters a subprogram.
    fn enter(&mut self, run: &mut Run<'_>, target: i32) -> Result<(), Fault> {
        let r10 = run.push_frame()?;
        let saved = [self.regs[6], self.regs[7], self.regs[8], self.regs[9]];
        self.frames.push(Frame {
            return_to: self.pc,
            saved,
            r10: self.regs[10],
            may_goto: self.may_goto,
            image: self.image,
        });
        self.regs[10] = r10;
        self.may_goto = MAY_GOTO_LIMIT;
        self.pc = target as usize;
        Ok(())
    }

    /// Leaves the current function: `Some` when the loop has to stop.
    fn leave(&mut self, run: &mut Run<'_>) -> Option<Stop> {
        let Some(frame) = self.frames.pop() else { return Some(Stop::Done(self.regs[0])) };
        run.pop_frame();
        self.regs[6..10].copy_from_slice(&frame.saved);
        self.regs[10] = frame.r10;
        self.may_goto = frame.may_goto;
        self.pc = frame.return_to;
        (std::mem::replace(&mut self.image, frame.image) != frame.image).then_some(Stop::Switch)
    }

    /// Calls a helper or kfunc. `Some` when the loop has to stop.
    fn helper(&mut self, run: &mut Run<'_>, code: &Code, inst: Inst) -> Result<Option<Stop>, Fault> {
        let r = &self.regs;
        let args = [r[1], r[2], r[3], r[4], r[5]];
        let r0 = code.calls[inst.imm as usize](run, args)?;
        if inst.flag == Flag::TailCall {
            if let Some(target) = run.tail_target.take() {
                self.images.truncate(self.frames.iter().map(|f| f.image).max().map_or(0, |m| m + 1));
                self.image = self.images.len();
                self.images.push(target);
                self.pc = 0;
                self.regs[1] = run.ctx.addr();
                return Ok(Some(Stop::Switch));
            }
            // A tail call that does not happen leaves r0 as it was.
            return Ok(None);
        }
        self.regs[0] = r0;
        Ok(run.thrown.map(Stop::Done))
    }

    /// Legacy packet load. `None`: outside of the packet, which ends the function with 0.
    fn packet_load(&mut self, run: &Run<'_>, off: u64, size: Size) -> Option<()> {
        let value = runtime::helper::packet_load(run, self.regs[6], off as i32, size.bytes())?;
        self.regs[0] = value;
        Some(())
    }

    fn run_code(&mut self, run: &mut Run<'_>, code: &Code) -> Result<Stop, (usize, Fault)> {
        let insts = &code.insts[..];
        let mut budget = run.budget;
        // The loop's own variables, written back to `self` and `run` around everything that looks at them there.
        loop {
            let pc = self.pc;
            let Some(&inst) = insts.get(pc) else {
                return Err((pc.wrapping_sub(1), Fault::new(FaultKind::Jump(pc as i32 as i64))));
            };
            if budget == 0 {
                return Err((pc, Fault::new(FaultKind::Budget(run.budget_limit))));
            }
            budget -= 1;
            self.pc = pc + 1;
            let Some(op) = inst.op else { return Err((pc, broken(code, inst))) };

            macro_rules! dst {
                () => {
                    self.regs[usize::from(inst.dst & 15)]
                };
            }
            macro_rules! src {
                () => {
                    self.regs[usize::from(inst.src & 15)]
                };
            }
            macro_rules! rhs {
                (K) => {
                    inst.imm
                };
                (X) => {
                    src!()
                };
            }
            macro_rules! address {
                ($base:expr) => {
                    $base.wrapping_add(inst.off as i64 as u64)
                };
            }
            macro_rules! or_fault {
                ($result:expr) => {
                    match $result {
                        Ok(value) => value,
                        Err(fault) => {
                            run.budget = budget;
                            return Err((pc, fault));
                        }
                    }
                };
            }
            macro_rules! load {
                ($size:ident) => {{
                    let addr = address!(src!());
                    match run.load(addr, Size::$size.bytes() as u8) {
                        Ok(value) => value,
                        Err(_) if inst.flag == Flag::Probe => 0,
                        Err(fault) => or_fault!(Err(fault)),
                    }
                }};
            }
            macro_rules! stop {
                ($stop:expr) => {
                    if let Some(stop) = $stop {
                        run.budget = budget;
                        return Ok(stop);
                    }
                };
            }
            macro_rules! jump_if {
                ($taken:expr) => {
                    if $taken {
                        self.pc = inst.off as usize;
                    }
                };
            }
            macro_rules! step {
                (Alu($w:ident, Mov, $rhs:ident)) => {
                    dst!() = if Width::$w == Width::W32 { rhs!($rhs) & 0xffff_ffff } else { rhs!($rhs) }
                };
                (Alu($w:ident, $op:ident, $rhs:ident)) => {
                    dst!() = semantics::alu(Width::$w, AluOp::$op, dst!(), rhs!($rhs))
                };
                (Neg($w:ident)) => {
                    dst!() = semantics::neg(Width::$w, dst!())
                };
                (MovSx($w:ident, $size:ident)) => {
                    dst!() = semantics::movsx(Width::$w, Size::$size, src!())
                };
                (End($order:ident, $size:ident)) => {
                    dst!() = semantics::endian(ByteOrder::$order, Size::$size, dst!())
                };
                (AddrSpaceCast($cast:ident)) => {{
                    let base = run.image.arena().map_or(0, |a| a.user_start());
                    dst!() = semantics::cast(Cast::$cast, base, src!())
                }};
                (LdImm64($pseudo:ident)) => {{
                    dst!() = inst.imm;
                    self.pc = pc + 2;
                }};
                (LdAbs($size:ident)) => {
                    if self.packet_load(run, inst.imm, Size::$size).is_none() {
                        self.regs[0] = 0;
                        stop!(self.leave(run));
                    }
                };
                (LdInd($size:ident)) => {
                    if self.packet_load(run, inst.imm.wrapping_add(src!()), Size::$size).is_none() {
                        self.regs[0] = 0;
                        stop!(self.leave(run));
                    }
                };
                (Ldx($size:ident)) => {
                    dst!() = load!($size)
                };
                (Ldsx($size:ident)) => {
                    dst!() = semantics::sign_extend(Size::$size, load!($size))
                };
                (St($size:ident)) => {{
                    let addr = address!(dst!());
                    or_fault!(run.store(addr, Size::$size.bytes() as u8, inst.imm))
                }};
                (Stx($size:ident)) => {{
                    let addr = address!(dst!());
                    or_fault!(run.store(addr, Size::$size.bytes() as u8, src!()))
                }};
                (Atomic($size:ident, LoadAcquire)) => {{
                    let addr = address!(src!());
                    let value = or_fault!(run.atomic(AtomicOp::LoadAcquire, Size::$size, addr, 0, 0));
                    dst!() = value.unwrap_or(0)
                }};
                (Atomic($size:ident, Cmpxchg)) => {{
                    let addr = address!(dst!());
                    let old = or_fault!(run.atomic(AtomicOp::Cmpxchg, Size::$size, addr, src!(), self.regs[0]));
                    self.regs[0] = old.unwrap_or(0)
                }};
                (Atomic($size:ident, $op:ident)) => {{
                    let addr = address!(dst!());
                    if let Some(old) = or_fault!(run.atomic(AtomicOp::$op, Size::$size, addr, src!(), self.regs[0])) {
                        src!() = old;
                    }
                }};
                (Ja) => {
                    self.pc = inst.off as usize
                };
                (Gotol) => {
                    self.pc = inst.off as usize
                };
                (MayGoto) => {
                    if self.may_goto == 0 { self.pc = inst.off as usize } else { self.may_goto -= 1 }
                };
                (Cond(W64, $op:ident, $rhs:ident)) => {
                    jump_if!(semantics::jump(JumpOp::$op, dst!(), rhs!($rhs)))
                };
                (Cond(W32, $op:ident, $rhs:ident)) => {
                    jump_if!(semantics::jump32(JumpOp::$op, dst!() as u32, rhs!($rhs) as u32))
                };
                (CallHelper) => {{
                    run.budget = budget;
                    stop!(or_fault!(self.helper(run, code, inst)));
                    budget = run.budget;
                }};
                (CallKfunc) => {{
                    run.budget = budget;
                    stop!(or_fault!(self.helper(run, code, inst)));
                    budget = run.budget;
                }};
                (CallLocal) => {
                    or_fault!(self.enter(run, inst.off))
                };
                (Exit) => {
                    stop!(self.leave(run))
                };
                (Malformed) => {
                    return Err((pc, broken(code, inst)))
                };
            }
            macro_rules! dispatch {
                ($($name:ident $code:literal [$($sel:tt)*] $since:ident $kind:ident $(($($arg:ident),*))? $text:literal;)*) => {
                    match op {
                        $(Op::$name => step!($kind $(($($arg),*))?),)*
                    }
                };
            }
            isa::for_each_op!(dispatch);
        }
    }
}

#[cold]
fn broken(code: &Code, inst: Inst) -> Fault {
    match code.broken.get(inst.imm as usize) {
        Some(Broken::Unsupported(what)) => Fault::unsupported(what.clone()),
        Some(Broken::Instruction(why)) => Fault::new(FaultKind::Instruction(why.clone())),
        None => Fault::new(FaultKind::Instruction("malformed".into())),
    }
}
