//! What a path through the program knows: frames, references, and where it comes from. How paths are walked is in `walk`, when two
//! of them are the same in `prune`.

use crate::held::Held;
use crate::prune::Marks;
use crate::reg::{BtfId, MapId, Reg};
use crate::stack::Slot;

pub const MAX_FRAMES: usize = 16;
pub const STACK_LIMIT: i32 = 512;
pub const REGS: usize = 11;
/// R10, the frame pointer.
pub const FP: usize = 10;

/// One function activation.
#[derive(Clone, Debug)]
pub struct Frame {
    pub regs: [Reg; REGS],
    /// Slot 0 is fp-8. Only as long as accesses reached; `len * 8` is the allocated size.
    pub stack: Vec<Slot>,
    /// Index of the call instruction in the outer frame; -1 for an outermost frame.
    pub callsite: i32,
    pub frameno: u32,
    pub subprog: u32,
    /// How many async callbacks deep this root frame was registered.
    pub async_entry: u32,
    /// Allowed return values of a callback.
    pub callback_ret: (i32, i32),
    pub in_callback: bool,
    pub in_async: bool,
    pub in_exception: bool,
    /// Rounds of a synchronous callback simulated from this frame.
    pub callback_depth: u32,
    pub marks: Marks,
    /// What was held when this frame called the next one, where kernels keep references per frame.
    pub held: Held,
}

impl Frame {
    pub fn new(callsite: i32, frameno: u32, subprog: u32) -> Frame {
        Frame {
            regs: [Reg::NOT_INIT; REGS],
            stack: Vec::new(),
            callsite,
            frameno,
            subprog,
            async_entry: 0,
            callback_ret: (0, 0),
            in_callback: false,
            in_async: false,
            in_exception: false,
            callback_depth: 0,
            marks: Marks::default(),
            held: Held::default(),
        }
    }
    pub fn allocated(&self) -> i32 {
        self.stack.len() as i32 * 8
    }
    /// Makes room down to `fp - bytes`. New slots are invalid.
    pub fn grow(&mut self, bytes: i32) {
        let slots = (bytes.max(0) as usize).div_ceil(8);
        if slots > self.stack.len() {
            self.stack.resize(slots, Slot::EMPTY);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefKind {
    /// An acquired object.
    Ptr,
    Irq,
    Lock,
    ResLock,
    ResLockIrq,
}

impl RefKind {
    pub const fn is_lock(self) -> bool {
        matches!(self, RefKind::Lock | RefKind::ResLock | RefKind::ResLockIrq)
    }
}

/// What a lock belongs to; part of its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockObj {
    None,
    Map(MapId),
    Btf(BtfId),
}

/// Something the program holds and must give back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ref {
    pub kind: RefKind,
    pub id: u32,
    /// Instruction that took it.
    pub insn: u32,
    pub lock: LockObj,
    /// Number of the callback's frame that took it; 0 outside of callbacks.
    pub callback: u32,
}

/// Registers and slots whose scalars were tied to each other at a conditional jump, for backtracking. At most six.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Linked {
    len: u8,
    items: [LinkedReg; 6],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkedReg {
    pub frame: u8,
    /// Register number, or slot index when `is_slot`.
    pub index: u8,
    pub is_slot: bool,
}

impl Linked {
    pub const MAX: usize = 6;
    pub fn as_slice(&self) -> &[LinkedReg] {
        &self.items[..self.len as usize]
    }
    /// False when full.
    pub fn push(&mut self, r: LinkedReg) -> bool {
        if (self.len as usize) < Self::MAX {
            self.items[self.len as usize] = r;
            self.len += 1;
            true
        } else {
            false
        }
    }
}

/// Why an executed instruction is remembered: what backtracking needs and cannot read off the instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistFlags {
    /// Frame and slot of a spill or fill.
    pub stack: Option<(u8, u8)>,
    pub dst_is_stack: bool,
    pub src_is_stack: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistEntry {
    pub idx: u32,
    /// Instruction executed before it.
    pub prev: u32,
    pub flags: HistFlags,
    pub linked: Linked,
}

/// Index of a stored state in `prune::Explored`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateId(pub u32);

/// Everything a path knows. Cloned at forks and when stored.
#[derive(Clone, Debug)]
pub struct State {
    /// Outermost first; never empty.
    pub frames: Vec<Frame>,
    pub refs: Held,
    pub active_locks: u32,
    pub active_preempt: u32,
    pub active_irq_id: u32,
    pub active_lock_id: u32,
    pub active_lock_obj: LockObj,
    pub active_rcu: u32,
    pub speculative: bool,
    pub sleepable: bool,
    /// Stored state from which this one goes on.
    pub parent: Option<StateId>,
    /// Index where the state begins.
    pub first_insn: i32,
    /// Index of the instruction executed before the current one; -1 at the start of a function walk.
    pub last_insn: i32,
    /// The current instruction.
    pub insn: i32,
    pub history: Vec<HistEntry>,
    pub dfs_depth: u32,
    pub may_goto_depth: u32,
    pub callback_unroll: u32,
    /// Stored state that a continuation of this one came back to (before 6.17).
    pub loop_entry: Option<StateId>,
}

impl State {
    pub fn new(frame: Frame) -> State {
        State {
            frames: vec![frame],
            refs: Held::default(),
            active_locks: 0,
            active_preempt: 0,
            active_irq_id: 0,
            active_lock_id: 0,
            active_lock_obj: LockObj::None,
            active_rcu: 0,
            speculative: false,
            sleepable: false,
            parent: None,
            first_insn: 0,
            last_insn: -1,
            insn: 0,
            history: Vec::new(),
            dfs_depth: 0,
            may_goto_depth: 0,
            callback_unroll: 0,
            loop_entry: None,
        }
    }
    /// Puts a frame on top. A kernel that keeps references per frame goes on with a copy of them.
    pub fn enter(&mut self, frame: Frame, refs_per_frame: bool) {
        if refs_per_frame {
            let held = self.refs.clone();
            self.frame_mut().held = held;
        }
        self.frames.push(frame);
    }
    pub fn cur(&self) -> usize {
        self.frames.len() - 1
    }
    pub fn frame(&self) -> &Frame {
        &self.frames[self.frames.len() - 1]
    }
    pub fn frame_mut(&mut self) -> &mut Frame {
        let n = self.frames.len() - 1;
        &mut self.frames[n]
    }
    /// The instruction at which frame `f` stands: the current one, or the call into the next frame.
    pub fn frame_insn(&self, f: usize) -> i32 {
        if f == self.cur() { self.insn } else { self.frames[f + 1].callsite }
    }
    /// Visits every register and every spilled register image of all frames, outermost frame first.
    pub fn for_each_reg_mut(&mut self, mut f: impl FnMut(&mut Reg)) {
        for frame in &mut self.frames {
            frame.regs.iter_mut().for_each(&mut f);
            for slot in &mut frame.stack {
                if slot.is_spill() {
                    f(&mut slot.reg);
                }
            }
        }
    }
    pub fn holds_ref(&self, id: u32) -> bool {
        self.refs.iter().rev().any(|r| r.kind == RefKind::Ptr && r.id == id)
    }
    /// Drops the object reference `id`; false when there is none.
    pub fn drop_ref(&mut self, id: u32) -> bool {
        self.refs.remove_last(|r| r.kind == RefKind::Ptr && r.id == id)
    }
    /// RCU protection holds: explicit section, lock held, or a program that cannot sleep.
    pub fn in_rcu_section(&self) -> bool {
        self.active_rcu > 0 || self.active_locks > 0 || !self.sleepable
    }
    pub fn can_sleep(&self) -> bool {
        self.sleepable
    }
}
