//! Arithmetic on scalars: every operation, both widths, immediates and registers, endianness, sign extension.

use isa::consts::*;

use super::Builder;
use super::state::Kind;
use crate::emit;

const OPS: [u8; 12] =
    [BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_MOD, BPF_XOR, BPF_MOV, BPF_ARSH];

impl Builder<'_> {
    /// A few operations in a row.
    pub(crate) fn arithmetic(&mut self) {
        for _ in 0..=self.rng.below(3) {
            self.one_operation();
        }
    }

    /// A scalar register that may be changed.
    pub(crate) fn scalar_dst(&mut self) -> u8 {
        let state = &self.state;
        let own: Vec<u8> =
            (0..10u8).filter(|r| state.kind(*r).is_scalar() && !state.reserved[usize::from(*r)]).collect();
        if own.is_empty() || self.rng.chance(10) {
            let reg = self.state.victim(self.rng, &[]);
            self.fresh_scalar(reg);
            return reg;
        }
        self.rng.pick(&own)
    }

    /// Any scalar register to read.
    pub(crate) fn scalar_src(&mut self) -> u8 {
        match self.state.find(self.rng, Kind::is_scalar) {
            Some(r) => r,
            None => self.scalar_dst(),
        }
    }

    fn one_operation(&mut self) {
        let dst = self.scalar_dst();
        let wide = self.rng.chance(60);
        match self.rng.below(20) {
            0 => self.emit(emit::neg(wide, dst)),
            1 => {
                let bits = self.rng.pick(&[16, 32, 64]);
                let kind = self.rng.below(3) as u8;
                self.emit(emit::end(kind, dst, bits));
            }
            2 => {
                let src = self.scalar_src();
                let bits = if wide { self.rng.pick(&[8, 16, 32]) } else { self.rng.pick(&[8, 16]) };
                self.emit(emit::movsx(wide, dst, src, bits));
            }
            3 => {
                let (hi, lo) = (self.rng.interesting(), self.rng.interesting());
                let value = (u64::from(hi as u32) << 32) | u64::from(lo as u32);
                self.emit2(emit::lddw(dst, value));
            }
            4 => {
                // A sign test turned into a mask: the source of forks.
                if self.no_fork {
                    self.emit(emit::alu_imm(wide, BPF_XOR, dst, -1));
                } else {
                    self.emit(emit::alu_imm(wide, BPF_ARSH, dst, if wide { 63 } else { 31 }));
                }
            }
            _ => self.binary(wide, dst),
        }
        self.state.set(dst, Kind::Scalar);
    }

    fn binary(&mut self, wide: bool, dst: u8) {
        let mut op = self.rng.pick(&OPS);
        if self.no_fork && matches!(op, BPF_AND | BPF_OR) {
            op = BPF_ADD;
        }
        let signed = matches!(op, BPF_DIV | BPF_MOD) && self.rng.chance(40);
        let mut insn = if self.rng.chance(45) {
            let src = self.scalar_src();
            emit::alu_reg(wide, op, dst, src)
        } else {
            let mut imm = self.rng.interesting();
            if matches!(op, BPF_LSH | BPF_RSH | BPF_ARSH) && !self.rng.chance(2) {
                imm = self.rng.below(if wide { 64 } else { 32 }) as i32;
            }
            if matches!(op, BPF_DIV | BPF_MOD) && imm == 0 && !self.rng.chance(5) {
                imm = 3;
            }
            emit::alu_imm(wide, op, dst, imm)
        };
        if signed {
            insn.off = 1;
        }
        self.emit(insn);
    }

    /// Puts a scalar into `reg` from some source.
    pub(crate) fn fresh_scalar(&mut self, reg: u8) {
        let other = self.state.find(self.rng, Kind::is_scalar);
        match (self.rng.below(6), other) {
            (0 | 1, Some(other)) => self.emit(emit::mov(reg, other)),
            (2, Some(other)) => self.emit(emit::alu_reg(false, BPF_MOV, reg, other)),
            _ if self.depth == 0 && self.state.kind(6) == Kind::Ctx && self.rng.chance(60) => self.load_field(reg),
            _ => {
                let imm = self.rng.interesting();
                let wide = self.rng.chance(50);
                self.emit(emit::alu_imm(wide, BPF_MOV, reg, imm));
            }
        }
        self.state.set(reg, Kind::Scalar);
    }

    /// A scalar between 0 and a bound that is at most `max`, by masking or by comparing. The register and its bound.
    pub(crate) fn bounded(&mut self, max: u32, keep: &[u8]) -> (u8, u32) {
        let limit = max.max(1);
        let known = self.state.find(self.rng, |k| matches!(k, Kind::Bounded(n) if n <= limit));
        if let (Some(reg), true) = (known.filter(|r| !keep.contains(r)), self.rng.chance(50))
            && let Kind::Bounded(n) = self.state.kind(reg)
        {
            return (reg, n);
        }
        let reg = self.state.victim(self.rng, keep);
        self.fresh_scalar(reg);
        let wide = self.rng.chance(70);
        let bound = match self.rng.below(if self.no_fork { 2 } else { 3 }) {
            0 => {
                let n = self.rng.below(u64::from(limit) + 1) as u32;
                let at = self.branch(emit::jump_imm(wide, BPF_JGT, reg, n as i32, 0));
                self.to_exit.push(at);
                if !wide {
                    self.emit(emit::alu_reg(false, BPF_MOV, reg, reg));
                }
                n
            }
            1 => {
                // Two signed comparisons instead of an unsigned one.
                let n = self.rng.below(u64::from(limit) + 1) as u32;
                let a = self.branch(emit::jump_imm(true, BPF_JSLT, reg, 0, 0));
                let b = self.branch(emit::jump_imm(true, BPF_JSGT, reg, n as i32, 0));
                self.to_exit.extend([a, b]);
                n
            }
            _ => {
                let n = (limit + 1).next_power_of_two() / if (limit + 1).is_power_of_two() { 1 } else { 2 } - 1;
                self.emit(emit::alu_imm(wide, BPF_AND, reg, n as i32));
                n
            }
        };
        self.state.set(reg, Kind::Bounded(bound));
        (reg, bound)
    }
}
