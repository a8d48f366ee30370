//! Calls: helpers with their arguments set up, functions of the program itself, and callbacks.

use isa::consts::*;

use super::state::{Kind, SLOTS, State};
use super::{Builder, CGROUP_SKB, SCHED_CLS, SOCKET_FILTER, XDP, function};
use crate::emit::{self, FP, Size};

const MAP_UPDATE: i32 = 2;
const MAP_DELETE: i32 = 3;
const KTIME_GET_NS: i32 = 5;
const GET_PRANDOM_U32: i32 = 7;
const GET_SMP_PROCESSOR_ID: i32 = 8;
const SKB_LOAD_BYTES: i32 = 26;
const CSUM_DIFF: i32 = 28;
const XDP_ADJUST_HEAD: i32 = 44;
const FOR_EACH_MAP_ELEM: i32 = 164;
const LOOP: i32 = 181;

impl Builder<'_> {
    fn arguments_free(&self) -> bool {
        !self.state.reserved[..6].iter().any(|r| *r)
    }

    pub(crate) fn helper(&mut self) {
        if !self.arguments_free() {
            return self.arithmetic();
        }
        match self.rng.below(10) {
            0..=2 => self.number_helper(),
            3 | 4 => self.map_helper(),
            5 => self.csum(),
            6 | 7 => self.packet_helper(),
            _ => self.callback(),
        }
    }

    fn number_helper(&mut self) {
        if self.options.deterministic {
            return self.arithmetic();
        }
        let helper = self.rng.pick(&[KTIME_GET_NS, GET_PRANDOM_U32, GET_SMP_PROCESSOR_ID]);
        self.emit(emit::call(helper));
        self.state.after_call(Kind::Scalar);
    }

    /// Fills slots up to `bytes` so that a helper may read them, and puts their address into `reg`.
    fn stack_argument(&mut self, reg: u8, bytes: u32) {
        let count = (bytes as usize).div_ceil(8).clamp(1, SLOTS);
        let lowest = count - 1 + self.rng.below((SLOTS - count + 1) as u64) as usize;
        for slot in (lowest + 1 - count..=lowest).rev() {
            if !self.state.slots[slot].is_scalar() {
                let imm = self.rng.interesting();
                self.emit(emit::store_imm(Size::Dw, FP, -8 * (slot as i16 + 1), imm));
                self.state.slots[slot] = Kind::Scalar;
            }
        }
        self.emit(emit::mov(reg, FP));
        self.emit(emit::alu_imm(true, BPF_ADD, reg, -8 * (lowest as i32 + 1)));
    }

    fn map_helper(&mut self) {
        let index = self.rng.below(self.maps.len() as u64) as usize;
        let (key, value) = (self.maps[index].key_size, self.maps[index].value_size);
        self.stack_argument(2, key);
        let delete = self.rng.chance(25);
        if !delete {
            let own = self.state.find(self.rng, |k| matches!(k, Kind::Value { bytes } if bytes >= value));
            match own.filter(|r| *r >= 6 && self.rng.chance(40)) {
                Some(reg) => self.emit(emit::mov(3, reg)),
                None => self.stack_argument(3, value),
            }
            let flags = self.rng.pick(&[0, 0, 0, 1, 2]);
            self.emit(emit::mov_imm(4, flags));
        }
        self.emit2(emit::lddw_map(1, index as i32));
        self.emit(emit::call(if delete { MAP_DELETE } else { MAP_UPDATE }));
        self.state.after_call(Kind::Scalar);
    }

    /// `csum_diff(0, 0, from, size, seed)` with a constant or bounded size.
    fn csum(&mut self) {
        if matches!(self.ty.number, SOCKET_FILTER) || !matches!(self.ty.number, SCHED_CLS | XDP) {
            return self.number_helper();
        }
        self.stack_argument(3, 32);
        if self.rng.chance(60) {
            let size = self.rng.pick(&[4, 8, 16, 32]);
            self.emit(emit::mov_imm(4, size));
        } else {
            let source = self.scalar_src();
            self.emit(emit::mov(4, source));
            self.emit(emit::alu_imm(true, BPF_AND, 4, 28));
        }
        self.emit(emit::mov_imm(1, 0));
        self.emit(emit::mov_imm(2, 0));
        self.emit(emit::mov_imm(5, 0));
        self.emit(emit::call(CSUM_DIFF));
        self.state.after_call(Kind::Scalar);
    }

    fn packet_helper(&mut self) {
        if self.depth != 0 || self.state.kind(6) != Kind::Ctx {
            return self.number_helper();
        }
        match self.ty.number {
            SOCKET_FILTER | SCHED_CLS | CGROUP_SKB => {
                let off = self.rng.between(0, 40) as i32;
                let size = self.rng.pick(&[1u32, 4, 8, 16]);
                self.stack_argument(3, size);
                self.emit(emit::mov(1, 6));
                self.emit(emit::mov_imm(2, off));
                self.emit(emit::mov_imm(4, size as i32));
                self.emit(emit::call(SKB_LOAD_BYTES));
                self.state.after_call(Kind::Scalar);
            }
            XDP => {
                let delta = self.rng.between(-16, 16) as i32;
                self.emit(emit::mov(1, 6));
                self.emit(emit::mov_imm(2, delta));
                self.emit(emit::call(XDP_ADJUST_HEAD));
                self.state.after_call(Kind::Scalar);
                self.state.forget_packets();
            }
            _ => self.number_helper(),
        }
    }

    /// A new function with one to three arguments, or another call of the last one made.
    pub(crate) fn local_call(&mut self) {
        if !self.arguments_free() || self.budget.insns < 50 {
            return self.arithmetic();
        }
        let count = 1 + self.rng.below(3) as u8;
        let mut kinds = Vec::new();
        for arg in 1..=count {
            let pointer = self.state.find(self.rng, |k| k.memory().is_some_and(|b| b > 0));
            match pointer.filter(|r| *r > count) {
                Some(reg) if self.rng.chance(40) => {
                    self.emit(emit::mov(arg, reg));
                    kinds.push(self.state.kind(reg));
                    self.state.set(arg, self.state.kind(reg));
                }
                _ if self.rng.chance(25) => {
                    self.stack_argument(arg, 8);
                    kinds.push(Kind::Stack { bytes: 8 });
                    self.state.set(arg, Kind::Stack { bytes: 8 });
                }
                _ => {
                    self.fresh_scalar(arg);
                    kinds.push(Kind::Scalar);
                }
            }
        }
        let callee = self.callee(State::called(&kinds));
        self.emit(emit::call_local(0));
        self.calls.push((self.code.len() - 1, callee));
        if self.rng.chance(30) && kinds.iter().all(|k| k.is_scalar()) {
            // The same function with other arguments.
            self.state.after_call(Kind::Scalar);
            for arg in 1..=count {
                self.fresh_scalar(arg);
            }
            self.emit(emit::call_local(0));
            self.calls.push((self.code.len() - 1, callee));
        }
        self.state.after_call(Kind::Scalar);
        // The callee may have written through pointers to our stack.
        for k in &mut self.state.slots {
            *k = if k.is_scalar() { Kind::Scalar } else { *k };
        }
    }

    fn callee(&mut self, entry: State) -> usize {
        let index = self.functions.len();
        self.functions.push(super::Function::default());
        let f = function(
            self.rng,
            self.options,
            self.ty,
            self.maps,
            self.budget,
            self.functions,
            entry,
            self.depth + 1,
            self.loops,
        );
        self.functions[index] = f;
        index
    }

    /// `bpf_loop` or `bpf_for_each_map_elem` with a small function that returns 0 or 1.
    fn callback(&mut self) {
        if self.depth > 1 || self.budget.insns < 60 {
            return self.number_helper();
        }
        let over_map = self.rng.chance(40);
        let callee = self.functions.len();
        self.functions.push(super::Function::default());
        self.functions[callee] = self.callback_body(over_map);
        if over_map {
            self.emit2(emit::lddw_map(1, 0));
        } else {
            let rounds = self.rng.between(1, 6) as i32;
            self.emit(emit::mov_imm(1, rounds));
        }
        // The function's address: resolved like a call, its displacement counts from the first slot.
        self.emit2(emit::lddw_func(2, 0));
        self.calls.push((self.code.len() - 2, callee));
        self.stack_argument(3, 8);
        self.emit(emit::mov_imm(4, 0));
        self.emit(emit::call(if over_map { FOR_EACH_MAP_ELEM } else { LOOP }));
        self.state.after_call(Kind::Scalar);
    }

    /// r1 = index (or map), r2 = context (or key), r3 = value, r4 = context: some arithmetic on the 8 bytes of context.
    fn callback_body(&mut self, over_map: bool) -> super::Function {
        let ctx = if over_map { 4 } else { 2 };
        let mut code = vec![emit::load(Size::Dw, 0, ctx, 0)];
        for _ in 0..self.rng.below(3) {
            let imm = self.rng.interesting();
            let op = self.rng.pick(&[BPF_ADD, BPF_XOR, BPF_MUL, BPF_SUB]);
            let wide = self.rng.chance(70);
            code.push(emit::alu_imm(wide, op, 0, imm));
        }
        if !over_map && self.rng.chance(50) {
            code.push(emit::alu_reg(true, BPF_ADD, 0, 1));
        }
        if self.rng.chance(60) {
            code.push(emit::store(Size::Dw, ctx, 0, 0));
        }
        if self.rng.chance(10) {
            code.push(emit::jump_imm(true, BPF_JGT, 0, self.rng.interesting(), 2));
            code.push(emit::mov_imm(0, 0));
            code.push(emit::exit());
            self.budget.branches = self.budget.branches.saturating_sub(1);
        }
        code.push(emit::mov_imm(0, self.rng.below(2) as i32));
        code.push(emit::exit());
        self.budget.insns = self.budget.insns.saturating_sub(code.len());
        super::Function { code, calls: Vec::new() }
    }
}
