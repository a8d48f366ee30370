//! Which slots of its own stack a function cannot read any more, worked out before the walk from what registers surely point to. A function
//! that lets others know where its stack is keeps all. What paths really read is in `liveness`.

use crate::env::{LoadImm, Verifier};
use crate::pass::graph::successors;
use crate::reg::MapId;
use crate::stack::Byte;
use crate::state::State;
use isa::Insn;
use isa::consts::*;
use spec::helper::{Arg, ArgKind, MemAccess, MemSize};

/// A set of halves of slots: bit k stands for the four bytes from -4 * (k + 1).
type Halves = u128;

const ALL: Halves = Halves::MAX;
/// No frame is larger.
const LOWEST: i64 = -512;

/// What a register holds on every path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// No pointer to this stack.
    Other,
    Number(i64),
    Map(MapId),
    /// A pointer to this offset of the stack.
    At(i64),
    /// Perhaps a pointer to somewhere in the stack.
    Somewhere,
}
use Holds::*;

type Regs = [Holds; 11];

impl Holds {
    fn is_stack(self) -> bool {
        matches!(self, At(_) | Somewhere)
    }
    fn join(self, other: Holds) -> Holds {
        match (self, other) {
            (a, b) if a == b => a,
            (a, b) if a.is_stack() || b.is_stack() => Somewhere,
            _ => Other,
        }
    }
    fn plus(self, by: i64) -> Holds {
        match self {
            At(off) => off.checked_add(by).map_or(Somewhere, At),
            Number(n) => Number(n.wrapping_add(by)),
            Somewhere => Somewhere,
            Other | Map(_) => Other,
        }
    }
    /// What of the stack is within `size` bytes from `off` behind the register; without a size, to the end of the stack.
    fn reach(self, off: i64, size: Option<i64>) -> Halves {
        match self {
            At(at) => touched(at.saturating_add(off), size),
            Somewhere => ALL,
            Other | Number(_) | Map(_) => 0,
        }
    }
    /// What a store surely overwrites.
    fn overwritten(self, off: i64, size: i64) -> Halves {
        match self {
            At(at) if size >= 4 && (at.saturating_add(off)) % 4 == 0 && size % 4 == 0 => self.reach(off, Some(size)),
            _ => 0,
        }
    }
}

/// The halves that `[from, from + size)` touches.
fn touched(from: i64, size: Option<i64>) -> Halves {
    let end = size.map_or(0, |s| from.saturating_add(s).min(0));
    let (first, last) = ((-1i64).saturating_sub(from) / 4, end.saturating_neg() / 4);
    if from >= end || last > 127 { 0 } else { (ALL >> (127 - first.min(127))) & (ALL << last) }
}

/// What one instruction does to the stack of its function.
#[derive(Clone, Copy, Default)]
struct Effect {
    read: Halves,
    overwritten: Halves,
}

/// The function lets others know where its stack is.
struct Escapes;

impl Verifier<'_> {
    /// Fills in `InsnAux::live_stack`.
    pub fn compute_live_stack(&mut self) {
        for s in 0..self.subprogs.len() {
            let order = self.subprogs[s].postorder.clone();
            let effects = self.stack_effects(self.subprogs[s].start as usize, &order);
            let Ok(effects) = effects else {
                order.iter().for_each(|&i| self.aux[i as usize].live_stack = ALL);
                continue;
            };
            let mut changed = true;
            while std::mem::take(&mut changed) {
                for (&i, effect) in order.iter().zip(&effects) {
                    let i = i as usize;
                    let out = successors(&self.insns, i).iter().fold(0, |m, s| m | self.aux[*s].live_stack);
                    let live = (out & !effect.overwritten) | effect.read;
                    changed |= live != self.aux[i].live_stack;
                    self.aux[i].live_stack = live;
                }
            }
        }
    }

    /// Effects in the order of the instructions given, a postorder.
    fn stack_effects(&self, start: usize, order: &[u32]) -> Result<Vec<Effect>, Escapes> {
        let mut before: Vec<Option<Regs>> =
            vec![None; order.iter().map(|i| *i as usize - start + 1).max().unwrap_or(0)];
        let mut entry = [Other; 11];
        entry[10] = At(0);
        if let Some(first) = before.first_mut() {
            *first = Some(entry);
        }
        let mut effects = vec![Effect::default(); order.len()];
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for (&i, effect) in order.iter().zip(&mut effects).rev() {
                let i = i as usize;
                let Some(mut regs) = before[i - start] else { continue };
                *effect = self.stack_effect(i, &mut regs)?;
                for next in successors(&self.insns, i) {
                    let Some(known) = next.checked_sub(start).and_then(|n| before.get_mut(n)) else { continue };
                    let joined = known.map_or(regs, |known| std::array::from_fn(|r| known[r].join(regs[r])));
                    changed |= *known != Some(joined);
                    *known = Some(joined);
                }
            }
        }
        Ok(effects)
    }

    fn stack_effect(&self, i: usize, regs: &mut Regs) -> Result<Effect, Escapes> {
        let insn = self.insns[i];
        let (dst, src, off) = (insn.dst as usize % 11, insn.src as usize % 11, i64::from(insn.off));
        let mut effect = Effect::default();
        match class(insn.code) {
            BPF_LD if insn.code == LDIMM64 => {
                regs[dst] = match self.aux[i].load {
                    LoadImm::MapPtr(map) => Map(map),
                    _ => Other,
                };
            }
            BPF_LD => regs[..6].fill(Other),
            BPF_LDX => {
                effect.read = regs[src].reach(off, Some(access_size(insn.code)));
                regs[dst] = Other;
            }
            BPF_STX if mode(insn.code) == BPF_ATOMIC && insn.imm == BPF_LOAD_ACQ => {
                effect.read = regs[src].reach(off, Some(access_size(insn.code)));
                regs[dst] = Other;
            }
            BPF_STX if regs[src].is_stack() => return Err(Escapes),
            BPF_STX if mode(insn.code) == BPF_ATOMIC => {
                effect.read = regs[dst].reach(off, Some(access_size(insn.code)));
                if insn.imm == BPF_CMPXCHG {
                    regs[0] = Other;
                } else if insn.imm & BPF_FETCH != 0 {
                    regs[src] = Other;
                }
            }
            BPF_ST | BPF_STX => effect.overwritten = regs[dst].overwritten(off, access_size(insn.code)),
            BPF_ALU | BPF_ALU64 => regs[dst] = after_alu(insn, regs[dst], regs[src]),
            _ if op(insn.code) == BPF_CALL => {
                effect = self.call_effect(insn, regs)?;
                regs[..6].fill(Other);
            }
            _ => {}
        }
        Ok(effect)
    }

    fn call_effect(&self, insn: Insn, regs: &Regs) -> Result<Effect, Escapes> {
        let mut effect = Effect::default();
        match insn.src {
            0 => {
                let Some(proto) = self.helper_proto(insn.imm) else {
                    return Ok(Effect { read: ALL, overwritten: 0 });
                };
                let calls_back = proto.args.iter().any(|a| matches!(a.kind, ArgKind::Func | ArgKind::Stack));
                for (reg, arg) in regs[1..].iter().zip(&proto.args).filter(|(reg, _)| reg.is_stack()) {
                    if calls_back {
                        return Err(Escapes);
                    }
                    let (size, written) = self.argument_size(arg, regs);
                    match size.map_or(0, |s| reg.overwritten(0, s)) {
                        whole @ 1.. if written => effect.overwritten |= whole,
                        _ => effect.read |= reg.reach(0, size),
                    }
                }
            }
            BPF_PSEUDO_KFUNC_CALL => {
                for reg in &regs[1..6] {
                    effect.read |= reg.reach(0, None);
                }
            }
            _ if regs[1..6].iter().any(|r| r.is_stack()) => return Err(Escapes),
            _ => {}
        }
        Ok(effect)
    }

    /// How much memory the argument is, if that is known, and whether the call overwrites it all.
    fn argument_size(&self, arg: &Arg, regs: &Regs) -> (Option<i64>, bool) {
        let map = match regs[1] {
            Map(map) => Some(&self.map(map).def),
            _ => None,
        };
        let number = |n: u8| match regs.get(usize::from(n)) {
            Some(Number(n)) if (1..=-LOWEST).contains(n) => Some(*n),
            _ => None,
        };
        match arg.kind {
            ArgKind::None => (Some(0), false),
            ArgKind::MapKey => (map.map(|m| i64::from(m.key_size)), false),
            ArgKind::MapValue(_) => (map.map(|m| i64::from(m.value_size)), false),
            ArgKind::Mem(access, MemSize::Fixed { size, .. }) => (Some(i64::from(size)), access == MemAccess::Write),
            ArgKind::Mem(access, MemSize::Arg(n)) => (number(n), access == MemAccess::Write),
            _ => (None, false),
        }
    }

    /// The current path forgets slots that nobody will read any more.
    pub fn forget_dead_slots(&self, st: &mut State) {
        for f in 0..st.frames.len() {
            let insn = st.frame_insn(f) as usize;
            let mut live = self.aux[insn].live_stack;
            if f < st.cur() {
                live |= self.aux.get(insn + 1).map_or(ALL, |a| a.live_stack);
            }
            for k in 0..st.frames[f].stack.len() {
                let halves = live.checked_shr(2 * k as u32).map_or(3, |l| l & 3);
                let slot = &mut st.frames[f].stack[k];
                match halves {
                    _ if matches!(slot.kind(), Byte::Dynptr | Byte::Iter | Byte::Irq) => {}
                    0 => self.forget_slot(Byte::Poison, slot),
                    3 => {}
                    // Bit 0 stands for the higher addresses.
                    half => self.forget_half(half == 2, slot),
                }
            }
        }
    }
}

fn after_alu(insn: Insn, dst: Holds, src: Holds) -> Holds {
    let (wide, by_reg) = (class(insn.code) == BPF_ALU64, is_src_x(insn.code));
    let imm = i64::from(insn.imm);
    match op(insn.code) {
        BPF_MOV if !by_reg => Number(if wide { imm } else { i64::from(insn.imm as u32) }),
        BPF_MOV if wide && insn.off == 0 => src,
        BPF_MOV if src.is_stack() => Somewhere,
        BPF_MOV => Other,
        BPF_ADD if wide && !by_reg => dst.plus(imm),
        BPF_SUB if wide && !by_reg => dst.plus(-imm),
        _ if dst.is_stack() || by_reg && src.is_stack() => Somewhere,
        _ => Other,
    }
}

fn access_size(code: u8) -> i64 {
    match code & 0x18 {
        BPF_W => 4,
        BPF_H => 2,
        BPF_B => 1,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_ranges() {
        assert_eq!(touched(-8, Some(8)), 0b11);
        assert_eq!(touched(-8, Some(4)), 0b10);
        assert_eq!(touched(-5, Some(2)), 0b10 | 1);
        assert_eq!(touched(-16, Some(9)), 0b1110);
        assert_eq!((touched(-16, None), touched(-512, None), touched(-600, Some(8))), (0b1111, ALL, 0));
        assert_eq!((touched(0, Some(8)), touched(8, None)), (0, 0));
        assert_eq!((At(-8).overwritten(0, 8), At(-8).overwritten(-1, 4), At(-8).overwritten(0, 2)), (0b11, 0, 0));
        assert_eq!(At(-8).join(Other), Somewhere);
    }

    /// What is live before each instruction.
    fn live(insns: &[(u8, u8, u8, i16, i32)]) -> Vec<Halves> {
        let insns = insns.iter().map(|&(code, dst, src, off, imm)| Insn { code, dst, src, off, imm }).collect();
        let prog = program::Program { prog_type: spec::ProgType::Xdp.raw(), insns, ..Default::default() };
        let profile = spec::Profile::load("7.2").expect("in the source tree");
        let opts = crate::Options::default();
        let mut v = Verifier::new(&prog, &profile, &opts);
        assert!(v.before_walk().is_ok());
        v.aux.iter().map(|a| a.live_stack).collect()
    }

    #[test]
    fn slots_live_from_store_to_load() {
        let store = (0x7a, 10, 0, -8, 1);
        let (copy, zero, exit) = ((0xbf, 2, 10, 0, 0), (0xb7, 0, 0, 0, 0), (0x95, 0, 0, 0, 0));
        let load = [(0x07, 2, 0, 0, -4), (0x61, 1, 2, 0, 0)];
        let kept = live(&[&[store, copy][..], &load, &[zero, exit]].concat());
        assert_eq!(kept, [0, 0b1, 0b1, 0b1, 0, 0]);
        let escaped = live(&[store, copy, (0x7b, 10, 2, -16, 0), zero, exit]);
        assert_eq!(escaped, [ALL; 5]);
    }
}
