//! Branches, loops, and statements that stray from what makes sense.

use isa::consts::*;

use super::Builder;
use super::state::{COUNTER_SLOTS, Kind, SLOTS, State};
use crate::emit::{self, FP, Size};

const CONDITIONS: [u8; 11] =
    [BPF_JEQ, BPF_JNE, BPF_JGT, BPF_JGE, BPF_JLT, BPF_JLE, BPF_JSGT, BPF_JSGE, BPF_JSLT, BPF_JSLE, BPF_JSET];

impl Builder<'_> {
    fn condition(&mut self) -> usize {
        let dst = self.scalar_src();
        let op = self.rng.pick(&CONDITIONS);
        let wide = self.rng.chance(60);
        let insn = if self.rng.chance(40) {
            let src = self.scalar_src();
            emit::jump_reg(wide, op, dst, src, 0)
        } else {
            let imm = self.rng.interesting();
            emit::jump_imm(wide, op, dst, imm, 0)
        };
        self.branch(insn)
    }

    fn block(&mut self, most: u64) {
        self.nesting += 1;
        for _ in 0..=self.rng.below(most) {
            if self.roomy() {
                self.statement();
            }
        }
        self.nesting -= 1;
    }

    /// if, or if-else, or a jump to the end.
    pub(crate) fn conditional(&mut self) {
        let at = self.condition();
        if self.rng.chance(12) {
            self.to_exit.push(at);
            return;
        }
        let before = self.state.clone();
        self.block(3);
        if self.rng.chance(40) {
            let over = self.branch(emit::ja(0));
            self.land(at);
            let after_then = std::mem::replace(&mut self.state, before);
            self.block(3);
            self.land(over);
            self.state.meet(&after_then);
        } else {
            self.land(at);
            self.state.meet(&before);
        }
    }

    /// A loop with a bound: a counter in a saved register or on the stack, or `may_goto`.
    pub(crate) fn looping(&mut self) {
        if self.budget.insns < 60 || self.budget.branches < 12 {
            return self.arithmetic();
        }
        let counter = [7u8, 8, 9].into_iter().find(|r| !self.state.reserved[usize::from(*r)]);
        self.loops += 1;
        match (self.rng.below(10), counter) {
            (0..=5, Some(reg)) => self.register_loop(reg),
            (6..=8, _) => self.stack_loop(),
            // Kernels end these by the clock.
            (_, Some(_)) if !self.options.deterministic => self.may_goto_loop(),
            _ => self.arithmetic(),
        }
        self.loops -= 1;
    }

    fn rounds(&mut self) -> i32 {
        self.rng.between(1, if self.loops > 1 { 2 } else { 6 }) as i32
    }

    fn register_loop(&mut self, reg: u8) {
        let rounds = self.rounds();
        let before = self.state.reserved;
        self.emit(emit::mov_imm(reg, 0));
        self.state.set(reg, Kind::Bounded(rounds as u32));
        self.state.reserved[usize::from(reg)] = true;
        let head = self.code.len();
        let entry = self.state.clone();
        self.block(3);
        self.settle(&entry);
        self.emit(emit::alu_imm(true, BPF_ADD, reg, 1));
        let op = self.rng.pick(&[BPF_JLT, BPF_JNE, BPF_JSLT]);
        let wide = self.rng.chance(80);
        let back = self.branch(emit::jump_imm(wide, op, reg, rounds, 0));
        self.code[back].off = (head as i64 - back as i64 - 1) as i16;
        self.state.meet(&entry);
        self.state.reserved = before;
    }

    fn stack_loop(&mut self) {
        let rounds = self.rounds();
        let slot = COUNTER_SLOTS.start + self.nesting.min(COUNTER_SLOTS.len() - 1);
        let off = -8 * (slot as i16 + 1);
        self.emit(emit::store_imm(Size::Dw, FP, off, 0));
        let head = self.code.len();
        let entry = self.state.clone();
        self.block(2);
        self.settle(&entry);
        let reg = self.state.victim(self.rng, &[6]);
        self.emit(emit::load(Size::Dw, reg, FP, off));
        self.emit(emit::alu_imm(true, BPF_ADD, reg, 1));
        self.emit(emit::store(Size::Dw, FP, off, reg));
        self.state.set(reg, Kind::Scalar);
        let back = self.branch(emit::jump_imm(true, BPF_JLT, reg, rounds, 0));
        self.code[back].off = (head as i64 - back as i64 - 1) as i16;
        self.state.meet(&entry);
    }

    /// What was no pointer when a loop began is none when it begins again: addresses must not get into results.
    fn settle(&mut self, entry: &State) {
        if !self.options.deterministic {
            return;
        }
        for reg in 0..10u8 {
            if entry.kind(reg).is_scalar() && !self.state.kind(reg).is_scalar() {
                self.emit(emit::mov_imm(reg, i32::from(reg)));
                self.state.set(reg, Kind::Scalar);
            }
        }
        for slot in 0..SLOTS {
            let pointer = |k: Kind| k == Kind::Ctx || k.memory().is_some();
            if pointer(self.state.slots[slot]) && !pointer(entry.slots[slot]) {
                self.emit(emit::store_imm(Size::Dw, FP, -8 * (slot as i16 + 1), 0));
                self.state.slots[slot] = Kind::Scalar;
            }
        }
    }

    fn may_goto_loop(&mut self) {
        let outer = std::mem::replace(&mut self.no_fork, true);
        let head = self.code.len();
        let entry = self.state.clone();
        let out = self.branch(emit::may_goto(0));
        self.nesting += 1;
        for _ in 0..=self.rng.below(2) {
            if self.rng.chance(70) { self.arithmetic() } else { self.stack() }
        }
        self.nesting -= 1;
        let back = self.branch(emit::ja(0));
        self.code[back].off = (head as i64 - back as i64 - 1) as i16;
        self.land(out);
        self.state.meet(&entry);
        self.no_fork = outer;
    }

    /// Something that is often refused: pointer arithmetic, unreadable registers, leaks, odd offsets.
    pub(crate) fn stray(&mut self) {
        let reg = self.rng.below(10) as u8;
        if self.state.reserved[usize::from(reg)] {
            return;
        }
        let other = self.rng.below(10) as u8;
        match self.rng.below(6) {
            0 => self.emit(emit::mov(reg, other)),
            1 => {
                let op = self.rng.pick(&[BPF_ADD, BPF_SUB, BPF_SUB, BPF_AND]);
                let wide = self.rng.chance(70);
                self.emit(emit::alu_reg(wide, op, reg, other));
            }
            2 => {
                let off = self.rng.between(-530, 40) as i16;
                let size = self.rng.pick(&Size::ALL);
                self.emit(emit::load(size, reg, FP, off));
            }
            3 => {
                let off = self.rng.between(-80, 80) as i16;
                let size = self.rng.pick(&Size::ALL);
                self.emit(emit::store(size, reg, off, other));
            }
            4 => {
                let imm = self.rng.interesting();
                self.emit(emit::alu_imm(true, BPF_ADD, reg, imm));
            }
            _ => {
                let at = self.branch(emit::jump_reg(true, BPF_JGT, reg, other, 0));
                self.to_exit.push(at);
            }
        }
    }
}
