//! The failing path: the steps from the program's entry to the refused instruction, taken out of a log that may hold every path, and what
//! can be asked about it: what a register held, where that came from, what was compared. What it means is `cause`'s matter.

use crate::log::insn::{Op, Rhs};
use crate::log::state::{Place, Value};
use crate::log::{Refusal, Source, Step};

/// Steps that are looked at when something is traced back: nothing that a person could follow is longer.
const FAR: usize = 200_000;

pub struct Path<'a> {
    pub refusal: &'a Refusal,
    pub steps: Vec<&'a Step>,
}

/// Where a value came from in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was there when the function began.
    Entry,
    /// `imm64`: by a 64-bit load, which is how relocated addresses look.
    Const {
        value: i64,
        imm64: bool,
    },
    Load {
        base: Box<Value>,
        off: i32,
        size: u8,
    },
    Call {
        name: String,
    },
    /// A stack slot whose store is not on the path.
    Slot(i32),
    /// A call destroyed it.
    Clobbered,
    Unknown,
}

/// What happened to a value between its origin and its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Copy,
    /// Copied as 32 bits.
    Narrow,
    Arith,
    Spill,
    Fill,
}

#[derive(Clone, Debug)]
pub struct Trace {
    pub origin: Origin,
    /// Step of the origin.
    pub at: usize,
    /// From the use back to the origin.
    pub links: Vec<(usize, How)>,
}

impl Trace {
    pub fn has(&self, how: How) -> Option<usize> {
        self.links.iter().find(|l| l.1 == how).map(|l| l.0)
    }
}

/// A conditional jump on the path, with what was known after it.
#[derive(Clone, Debug)]
pub struct Check {
    pub step: usize,
    pub left: u8,
    pub op: String,
    pub right: Rhs,
    pub narrow: bool,
    pub taken: bool,
}

/// The steps of the failing path, in order.
pub fn failing(refusal: &Refusal) -> Vec<&Step> {
    Path::of(refusal).steps
}

impl<'a> Path<'a> {
    /// Branches are taken up newest first, so the path is a stack: what was pushed after the jump that a branch comes from is over.
    pub fn of(refusal: &'a Refusal) -> Path<'a> {
        let mut steps: Vec<&Step> = Vec::with_capacity(refusal.steps.len());
        for step in &refusal.steps {
            if let Some(from) = step.from
                && let Some(at) = steps.iter().rposition(|s| s.insn == from)
            {
                steps.truncate(at + 1);
            }
            steps.push(step);
        }
        Path { refusal, steps }
    }

    pub fn last(&self) -> Option<usize> {
        self.steps.len().checked_sub(1)
    }

    pub fn source(&self, step: usize) -> Option<&'a Source> {
        let index = self.steps.get(step)?.source?;
        self.refusal.sources.get(index)
    }

    /// What a place held before a step, if the log or the instructions tell.
    pub fn value(&self, step: usize, place: Place) -> Option<Value> {
        self.value_in(step, place, 64)
    }

    fn value_in(&self, step: usize, place: Place, fuel: u32) -> Option<Value> {
        let frame = self.steps.get(step)?.frame;
        for i in (step.saturating_sub(FAR)..=step).rev() {
            let s = self.steps[i];
            if i < step {
                if s.frame == frame
                    && let Some(v) = s.after.as_ref().and_then(|a| find(a, frame, place))
                {
                    return Some(v.clone());
                }
                if let (Place::Reg(r), true) = (place, s.frame == frame) {
                    if s.op.writes() == Some(r) {
                        return self.result(i, r, fuel);
                    }
                    if s.op.is_call() && (1..=5).contains(&r) {
                        return None;
                    }
                }
                if let (Place::Slot(slot), Op::Store { base: 10, off, size, src }) = (place, &s.op)
                    && s.frame == frame
                    && slot_of(*off) == slot
                {
                    return match src {
                        Rhs::Reg(r) if *size == 8 && fuel > 0 => self.value_in(i, Place::Reg(*r), fuel - 1),
                        _ => None,
                    };
                }
            }
            if let Some(v) = s.before.as_ref().and_then(|b| find(b, frame, place)) {
                return Some(v.clone());
            }
            if i < step && s.frame < frame && matches!(s.op, Op::Call { .. }) {
                return match place {
                    Place::Reg(r @ 1..=5) if fuel > 0 => self.value_in(i, Place::Reg(r), fuel - 1),
                    _ => None,
                };
            }
        }
        None
    }

    /// What an instruction made, where the log does not say it.
    fn result(&self, i: usize, reg: u8, fuel: u32) -> Option<Value> {
        let fuel = fuel.checked_sub(1)?;
        match &self.steps[i].op {
            Op::Mov { src: Rhs::Reg(r), narrow: false, .. } => self.value_in(i, Place::Reg(*r), fuel),
            Op::Mov { src: Rhs::Imm(n), .. } => Some(Value::parse(&n.to_string())),
            Op::Imm64 { value, .. } => Some(Value::parse(&value.to_string())),
            Op::Helper { name, .. } if name.ends_with("_lookup_elem") || name == "bpf_sk_storage_get" => {
                Some(Value::parse("map_value_or_null(id=1)"))
            }
            Op::Helper { .. } => Some(Value::parse("scalar()")),
            Op::Alu { op, src: Rhs::Imm(n), .. } if op == "+" => {
                let mut v = self.value_in(i, Place::Reg(reg), fuel)?;
                match (v.is_pointer(), v.constant) {
                    (true, Some(c)) => v.constant = Some(c.wrapping_add(*n)),
                    (true, None) => v.off = v.off.wrapping_add(*n),
                    _ => return None,
                }
                v.text.clear();
                Some(v)
            }
            _ => None,
        }
    }

    /// The step that gave a register what it holds before `step`.
    pub fn definition(&self, step: usize, reg: u8) -> Option<usize> {
        let frame = self.steps.get(step)?.frame;
        (step.saturating_sub(FAR)..step).rev().find(|i| {
            let s = self.steps[*i];
            s.frame == frame && (s.op.writes() == Some(reg) || (s.op.is_call() && (1..=5).contains(&reg)))
                || s.frame < frame && matches!(s.op, Op::Call { .. })
        })
    }

    /// The last store to a slot before a step, in the same frame.
    pub fn store(&self, step: usize, off: i32) -> Option<usize> {
        let frame = self.steps.get(step)?.frame;
        (step.saturating_sub(FAR)..step).rev().find(|i| match self.steps[*i].op {
            Op::Store { base, off: at, size, .. } if self.steps[*i].frame == frame => {
                self.stack_offset(*i, base, at).is_some_and(|at| at <= off && off < at + i32::from(size))
            }
            _ => false,
        })
    }

    /// Offset from the frame pointer of an access, if it goes to the stack.
    pub fn stack_offset(&self, step: usize, base: u8, off: i32) -> Option<i32> {
        if base == 10 {
            return Some(off);
        }
        let v = self.value(step, Place::Reg(base))?;
        (v.kind == "fp").then(|| v.constant.unwrap_or(0) as i32 + v.off as i32 + off)
    }

    /// Follows a register back to where its value came from.
    pub fn trace(&self, step: usize, reg: u8) -> Trace {
        let (mut at, mut reg, mut links) = (step, reg, Vec::new());
        for _ in 0..256 {
            let Some(def) = self.definition(at, reg) else {
                return Trace { origin: Origin::Entry, at: 0, links };
            };
            let s = self.steps[def];
            let end = |origin, links| Trace { origin, at: def, links };
            match &s.op {
                Op::Mov { src: Rhs::Reg(r), narrow, .. } => {
                    links.push((def, if *narrow { How::Narrow } else { How::Copy }));
                    (at, reg) = (def, *r);
                }
                Op::Mov { src: Rhs::Imm(value), .. } => {
                    return end(Origin::Const { value: *value, imm64: false }, links);
                }
                Op::Imm64 { value, .. } => return end(Origin::Const { value: *value, imm64: true }, links),
                Op::Alu { .. } => {
                    links.push((def, How::Arith));
                    at = def;
                }
                Op::Load { base, off, size, .. } => {
                    let base_value = self.value(def, Place::Reg(*base)).unwrap_or_default();
                    let Some(slot) = self.stack_offset(def, *base, *off) else {
                        return end(Origin::Load { base: Box::new(base_value), off: *off, size: *size }, links);
                    };
                    links.push((def, How::Fill));
                    let Some(store) = self.store(def, slot) else { return end(Origin::Slot(slot), links) };
                    match self.steps[store].op {
                        Op::Store { src: Rhs::Reg(r), .. } => {
                            links.push((store, How::Spill));
                            (at, reg) = (store, r);
                        }
                        Op::Store { src: Rhs::Imm(value), .. } => {
                            return Trace { origin: Origin::Const { value, imm64: false }, at: store, links };
                        }
                        _ => return end(Origin::Unknown, links),
                    }
                }
                op if op.is_call() && op.writes() == Some(reg) => {
                    let name = match op {
                        Op::Helper { name, .. } | Op::Kfunc { name } => name.clone(),
                        _ => "a function".to_owned(),
                    };
                    return end(Origin::Call { name }, links);
                }
                // The step into a function: its argument is what the caller has in the register.
                Op::Call { .. } if self.steps[at].frame > s.frame => {
                    links.push((def, How::Copy));
                    at = def;
                }
                _ => return end(Origin::Clobbered, links),
            }
        }
        Trace { origin: Origin::Unknown, at, links }
    }

    /// The definition that is behind copies: two registers with the same root hold the same value.
    pub fn root(&self, step: usize, reg: u8) -> (usize, u8) {
        let (mut at, mut reg) = (step, reg);
        for _ in 0..256 {
            let Some(def) = self.definition(at, reg) else { return (usize::MAX, reg) };
            match self.steps[def].op {
                Op::Mov { src: Rhs::Reg(r), narrow: false, .. } => (at, reg) = (def, r),
                Op::Load { base, off, size: 8, .. } => {
                    let source = self.stack_offset(def, base, off).and_then(|slot| self.store(def, slot));
                    match source.map(|s| (s, &self.steps[s].op)) {
                        Some((s, Op::Store { src: Rhs::Reg(r), size: 8, .. })) => (at, reg) = (s, *r),
                        _ => return (def, reg),
                    }
                }
                _ => return (def, reg),
            }
        }
        (at, reg)
    }

    /// Every definition that a number was computed from, itself first.
    pub fn ancestors(&self, step: usize, reg: u8) -> Vec<(usize, u8)> {
        let mut found = Vec::new();
        let mut todo = vec![(step, reg)];
        while let Some((at, reg)) = todo.pop() {
            let root = self.root(at, reg);
            if found.contains(&root) || found.len() > 64 {
                continue;
            }
            found.push(root);
            if root.0 == usize::MAX {
                continue;
            }
            match self.steps[root.0].op {
                Op::Alu { dst, src, .. } => {
                    todo.push((root.0, dst));
                    if let Rhs::Reg(r) = src {
                        todo.push((root.0, r));
                    }
                }
                Op::Mov { src: Rhs::Reg(r), .. } => todo.push((root.0, r)),
                Op::Load { base, off, .. } => {
                    let source = self.stack_offset(root.0, base, off).and_then(|slot| self.store(root.0, slot));
                    if let Some((s, Op::Store { src: Rhs::Reg(r), .. })) = source.map(|s| (s, &self.steps[s].op)) {
                        todo.push((s, *r));
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The conditional jumps before a step.
    pub fn checks(&self, before: usize) -> impl Iterator<Item = Check> + '_ {
        (0..before.min(self.steps.len())).filter_map(|i| match &self.steps[i].op {
            Op::Jump { left, op, right, by, narrow } => {
                let next = self.steps.get(i + 1).map(|s| i64::from(s.insn));
                let to = i64::from(self.steps[i].insn) + 1 + i64::from(*by);
                Some(Check {
                    step: i,
                    left: *left,
                    op: op.clone(),
                    right: *right,
                    narrow: *narrow,
                    taken: next == Some(to),
                })
            }
            _ => None,
        })
    }
}

fn find(state: &crate::log::state::State, frame: u8, place: Place) -> Option<&Value> {
    (state.frame == frame).then(|| state.values.iter().rev().find(|v| v.0 == place).map(|v| &v.1)).flatten()
}

/// The slot of eight bytes that an offset lies in, as logs name it.
pub fn slot_of(off: i32) -> i32 {
    off.div_euclid(8) * 8
}
