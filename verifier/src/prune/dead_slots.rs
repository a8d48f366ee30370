//! Which stack slots a program cannot read any more, worked out before the walk from what registers and slots surely point to: of every frame,
//! in every chain of calls. A function that lets others know where its stack is in ways that are not followed keeps all. What paths really
//! read is in `liveness`.

use crate::env::{LoadImm, Verifier};
use crate::pass::graph::successors;
use crate::reg::MapId;
use crate::stack::Byte;
use crate::state::{MAX_FRAMES, State};
use isa::Insn;
use isa::consts::*;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use spec::helper::{Arg, ArgKind, MemAccess, MemSize};

/// A set of halves of slots: bit k stands for the four bytes from -4 * (k + 1).
type Halves = u128;

const ALL: Halves = Halves::MAX;
/// No frame is larger.
const LOWEST: i64 = -512;
/// Call chains that are told apart; a program with more keeps all.
const MAX_CHAINS: usize = 2048;

/// What a register or slot holds on every path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// No pointer to a stack.
    Other,
    Number(i64),
    Map(MapId),
    /// The address of a function that starts there.
    Func(u32),
    /// A pointer to this offset of a frame's stack.
    At(u8, i64),
    /// Perhaps a pointer to somewhere in the stacks of these frames, a bit each.
    Somewhere(u16),
}
use Holds::*;

/// Parts of frames.
type Parts = SmallVec<[(u8, Halves); 1]>;

impl Holds {
    fn frames(self) -> u16 {
        match self {
            At(frame, _) => 1 << frame,
            Somewhere(frames) => frames,
            _ => 0,
        }
    }
    fn is_stack(self) -> bool {
        self.frames() != 0
    }
    fn join(self, other: Holds) -> Holds {
        match self.frames() | other.frames() {
            _ if self == other => self,
            0 => Other,
            frames => Somewhere(frames),
        }
    }
    fn plus(self, by: i64) -> Holds {
        match self {
            At(frame, off) => off.checked_add(by).map_or(Somewhere(1 << frame), |off| At(frame, off)),
            Number(n) => Number(n.wrapping_add(by)),
            Somewhere(frames) => Somewhere(frames),
            Other | Map(_) | Func(_) => Other,
        }
    }
    /// What of the stacks is within `size` bytes from `off` behind the register; without a size, to the end of the stack.
    fn reach(self, off: i64, size: Option<i64>) -> Parts {
        match self {
            At(frame, at) => [(frame, touched(at.saturating_add(off), size))].into_iter().collect(),
            _ => (0..MAX_FRAMES as u8).filter(|f| self.frames() & 1 << f != 0).map(|f| (f, ALL)).collect(),
        }
    }
    /// What a store surely overwrites.
    fn overwritten(self, off: i64, size: i64) -> Parts {
        match self {
            At(_, at) if size >= 4 && (at.saturating_add(off)) % 4 == 0 && size % 4 == 0 => self.reach(off, Some(size)),
            _ => Parts::new(),
        }
    }
}

/// The halves that `[from, from + size)` touches.
fn touched(from: i64, size: Option<i64>) -> Halves {
    let end = size.map_or(0, |s| from.saturating_add(s).min(0));
    let (first, last) = ((-1i64).saturating_sub(from) / 4, end.saturating_neg() / 4);
    if from >= end || last > 127 { 0 } else { (ALL >> (127 - first.min(127))) & (ALL << last) }
}

/// What is known before an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Values {
    regs: [Holds; 11],
    /// Slots that hold pointers to stacks: frame, offset, what; sorted.
    slots: SmallVec<[(u8, i64, Holds); 2]>,
}

impl Values {
    fn of_root() -> Values {
        let mut regs = [Other; 11];
        regs[10] = At(0, 0);
        Values { regs, slots: SmallVec::new() }
    }
    /// At the entry of a function that is called with these registers.
    fn of_callee(&self, depth: usize, args: bool) -> Values {
        let mut regs = [Other; 11];
        if args {
            regs[1..6].copy_from_slice(&self.regs[1..6]);
        }
        regs[10] = At(depth as u8, 0);
        Values { regs, slots: self.slots.clone() }
    }
    fn slot(&self, frame: u8, off: i64) -> Holds {
        self.slots.iter().find(|(f, o, _)| (*f, *o) == (frame, off)).map_or(Other, |(_, _, holds)| *holds)
    }
    fn join(&self, other: &Values) -> Values {
        let regs = std::array::from_fn(|r| self.regs[r].join(other.regs[r]));
        let mut slots: SmallVec<[(u8, i64, Holds); 2]> =
            self.slots.iter().map(|&(f, o, holds)| (f, o, holds.join(other.slot(f, o)))).collect();
        for &(f, o, holds) in &other.slots {
            if !self.slots.iter().any(|s| (s.0, s.1) == (f, o)) {
                slots.push((f, o, holds.join(Other)));
            }
        }
        slots.sort_unstable_by_key(|s| (s.0, s.1));
        Values { regs, slots }
    }
    /// What a load of eight bytes gives.
    fn loaded(&self, base: Holds, off: i64) -> Holds {
        match base {
            At(frame, at) => self.slot(frame, at.saturating_add(off)),
            _ => {
                let there = self.slots.iter().filter(|s| base.frames() & 1 << s.0 != 0);
                there.fold(Other, |all, s| all.join(s.2))
            }
        }
    }
    fn store(&mut self, base: Holds, off: i64, size: i64, value: Holds, depth: usize) -> Result<(), Escapes> {
        let At(frame, at) = base else {
            return if base.is_stack() && value.is_stack() { Err(Escapes) } else { Ok(()) };
        };
        let at = at.saturating_add(off);
        self.slots.retain(|(f, o, _)| *f != frame || *o >= at.saturating_add(size) || o.saturating_add(8) <= at);
        if value.is_stack() {
            if usize::from(frame) != depth || size != 8 {
                return Err(Escapes);
            }
            self.slots.push((frame, at, value));
            self.slots.sort_unstable_by_key(|s| (s.0, s.1));
        }
        Ok(())
    }
}

/// What one instruction does to the stacks.
#[derive(Clone, Default)]
struct Effect {
    read: Parts,
    overwritten: Parts,
}

/// Where a stack is becomes known in a way that is not followed.
#[derive(Debug)]
struct Escapes;

/// Call instructions from the outermost function on.
type Chain = SmallVec<[u32; 7]>;

/// What may still be read before each instruction of a function in one call chain, by frame; nothing of a frame that is left out.
#[derive(Debug)]
struct Instance {
    start: u32,
    frames: Vec<Option<Vec<Halves>>>,
}

impl Instance {
    fn live(&self, frame: usize, insn: usize) -> Halves {
        let at = |live: &Vec<Halves>| insn.checked_sub(self.start as usize).and_then(|i| live.get(i)).copied();
        self.frames.get(frame).and_then(Option::as_ref).map_or(0, |live| at(live).unwrap_or(0))
    }
}

type Instances = FxHashMap<(u32, Chain), Instance>;

/// What may still be read of the stacks, by outermost function and call chain. Where nothing is known all may be.
#[derive(Debug, Default)]
pub struct LiveStacks(Instances);

impl Verifier<'_> {
    /// Fills in `live_stacks`.
    pub fn compute_live_stack(&mut self) {
        let mut all = Instances::default();
        for root in 0..self.subprogs.len() as u32 {
            let mut of_root = Instances::default();
            let values = Values::of_root();
            if self.live_of(&mut of_root, root, &mut Chain::new(), root as usize, values).is_ok() {
                all.extend(of_root);
            }
        }
        self.live_stacks = LiveStacks(all);
    }

    /// One function in one chain, and those that it calls. Says what it may read of outer frames.
    fn live_of(
        &self,
        all: &mut Instances,
        root: u32,
        chain: &mut Chain,
        subprog: usize,
        entry: Values,
    ) -> Result<Parts, Escapes> {
        let depth = chain.len();
        if all.len() >= MAX_CHAINS || depth >= MAX_FRAMES {
            return Err(Escapes);
        }
        let start = self.subprogs[subprog].start;
        let order = &self.subprogs[subprog].postorder;
        let before = self.stack_values(start as usize, order, entry, depth)?;
        let mut effects = Vec::with_capacity(order.len());
        for &i in order {
            let effect = match &before[i as usize - start as usize] {
                Some(values) => self.stack_effect(all, root, chain, i as usize, values)?,
                None => Effect::default(),
            };
            effects.push(effect);
        }
        let read = effects.iter().flat_map(|e| &e.read).fold(0u16, |frames, (f, _)| frames | 1 << f);
        let live = |frame: usize| {
            (read & 1 << frame != 0)
                .then(|| self.live_of_frame(frame as u8, start as usize, order, &effects, before.len()))
        };
        let instance = Instance { start, frames: (0..=depth).map(live).collect() };
        let outer = (0..depth).map(|f| (f as u8, instance.live(f, start as usize))).filter(|(_, h)| *h != 0).collect();
        all.insert((root, chain.clone()), instance);
        Ok(outer)
    }

    fn live_of_frame(&self, frame: u8, start: usize, order: &[u32], effects: &[Effect], len: usize) -> Vec<Halves> {
        let mut live = vec![0; len];
        let of = |parts: &Parts| parts.iter().filter(|p| p.0 == frame).fold(0, |m, p| m | p.1);
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for (&i, effect) in order.iter().zip(effects) {
                let next = successors(&self.insns, i as usize);
                let out = next.iter().fold(0, |m, s| m | s.checked_sub(start).and_then(|s| live.get(s)).unwrap_or(&0));
                let now = (out & !of(&effect.overwritten)) | of(&effect.read);
                let old = &mut live[i as usize - start];
                changed |= now != *old;
                *old = now;
            }
        }
        live
    }

    /// What is known before each instruction of a function that some path reaches.
    fn stack_values(
        &self,
        start: usize,
        order: &[u32],
        entry: Values,
        depth: usize,
    ) -> Result<Vec<Option<Values>>, Escapes> {
        let len = order.iter().map(|i| *i as usize - start + 1).max().unwrap_or(0);
        let mut before: Vec<Option<Values>> = vec![None; len];
        if let Some(first) = before.first_mut() {
            *first = Some(entry);
        }
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for &i in order.iter().rev() {
                let i = i as usize;
                let Some(mut values) = before[i - start].clone() else { continue };
                self.stack_step(i, &mut values, depth)?;
                for next in successors(&self.insns, i) {
                    let Some(known) = next.checked_sub(start).and_then(|n| before.get_mut(n)) else { continue };
                    let joined = known.as_ref().map_or_else(|| values.clone(), |known| known.join(&values));
                    if known.as_ref() != Some(&joined) {
                        changed = true;
                        *known = Some(joined);
                    }
                }
            }
        }
        Ok(before)
    }

    /// What an instruction does to what registers and slots hold.
    fn stack_step(&self, i: usize, values: &mut Values, depth: usize) -> Result<(), Escapes> {
        let insn = self.insns[i];
        let (dst, src, off) = (insn.dst as usize % 11, insn.src as usize % 11, i64::from(insn.off));
        let size = access_size(insn.code);
        let regs = &mut values.regs;
        match class(insn.code) {
            BPF_LD if insn.code == LDIMM64 => {
                regs[dst] = match self.aux[i].load {
                    LoadImm::MapPtr(map) => Map(map),
                    LoadImm::Func { subprog_start } => Func(subprog_start),
                    _ => Other,
                };
            }
            BPF_LD => regs[..6].fill(Other),
            BPF_LDX => {
                let whole = size == 8 && mode(insn.code) == BPF_MEM;
                values.regs[dst] = if whole { values.loaded(values.regs[src], off) } else { Other };
            }
            BPF_STX if mode(insn.code) == BPF_ATOMIC && insn.imm == BPF_LOAD_ACQ => {
                values.regs[dst] = if size == 8 { values.loaded(values.regs[src], off) } else { Other };
            }
            BPF_STX if mode(insn.code) == BPF_ATOMIC => {
                if regs[src].is_stack() {
                    return Err(Escapes);
                }
                if insn.imm == BPF_CMPXCHG {
                    regs[0] = Other;
                } else if insn.imm & BPF_FETCH != 0 {
                    regs[src] = Other;
                }
            }
            BPF_ST => values.store(values.regs[dst], off, size, Other, depth)?,
            BPF_STX => values.store(values.regs[dst], off, size, values.regs[src], depth)?,
            BPF_ALU | BPF_ALU64 => regs[dst] = after_alu(insn, regs[dst], regs[src]),
            _ if op(insn.code) == BPF_CALL => regs[..6].fill(Other),
            _ => {}
        }
        Ok(())
    }

    fn stack_effect(
        &self,
        all: &mut Instances,
        root: u32,
        chain: &mut Chain,
        i: usize,
        values: &Values,
    ) -> Result<Effect, Escapes> {
        let insn = self.insns[i];
        let (dst, src, off) = (insn.dst as usize % 11, insn.src as usize % 11, i64::from(insn.off));
        let (regs, size) = (&values.regs, access_size(insn.code));
        let mut effect = Effect::default();
        match class(insn.code) {
            BPF_LDX => effect.read = regs[src].reach(off, Some(size)),
            BPF_STX if mode(insn.code) == BPF_ATOMIC => {
                let base = if insn.imm == BPF_LOAD_ACQ { regs[src] } else { regs[dst] };
                effect.read = base.reach(off, Some(size));
            }
            BPF_ST | BPF_STX => effect.overwritten = regs[dst].overwritten(off, size),
            BPF_JMP | BPF_JMP32 if op(insn.code) == BPF_CALL => {
                effect = self.call_effect(insn, regs)?;
                effect.read.extend(self.callee_reads(all, root, chain, i, values)?);
            }
            _ => {}
        }
        Ok(effect)
    }

    /// What the functions that a call enters may read of the frames that there are.
    fn callee_reads(
        &self,
        all: &mut Instances,
        root: u32,
        chain: &mut Chain,
        i: usize,
        values: &Values,
    ) -> Result<Parts, Escapes> {
        let insn = self.insns[i];
        let called = insn.src == BPF_PSEUDO_CALL;
        let starts: SmallVec<[i32; 1]> = match called {
            true => [i as i32 + insn.imm + 1].into_iter().collect(),
            false => values.regs[1..6]
                .iter()
                .filter_map(|r| if let Func(at) = r { Some(*at as i32) } else { None })
                .collect(),
        };
        let mut read = Parts::new();
        for start in starts {
            let Some(subprog) = self.subprog_at(start) else { return Err(Escapes) };
            chain.push(i as u32);
            let entry = values.of_callee(chain.len(), called);
            let of_callee = self.live_of(all, root, chain, subprog, entry);
            chain.pop();
            read.extend(of_callee?);
        }
        Ok(read)
    }

    fn call_effect(&self, insn: Insn, regs: &[Holds; 11]) -> Result<Effect, Escapes> {
        let mut effect = Effect::default();
        match insn.src {
            0 => {
                let Some(proto) = self.helper_proto(insn.imm) else {
                    effect.read = (0..MAX_FRAMES as u8).map(|f| (f, ALL)).collect();
                    return Ok(effect);
                };
                let calls_back = proto.args.iter().any(|a| matches!(a.kind, ArgKind::Func | ArgKind::Stack));
                for (reg, arg) in regs[1..].iter().zip(&proto.args).filter(|(reg, _)| reg.is_stack()) {
                    if calls_back {
                        return Err(Escapes);
                    }
                    let (size, written) = self.argument_size(arg, regs);
                    let whole = size.map_or_else(Parts::new, |s| reg.overwritten(0, s));
                    if written && whole.iter().any(|p| p.1 != 0) {
                        effect.overwritten.extend(whole);
                    } else {
                        effect.read.extend(reg.reach(0, size));
                    }
                }
            }
            BPF_PSEUDO_KFUNC_CALL => {
                for reg in &regs[1..6] {
                    effect.read.extend(reg.reach(0, None));
                }
            }
            _ => {}
        }
        Ok(effect)
    }

    /// How much memory the argument is, if that is known, and whether the call overwrites it all.
    fn argument_size(&self, arg: &Arg, regs: &[Holds; 11]) -> (Option<i64>, bool) {
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
        let root = st.frames[0].subprog;
        let mut chain: Chain = st.frames[1..].iter().map(|f| f.callsite as u32).collect();
        let mut live: [Halves; MAX_FRAMES] = [0; MAX_FRAMES];
        for at in (0..st.frames.len()).rev() {
            chain.truncate(at);
            // An outer function goes on behind its call, or calls back once more.
            let insn = st.frame_insn(at) as usize;
            let again = at < st.cur() && self.aux[insn].calls_callback;
            let insn = if at == st.cur() || again { insn } else { insn + 1 };
            let Some(instance) = self.live_stacks.0.get(&(root, chain.clone())) else { return };
            for (frame, live) in live.iter_mut().enumerate().take(at + 1) {
                *live |= instance.live(frame, insn);
            }
        }
        for (frame, live) in st.frames.iter_mut().zip(live) {
            for (k, slot) in frame.stack.iter_mut().enumerate() {
                let halves = live.checked_shr(2 * k as u32).map_or(3, |l| l & 3);
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
        BPF_MOV if src.is_stack() => Somewhere(src.frames()),
        BPF_MOV => Other,
        BPF_ADD if wide && !by_reg => dst.plus(imm),
        BPF_SUB if wide && !by_reg => dst.plus(-imm),
        _ => match dst.frames() | if by_reg { src.frames() } else { 0 } {
            0 => Other,
            frames => Somewhere(frames),
        },
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
        assert_eq!(At(0, -8).overwritten(0, 8).as_slice(), [(0, 0b11)]);
        assert!(At(0, -8).overwritten(-1, 4).is_empty() && At(0, -8).overwritten(0, 2).is_empty());
        assert_eq!(At(1, -8).join(Other), Somewhere(2));
    }

    /// What is live before each instruction.
    fn live(insns: &[(u8, u8, u8, i16, i32)]) -> Vec<Halves> {
        let insns = insns.iter().map(|&(code, dst, src, off, imm)| Insn { code, dst, src, off, imm }).collect();
        let prog = program::Program { prog_type: spec::ProgType::Xdp.raw(), insns, ..Default::default() };
        let profile = spec::Profile::load("7.2").expect("in the source tree");
        let opts = crate::Options::default();
        let mut v = Verifier::new(&prog, &profile, &opts);
        assert!(v.before_walk().is_ok());
        let main = &v.live_stacks.0[&(0, Chain::new())];
        (0..v.insns.len()).map(|i| main.live(0, i)).collect()
    }

    #[test]
    fn slots_live_from_store_to_load() {
        let store = (0x7a, 10, 0, -8, 1);
        let (copy, zero, exit) = ((0xbf, 2, 10, 0, 0), (0xb7, 0, 0, 0, 0), (0x95, 0, 0, 0, 0));
        let load = [(0x07, 2, 0, 0, -4), (0x61, 1, 2, 0, 0)];
        let kept = live(&[&[store, copy][..], &load, &[zero, exit]].concat());
        assert_eq!(kept, [0, 0b1, 0b1, 0b1, 0, 0]);
        let through_slot =
            live(&[store, copy, (0x7b, 10, 2, -16, 0), (0x79, 3, 10, -16, 0), (0x79, 1, 3, -8, 0), zero, exit]);
        assert_eq!(through_slot, [0, 0b11, 0b11, 0b1111, 0b11, 0, 0]);
    }
}
