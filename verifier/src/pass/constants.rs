//! Registers that hold the same constant on every way to an instruction, found before the walk; conditional jumps whose outcome that
//! decides become unconditional ones. Only newer kernels look.

use crate::branch::condition;
use crate::env::{LoadImm, Verifier};
use crate::mem::access_size;
use crate::pass::graph::successors;
use crate::reg::MapId;
use crate::value::refine;
use crate::value::{Rules, Scalar, Width};
use isa::Insn;
use isa::consts::*;

/// R0 to R9: the frame pointer is no constant.
const TRACKED: usize = 10;

/// What a register holds on all ways seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Held {
    /// No way was seen.
    #[default]
    Unvisited,
    Const(u64),
    /// Pointer to the only element of a map.
    Value(MapId, u64),
    Unknown,
}

impl Held {
    fn join(self, other: Held) -> Held {
        match (self, other) {
            (Held::Unvisited, x) | (x, Held::Unvisited) => x,
            (a, b) if a == b => a,
            _ => Held::Unknown,
        }
    }
}

type Held10 = [Held; TRACKED];

impl Verifier<'_> {
    /// Rewrites the jumps whose outcome is known in advance.
    pub fn decide_jumps(&mut self) {
        if !self.profile.changes.constant_jumps {
            return;
        }
        let held = self.constants();
        for (i, held) in held.iter().enumerate() {
            let insn = self.insns[i];
            let Some(taken) = outcome(insn, held, &self.rules) else { continue };
            let off = if taken { insn.off } else { 0 };
            self.insns[i] = Insn { code: BPF_JMP | BPF_JA, dst: 0, src: 0, off, imm: 0 };
        }
        self.compute_postorder();
    }

    /// What registers hold before each instruction.
    fn constants(&self) -> Vec<Held10> {
        let n = self.insns.len();
        let mut held = vec![[Held::Unvisited; TRACKED]; n];
        for s in &self.subprogs {
            held[s.start as usize] = [Held::Unknown; TRACKED];
        }
        loop {
            let mut changed = false;
            for s in &self.subprogs {
                for &i in s.postorder.iter().rev() {
                    let i = i as usize;
                    let after = self.hold_after(i, held[i]);
                    for next in successors(&self.insns, i) {
                        let Some(before) = held.get_mut(next) else { continue };
                        for (b, a) in before.iter_mut().zip(after) {
                            let joined = b.join(a);
                            changed |= joined != *b;
                            *b = joined;
                        }
                    }
                }
            }
            if !changed {
                return held;
            }
        }
    }

    fn hold_after(&self, i: usize, mut held: Held10) -> Held10 {
        let insn = self.insns[i];
        let dst = insn.dst as usize;
        match class(insn.code) {
            BPF_ALU | BPF_ALU64 if dst < TRACKED => held[dst] = compute(insn, &held),
            BPF_LD if insn.code == LDIMM64 && dst < TRACKED => {
                held[dst] = match self.aux[i].load {
                    LoadImm::Const => {
                        let high = self.insns.get(i + 1).map_or(0, |second| second.imm);
                        Held::Const(u64::from(insn.imm as u32) | u64::from(high as u32) << 32)
                    }
                    LoadImm::MapValue { map, off } => Held::Value(map, off.into()),
                    _ => Held::Unknown,
                }
            }
            BPF_LD => held[..6].fill(Held::Unknown),
            BPF_LDX if dst < TRACKED => held[dst] = self.load_constant(insn, &held),
            BPF_STX if mode(insn.code) == BPF_ATOMIC => match insn.imm {
                BPF_CMPXCHG => held[0] = Held::Unknown,
                BPF_LOAD_ACQ if dst < TRACKED => held[dst] = Held::Unknown,
                imm if imm & BPF_FETCH != 0 && imm != BPF_STORE_REL && (insn.src as usize) < TRACKED => {
                    held[insn.src as usize] = Held::Unknown;
                }
                _ => {}
            },
            BPF_JMP if op(insn.code) == BPF_CALL => held[..6].fill(Held::Unknown),
            _ => {}
        }
        held
    }

    /// A load from a map that nobody can change.
    fn load_constant(&self, insn: Insn, held: &Held10) -> Held {
        let Some(&Held::Value(map, at)) = held.get(insn.src as usize) else { return Held::Unknown };
        let m = self.map(map);
        if !m.is_constant() || m.ty != Some(spec::MapType::Array) || m.def.max_entries != 1 {
            return Held::Unknown;
        }
        let from = at.wrapping_add_signed(insn.off.into());
        let size = access_size(insn.code);
        match from.checked_add(size.into()) {
            Some(end) if end <= u64::from(m.def.value_size) => {
                Held::Const(m.constant(from, size, mode(insn.code) == BPF_MEMSX))
            }
            _ => Held::Unknown,
        }
    }
}

/// The result of an ALU instruction: moves, additions, subtractions and AND are followed.
fn compute(insn: Insn, held: &Held10) -> Held {
    let wide = class(insn.code) == BPF_ALU64;
    let src = match is_src_x(insn.code) {
        true => held.get(insn.src as usize).copied().unwrap_or(Held::Unknown),
        false => Held::Const(insn.imm as i64 as u64),
    };
    let dst = held[insn.dst as usize];
    if dst == Held::Unvisited || src == Held::Unvisited {
        return Held::Unvisited;
    }
    if insn.off != 0 {
        return Held::Unknown;
    }
    let result = match (op(insn.code), dst, src) {
        (BPF_MOV, _, src) => src,
        (BPF_ADD, Held::Const(a), Held::Const(b)) => Held::Const(a.wrapping_add(b)),
        (BPF_SUB, Held::Const(a), Held::Const(b)) => Held::Const(a.wrapping_sub(b)),
        (BPF_AND, Held::Const(a), Held::Const(b)) => Held::Const(a & b),
        (BPF_ADD, Held::Value(map, at), Held::Const(by)) if wide => Held::Value(map, at.wrapping_add(by)),
        _ => Held::Unknown,
    };
    match result {
        Held::Const(c) if !wide => Held::Const(c as u32 as u64),
        Held::Value(..) if !wide => Held::Unknown,
        other => other,
    }
}

/// Whether the jump is certainly taken, or certainly not.
fn outcome(insn: Insn, held: &Held10, rules: &Rules) -> Option<bool> {
    let width = match class(insn.code) {
        BPF_JMP => Width::W64,
        BPF_JMP32 => Width::W32,
        _ => return None,
    };
    let cmp = condition(insn.code)?;
    // Constants are kept in 32 bits.
    let constant = |r: u8| match held.get(r as usize) {
        Some(Held::Const(c)) if u32::try_from(*c).is_ok() => Some(*c),
        _ => None,
    };
    let dst = constant(insn.dst)?;
    let src = if is_src_x(insn.code) { constant(insn.src)? } else { insn.imm as i64 as u64 };
    refine::decide(cmp, width, &Scalar::known(dst), &Scalar::known(src), rules)
}
