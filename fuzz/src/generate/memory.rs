//! Loads and stores: stack slots with spills and fills, packets behind bounds checks, map values, contexts, atomics.

use isa::consts::*;

use super::Builder;
use super::state::{Kind, SLOTS};
use crate::emit::{self, FP, Size};

impl Builder<'_> {
    pub(crate) fn load_field(&mut self, reg: u8) {
        let field = self.rng.pick(self.ty.fields);
        let size = if self.ty.wide_fields { Size::Dw } else { Size::W };
        self.emit(emit::load(size, reg, 6, field));
        self.state.set(reg, Kind::Scalar);
    }

    pub(crate) fn context(&mut self) {
        if self.depth != 0 || self.state.kind(6) != Kind::Ctx {
            return self.arithmetic();
        }
        let reg = self.state.victim(self.rng, &[6]);
        if self.rng.chance(6) {
            // Any offset and size: most are refused.
            let (off, size) = (self.rng.below(200) as i16, self.rng.pick(&Size::ALL));
            self.emit(emit::load(size, reg, 6, off));
            self.state.set(reg, Kind::Scalar);
        } else if self.rng.chance(20) && !self.ty.wide_fields {
            // Part of a field.
            let field = self.rng.pick(self.ty.fields);
            let (size, off) = self.rng.pick(&[(Size::B, 0), (Size::B, 1), (Size::B, 3), (Size::H, 0), (Size::H, 2)]);
            self.emit(emit::load(size, reg, 6, field + off));
            self.state.set(reg, Kind::Bounded(if size == Size::B { 255 } else { 0xffff }));
        } else {
            self.load_field(reg);
        }
    }

    fn slot_off(slot: usize) -> i16 {
        -8 * (slot as i16 + 1)
    }

    /// Zeroes every slot that statements use.
    pub(crate) fn clear_stack(&mut self) {
        for slot in 0..SLOTS {
            self.emit(emit::store_imm(Size::Dw, FP, Self::slot_off(slot), 0));
            self.state.slots[slot] = Kind::Scalar;
        }
    }

    pub(crate) fn stack(&mut self) {
        match self.rng.below(10) {
            0..=3 => self.spill(),
            4..=6 => self.fill(),
            7 => self.partial_slot(),
            8 => self.variable_stack(),
            _ => {
                let reg = self.state.victim(self.rng, &[]);
                let slot = self.rng.below(SLOTS as u64) as usize;
                let written = self.state.slots[..=slot].iter().rev().take_while(|k| k.is_scalar()).count() as u32;
                self.emit(emit::mov(reg, FP));
                self.emit(emit::alu_imm(true, BPF_ADD, reg, Self::slot_off(slot).into()));
                self.state.set(reg, Kind::Stack { bytes: written * 8 });
            }
        }
    }

    fn spill(&mut self) {
        let Some(reg) = self.state.find(self.rng, |k| k != Kind::Nothing) else { return self.arithmetic() };
        let slot = self.rng.below(SLOTS as u64) as usize;
        self.emit(emit::store(Size::Dw, FP, Self::slot_off(slot), reg));
        self.state.slots[slot] = self.state.kind(reg);
    }

    fn fill(&mut self) {
        let full: Vec<usize> = (0..SLOTS).filter(|s| self.state.slots[*s] != Kind::Nothing).collect();
        if full.is_empty() {
            return self.spill();
        }
        let slot = self.rng.pick(&full);
        let kind = self.state.slots[slot];
        let reg = self.state.victim(self.rng, &[]);
        if kind.is_scalar() && self.rng.chance(35) {
            let size = self.rng.pick(&[Size::B, Size::H, Size::W]);
            let within = self.rng.below((8 / size.bytes()) as u64) as i64 * size.bytes();
            let off = Self::slot_off(slot) + within as i16;
            let signed = self.rng.chance(25);
            self.emit(if signed { emit::load_sx(size, reg, FP, off) } else { emit::load(size, reg, FP, off) });
            self.state.set(reg, Kind::Scalar);
        } else {
            self.emit(emit::load(Size::Dw, reg, FP, Self::slot_off(slot)));
            self.state.set(reg, kind);
        }
    }

    /// A store narrower than a slot, or of an immediate.
    fn partial_slot(&mut self) {
        let slot = self.rng.below(SLOTS as u64) as usize;
        let size = self.rng.pick(&Size::ALL);
        let within = self.rng.below((8 / size.bytes()) as u64) as i64 * size.bytes();
        let off = Self::slot_off(slot) + within as i16;
        if self.rng.chance(50) {
            let imm = self.rng.interesting();
            self.emit(emit::store_imm(size, FP, off, imm));
        } else {
            let reg = self.scalar_src();
            self.emit(emit::store(size, FP, off, reg));
        }
        let was = self.state.slots[slot];
        self.state.slots[slot] = match size {
            Size::Dw => Kind::Scalar,
            _ if was.is_scalar() => Kind::Scalar,
            // Root may read stack that was never written, but half a pointer is refused.
            _ => Kind::Nothing,
        };
    }

    /// An access at `fp` plus a bounded scalar.
    fn variable_stack(&mut self) {
        let size = self.rng.pick(&Size::ALL);
        let span = self.rng.pick(&[7u32, 15, 31, 56]) / size.bytes() as u32;
        let (index, mut bound) = self.bounded(span, &[]);
        if size != Size::B && !self.state.reserved[usize::from(index)] {
            // Stack accesses must be aligned.
            let shift = size.bytes().trailing_zeros();
            self.emit(emit::alu_imm(true, BPF_LSH, index, shift as i32));
            bound <<= shift;
            self.state.set(index, Kind::Bounded(bound));
        }
        let pointer = self.state.victim(self.rng, &[index]);
        let low = -(8 * SLOTS as i64);
        self.emit(emit::mov(pointer, FP));
        self.emit(emit::alu_reg(true, BPF_ADD, pointer, index));
        self.state.set(pointer, Kind::Nothing);
        let room = (-low - i64::from(bound) - size.bytes()).max(0);
        let off = (low + self.rng.below((room / size.bytes()) as u64 + 1) as i64 * size.bytes()) as i16;
        if self.rng.chance(60) {
            let value = self.scalar_src();
            self.emit(emit::store(size, pointer, off, value));
            for k in &mut self.state.slots {
                if !k.is_scalar() {
                    *k = Kind::Nothing;
                } else {
                    *k = Kind::Scalar;
                }
            }
        } else {
            let dst = self.state.victim(self.rng, &[pointer]);
            self.emit(emit::load(size, dst, pointer, off));
            self.state.set(dst, Kind::Scalar);
        }
    }

    /// `data + n <= data_end`, then accesses.
    pub(crate) fn packet(&mut self) {
        let known = self.state.find(self.rng, |k| matches!(k, Kind::Packet { bytes } if bytes > 0));
        if let (Some(reg), true) = (known, self.rng.chance(60)) {
            return self.access(reg);
        }
        let Some((data, data_end)) = self.ty.packet.filter(|_| self.state.kind(6) == Kind::Ctx) else {
            return self.arithmetic();
        };
        let base = self.state.victim(self.rng, &[6]);
        self.emit(emit::load(Size::W, base, 6, data));
        self.state.set(base, Kind::Packet { bytes: 0 });
        if self.rng.chance(35) {
            let max = self.rng.pick(&[15, 60, 255]);
            let (index, _) = self.bounded(max, &[6, base]);
            self.emit(emit::alu_reg(true, BPF_ADD, base, index));
        }
        let end = self.state.victim(self.rng, &[6, base]);
        self.emit(emit::load(Size::W, end, 6, data_end));
        self.state.set(end, Kind::Nothing);
        let probe = self.state.victim(self.rng, &[6, base, end]);
        let bytes = self.rng.pick(&[1u32, 2, 8, 14, 20, 34, 54]);
        self.emit(emit::mov(probe, base));
        self.emit(emit::alu_imm(true, BPF_ADD, probe, bytes as i32));
        self.state.set(probe, Kind::Nothing);
        let (op, a, b) = self.rng.pick(&[(BPF_JGT, 0, 1), (BPF_JGE, 0, 1), (BPF_JLT, 1, 0), (BPF_JLE, 1, 0)]);
        let regs = [probe, end];
        let at = self.branch(emit::jump_reg(true, op, regs[a], regs[b], 0));
        self.to_exit.push(at);
        self.state.set(base, Kind::Packet { bytes });
        for _ in 0..=self.rng.below(2) {
            self.access(base);
        }
    }

    /// Looks an element up, tests the result, uses it.
    pub(crate) fn map_value(&mut self) {
        let known = self.state.find(self.rng, |k| matches!(k, Kind::Value { bytes } if bytes > 0));
        if let (Some(reg), true) = (known, self.rng.chance(65)) {
            return if self.rng.chance(40) { self.variable_value(reg) } else { self.access(reg) };
        }
        let index = self.rng.below(self.maps.len() as u64) as usize;
        let map = std::sync::Arc::clone(&self.maps[index]);
        if self.state.reserved[1] || self.state.reserved[2] || self.state.reserved[0] {
            return self.arithmetic();
        }
        let slot = self.rng.below(SLOTS as u64) as usize;
        let off = Self::slot_off(slot);
        if map.key_size == 8 || self.rng.chance(30) {
            let key = self.scalar_src();
            self.emit(emit::store(Size::Dw, FP, off, key));
        } else {
            let key = self.rng.between(0, i64::from(map.max_entries)) as i32;
            // Half a key beside half a pointer would be taken for a number.
            let whole = self.options.deterministic && !self.state.slots[slot].is_scalar();
            self.emit(emit::store_imm(if whole { Size::Dw } else { Size::W }, FP, off, key));
        }
        self.state.slots[slot] = Kind::Scalar;
        self.emit2(emit::lddw_map(1, index as i32));
        self.emit(emit::mov(2, FP));
        self.emit(emit::alu_imm(true, BPF_ADD, 2, off.into()));
        self.emit(emit::call(1));
        self.state.after_call(Kind::Nothing);
        if self.rng.chance(4) {
            // Forgotten test.
            self.state.regs[0] = Kind::Value { bytes: map.value_size };
            return;
        }
        let kept = if self.rng.chance(50) { Some(self.rng.pick(&[7u8, 8, 9])) } else { None };
        let kept = kept.filter(|r| !self.state.reserved[usize::from(*r)]);
        if let Some(k) = kept {
            self.emit(emit::mov(k, 0));
        }
        let tested = match kept {
            Some(k) if self.rng.chance(50) => k,
            _ => 0,
        };
        let at = self.branch(emit::jump_imm(true, BPF_JEQ, tested, 0, 0));
        self.to_exit.push(at);
        for r in std::iter::once(0).chain(kept) {
            self.state.set(r, Kind::Value { bytes: map.value_size });
        }
        self.access(tested);
    }

    /// A copy of a map value pointer plus a bounded scalar.
    fn variable_value(&mut self, base: u8) {
        let Some(bytes) = self.state.kind(base).memory() else { return };
        let slack = if self.rng.chance(8) { 8 } else { 0 };
        let (index, bound) = self.bounded(bytes.saturating_sub(1) + slack, &[base]);
        let pointer = self.state.victim(self.rng, &[base, index]);
        self.emit(emit::mov(pointer, base));
        let op = if self.rng.chance(90) { BPF_ADD } else { BPF_SUB };
        self.emit(emit::alu_reg(true, op, pointer, index));
        self.state.set(pointer, Kind::Value { bytes: bytes.saturating_sub(bound) });
        self.access(pointer);
    }

    /// A load or store through `reg`, inside what is known of it.
    pub(crate) fn access(&mut self, reg: u8) {
        let Some(bytes) = self.state.kind(reg).memory() else { return };
        let fitting: Vec<Size> = Size::ALL.into_iter().filter(|s| s.bytes() <= i64::from(bytes)).collect();
        let Some(size) = (!fitting.is_empty()).then(|| self.rng.pick(&fitting)) else { return };
        let mut off = self.rng.below((i64::from(bytes) - size.bytes()) as u64 + 1) as i16;
        if self.rng.chance(3) {
            off += self.rng.between(-4, 4) as i16;
        }
        let packet = matches!(self.state.kind(reg), Kind::Packet { .. });
        let writable = !packet || (self.ty.packet_writable);
        if writable && self.rng.chance(45) {
            if self.rng.chance(30) {
                let imm = self.rng.interesting();
                self.emit(emit::store_imm(size, reg, off, imm));
            } else {
                let value = self.scalar_src();
                if value == reg {
                    return;
                }
                self.emit(emit::store(size, reg, off, value));
            }
        } else {
            let dst = self.state.victim(self.rng, &[reg, 6]);
            let signed = size != Size::Dw && self.rng.chance(15);
            self.emit(if signed { emit::load_sx(size, dst, reg, off) } else { emit::load(size, dst, reg, off) });
            self.state.set(dst, Kind::Scalar);
        }
    }

    pub(crate) fn atomic(&mut self) {
        let value = self.state.find(self.rng, |k| matches!(k, Kind::Value { bytes } if bytes >= 8));
        let size = self.rng.pick(&[Size::W, Size::Dw]);
        let (base, off) = match value {
            Some(reg) if self.rng.chance(60) => {
                let bytes = self.state.kind(reg).memory().unwrap_or(8);
                (reg, (self.rng.below(u64::from(bytes / 8)) * 8) as i16)
            }
            _ => {
                let slot = self.rng.below(SLOTS as u64) as usize;
                if !self.state.slots[slot].is_scalar() {
                    let imm = self.rng.interesting();
                    self.emit(emit::store_imm(Size::Dw, FP, Self::slot_off(slot), imm));
                }
                self.state.slots[slot] = Kind::Scalar;
                (FP, Self::slot_off(slot))
            }
        };
        let plain = [BPF_ADD, BPF_OR, BPF_AND, BPF_XOR].map(i32::from);
        let src = self.scalar_dst();
        if src == base {
            return;
        }
        match self.rng.below(4) {
            0 => {
                let op = self.rng.pick(&plain);
                self.emit(emit::atomic(size, op, base, off, src));
            }
            1 => {
                let op = self.rng.pick(&plain);
                self.emit(emit::atomic(size, op | BPF_FETCH, base, off, src));
                self.state.set(src, Kind::Scalar);
            }
            2 => {
                self.emit(emit::atomic(size, BPF_XCHG, base, off, src));
                self.state.set(src, Kind::Scalar);
            }
            _ => {
                if base == 0 || self.state.reserved[0] {
                    return;
                }
                if !self.state.kind(0).is_scalar() {
                    self.fresh_scalar(0);
                }
                self.emit(emit::atomic(size, BPF_CMPXCHG, base, off, src));
                self.state.set(0, Kind::Scalar);
            }
        }
    }
}
