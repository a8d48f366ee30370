//! The walk over a program that turns slots into machine code, and what all lowerings share: labels, out-of-line code, address
//! checks. What an instruction becomes is in `lower`.

use dynasmrt::{AssemblyOffset, DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use isa::{Decoded, Insn, Kind, Pseudo};
use program::facts::Fact;
use spec::ProgType;

use crate::desc::{Desc, Trap};
use crate::lower;
use crate::regs::{R10, R11};
use crate::state::{BUDGET, window_limit, window_start};
use crate::stubs::{self, Asm, Hooks, Stubs};

/// What the numbers of a slot mean, as far as machine code cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    Plain,
    Imm64(u64),
    /// A helper or kfunc: found again by the slot.
    Host,
    Subprog(u32),
    /// Second half of a 64-bit immediate.
    SecondHalf,
    Missing,
}

/// A program to compile.
pub(crate) struct Source<'a> {
    pub insns: &'a [Insn],
    pub resolved: &'a [Resolved],
    /// What is proven about the access at a slot.
    pub fact: &'a dyn Fn(usize) -> Fact,
    /// Decides what r1 points to, for loads that are proven to go there.
    pub prog_type: Option<ProgType>,
    /// Address at which user space sees the arena.
    pub arena_base: u64,
}

/// Machine code with the places in it.
pub(crate) struct Emitted {
    pub bytes: Vec<u8>,
    /// Per slot: where its code starts, prologue of a function included.
    pub entries: Vec<u32>,
    /// Where the code that belongs to no slot starts.
    pub tail: u32,
}

/// Code that is left out of the straight path.
enum Aside {
    Load {
        at: DynamicLabel,
        back: DynamicLabel,
        dst: u8,
        desc: Desc,
    },
    Store {
        at: DynamicLabel,
        back: DynamicLabel,
        value: Value,
        desc: Desc,
    },
    /// The result, if there is one, goes to `dst`.
    Atomic {
        at: DynamicLabel,
        back: DynamicLabel,
        operand: u8,
        dst: Option<u8>,
        desc: Desc,
    },
    Trap {
        at: DynamicLabel,
        desc: Desc,
    },
}

/// A value to store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    Reg(u8),
    Imm(i32),
}

/// A memory operand: machine register and displacement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mem {
    pub base: u8,
    pub disp: i32,
}

pub(crate) struct Emitter<'a> {
    pub a: Asm,
    pub source: &'a Source<'a>,
    pub stubs: Stubs,
    /// The slot being lowered.
    pub slot: u32,
    labels: Vec<DynamicLabel>,
    entries: Vec<Option<DynamicLabel>>,
    asides: Vec<Aside>,
    /// Nothing in the program writes r10, so it is the top of the frame of the function that runs.
    constant_fp: bool,
    /// Some function has a `may_goto` and wants its counter set.
    counts_loops: bool,
    /// Per slot: `None` if it is no valid instruction.
    decoded: Vec<Option<Decoded>>,
}

/// Fails only if the assembler does (code beyond 2 GiB).
pub(crate) fn emit(source: &Source<'_>, hooks: &Hooks) -> Result<Emitted, dynasmrt::DynasmError> {
    let mut a = Asm::new_with_capacity(0, source.insns.len() * 16 + 1024, 0, source.insns.len(), 0, 0, 64);
    let stubs = stubs::emit(&mut a, hooks);
    let labels = source.insns.iter().map(|_| a.new_dynamic_label()).collect();
    let decoded: Vec<_> = (0..source.insns.len()).map(|slot| isa::decode(source.insns, slot).ok()).collect();
    let entries = function_starts(source, &decoded).into_iter().map(|f| f.then(|| a.new_dynamic_label())).collect();
    let mut e = Emitter {
        a,
        source,
        stubs,
        slot: 0,
        labels,
        entries,
        asides: Vec::new(),
        constant_fp: constant_fp(&decoded),
        counts_loops: decoded.iter().flatten().any(|d| d.kind() == Kind::MayGoto),
        decoded,
    };
    let mut out = Emitted { bytes: Vec::new(), entries: Vec::new(), tail: 0 };
    for slot in 0..source.insns.len() {
        e.slot = slot as u32;
        out.entries.push(e.offset());
        if let Some(entry) = e.entries[slot] {
            dynasm!(e.a ; .arch x64 ; =>entry);
            if e.counts_loops {
                lower::jump::prologue(&mut e);
            }
        }
        let label = e.labels[slot];
        dynasm!(e.a ; .arch x64 ; =>label);
        e.lower(slot);
    }
    // Control that runs off the end: the last instruction neither jumped nor returned.
    e.trap_here(Trap::End);
    out.tail = e.offset();
    e.emit_asides();
    out.bytes = e.a.finalize()?;
    Ok(out)
}

/// Slots at which functions start: the program, callees, callbacks.
fn function_starts(source: &Source<'_>, decoded: &[Option<Decoded>]) -> Vec<bool> {
    let mut starts = vec![false; source.insns.len()];
    let mut mark = |slot: Option<usize>| {
        if let Some(s) = slot.and_then(|s| starts.get_mut(s)) {
            *s = true;
        }
    };
    mark(Some(0));
    for (slot, d) in decoded.iter().enumerate() {
        if let Some(Resolved::Subprog(entry)) = source.resolved.get(slot) {
            mark(Some(*entry as usize));
        }
        if let Some(d) = d
            && d.kind() == Kind::LdImm64(Pseudo::Func)
        {
            mark(d.target(slot).and_then(|t| usize::try_from(t).ok()));
        }
    }
    starts
}

/// Whether no instruction writes r10. The kernel takes no program that does.
fn constant_fp(decoded: &[Option<Decoded>]) -> bool {
    decoded.iter().flatten().all(|d| d.defines() != Some(isa::consts::REG_FP))
}

impl Emitter<'_> {
    fn offset(&self) -> u32 {
        let AssemblyOffset(o) = self.a.offset();
        o as u32
    }

    fn lower(&mut self, slot: usize) {
        match self.source.resolved.get(slot).copied().unwrap_or(Resolved::Plain) {
            // Execution goes over it from the first half; jumps to it are caught where they start.
            Resolved::SecondHalf => return,
            Resolved::Missing => return self.trap_here(Trap::Missing),
            _ => {}
        }
        match self.decoded.get(slot).copied().flatten() {
            Some(d) => lower::lower(self, &d),
            None => self.trap_here(Trap::Instruction),
        }
    }

    pub fn resolved(&self) -> Resolved {
        self.source.resolved.get(self.slot as usize).copied().unwrap_or(Resolved::Plain)
    }

    pub fn fact(&self) -> Fact {
        (self.source.fact)(self.slot as usize)
    }

    /// The label of a jump target, or of a trap if there is no instruction to jump to.
    pub fn target(&mut self, d: &Decoded) -> DynamicLabel {
        let to = d.target(self.slot as usize).and_then(|t| usize::try_from(t).ok());
        let is_second = |t: usize| self.source.resolved.get(t) == Some(&Resolved::SecondHalf);
        match to {
            Some(t) if is_second(t) => self.trap_aside_at(t as u32, Trap::Instruction),
            Some(t) if t < self.labels.len() => self.labels[t],
            _ => self.trap_aside(Trap::Jump),
        }
    }

    /// The label of a function.
    pub fn entry(&mut self, slot: u32) -> DynamicLabel {
        match self.entries.get(slot as usize).copied().flatten() {
            Some(label) => label,
            None => self.trap_aside(Trap::Jump),
        }
    }

    /// Stops the program at the current slot, out of line.
    pub fn trap_aside(&mut self, trap: Trap) -> DynamicLabel {
        self.trap_aside_at(self.slot, trap)
    }

    fn trap_aside_at(&mut self, slot: u32, trap: Trap) -> DynamicLabel {
        let at = self.a.new_dynamic_label();
        self.asides.push(Aside::Trap { at, desc: Desc::trap(slot, trap) });
        at
    }

    pub fn constant_fp(&self) -> bool {
        self.constant_fp
    }

    pub fn trap_here(&mut self, trap: Trap) {
        let (desc, stub) = (Desc::trap(self.slot, trap), self.stubs.trap);
        dynasm!(self.a
            ; .arch x64
            ; mov r11, QWORD desc.0 as i64
            ; jmp =>stub
        );
    }

    /// Counts `slots` executed slots and jumps; the program stops when the run's budget is used up. Going on is the straight way: one
    /// jump a turn.
    pub fn count_and_jump(&mut self, slots: i64, target: DynamicLabel) {
        let out = self.trap_aside(Trap::Budget);
        let n = i32::try_from(slots).unwrap_or(i32::MAX);
        dynasm!(self.a
            ; .arch x64
            ; sub QWORD [r12 + BUDGET], n
            ; jns =>target
            ; jmp =>out
        );
    }

    /// The memory operand of an access through BPF register `base`, checked unless proven. Of a checked one the address is in
    /// r10, and code that handles a failed check continues behind the access: `finish` it with the returned place.
    pub fn operand(&mut self, base: u8, off: i16, desc: Desc) -> (Mem, Option<DynamicLabel>) {
        let machine = crate::regs::reg(base);
        if self.is_proven(base, off, desc) {
            return (Mem { base: machine, disp: off.into() }, None);
        }
        let slow = self.a.new_dynamic_label();
        let start = window_start(base);
        let limit = window_limit(base, desc.size().bytes().ilog2(), desc.is_write());
        dynasm!(self.a
            ; .arch x64
            ; lea r10, [Rq(machine) + i32::from(off)]
        );
        if desc.is_atomic() && desc.bytes() > 1 {
            dynasm!(self.a
                ; .arch x64
                ; test r10, i32::from(desc.bytes()) - 1
                ; jnz =>slow
            );
        }
        dynasm!(self.a
            ; .arch x64
            ; mov r11, r10
            ; sub r11, [r12 + start]
            ; cmp r11, [r12 + limit]
            ; jae =>slow
        );
        (Mem { base: R10, disp: 0 }, Some(slow))
    }

    fn is_proven(&self, base: u8, off: i16, desc: Desc) -> bool {
        if self.fact().is_plain() {
            return true;
        }
        let frame = -(isa::consts::MAX_STACK as i32)..=-i32::from(desc.bytes());
        base == isa::consts::REG_FP && frame.contains(&i32::from(off)) && !desc.is_atomic() && self.constant_fp
    }

    pub fn aside_load(&mut self, at: DynamicLabel, dst: u8, desc: Desc) {
        let back = self.here();
        self.asides.push(Aside::Load { at, back, dst, desc });
    }

    pub fn aside_store(&mut self, at: DynamicLabel, value: Value, desc: Desc) {
        let back = self.here();
        self.asides.push(Aside::Store { at, back, value, desc });
    }

    pub fn aside_atomic(&mut self, at: DynamicLabel, operand: u8, dst: Option<u8>, desc: Desc) {
        let back = self.here();
        self.asides.push(Aside::Atomic { at, back, operand, dst, desc });
    }

    fn here(&mut self) -> DynamicLabel {
        let label = self.a.new_dynamic_label();
        dynasm!(self.a ; .arch x64 ; =>label);
        label
    }

    fn emit_asides(&mut self) {
        let stubs = self.stubs;
        for aside in std::mem::take(&mut self.asides) {
            match aside {
                Aside::Load { at, back, dst, desc } => dynasm!(self.a
                    ; .arch x64
                    ; =>at
                    ; mov r11, QWORD desc.0 as i64
                    ; call =>stubs.load
                    ; mov Rq(dst), Rq(R11)
                    ; jmp =>back
                ),
                Aside::Store { at, back, value, desc } => {
                    dynasm!(self.a ; .arch x64 ; =>at);
                    match value {
                        Value::Reg(r) => dynasm!(self.a ; .arch x64 ; mov r9, Rq(r)),
                        Value::Imm(imm) => dynasm!(self.a ; .arch x64 ; mov r9, imm),
                    }
                    dynasm!(self.a
                        ; .arch x64
                        ; mov r11, QWORD desc.0 as i64
                        ; call =>stubs.store
                        ; jmp =>back
                    );
                }
                Aside::Atomic { at, back, operand, dst, desc } => {
                    dynasm!(self.a
                        ; .arch x64
                        ; =>at
                        ; mov r9, Rq(operand)
                        ; mov r11, QWORD desc.0 as i64
                        ; call =>stubs.atomic
                    );
                    if let Some(dst) = dst {
                        dynasm!(self.a ; .arch x64 ; mov Rq(dst), Rq(R11));
                    }
                    dynasm!(self.a ; .arch x64 ; jmp =>back);
                }
                Aside::Trap { at, desc } => dynasm!(self.a
                    ; .arch x64
                    ; =>at
                    ; mov r11, QWORD desc.0 as i64
                    ; jmp =>stubs.trap
                ),
            }
        }
    }
}
