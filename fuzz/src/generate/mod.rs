//! Programs at random that the verifier mostly takes: scalars, stack, packet, maps, calls, loops. The generator follows roughly what
//! each register holds, so that what it emits makes sense, and strays now and then on purpose. One file per kind of statement.
//!
//! A safety rule for the machine that runs this: programs stay under [`MAX_INSNS`] and [`MAX_BRANCHES`], loops are bounded by
//! counters that nothing else writes, because a kernel with very many pending branches can be crashed.

pub mod c;
mod calls;
mod control;
mod info;
mod memory;
mod scalar;
mod state;

use std::sync::Arc;

use isa::Insn;
use isa::consts::{BPF_PSEUDO_FUNC, LDIMM64};
use program::{MapDef, Program};

use crate::emit;
use crate::rng::Rng;
use state::{Kind, State};

pub const MAX_INSNS: usize = 180;
pub const MAX_BRANCHES: usize = 60;

/// What programs to make.
#[derive(Clone, Debug)]
pub struct Options {
    /// Program types to choose from; empty for all that the generator knows.
    pub prog_types: Vec<u32>,
    /// Only what runs the same anywhere: no helper whose result depends on the machine, no pointer that reaches the result.
    pub deterministic: bool,
    /// Aim for about this many instructions.
    pub target_len: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { prog_types: Vec::new(), deterministic: false, target_len: 60 }
    }
}

pub const SOCKET_FILTER: u32 = 1;
pub const SCHED_CLS: u32 = 3;
pub const XDP: u32 = 6;
pub const CGROUP_SKB: u32 = 8;
pub const RAW_TRACEPOINT: u32 = 17;
pub const SYSCALL: u32 = 31;

/// `BPF_F_SLEEPABLE`.
const SLEEPABLE: u32 = 16;

/// A program type with what the generator needs to know of its context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Type {
    number: u32,
    attach: u32,
    flags: u32,
    /// Offsets of `data` and `data_end` in the context.
    packet: Option<(i16, i16)>,
    packet_writable: bool,
    /// 4-byte (or, for raw tracepoints, 8-byte) fields that read as scalars.
    fields: &'static [i16],
    wide_fields: bool,
    /// Values that the program may return.
    returns: (i32, i32),
}

const TYPES: [Type; 6] = [
    Type {
        number: SOCKET_FILTER,
        attach: 0,
        flags: 0,
        packet: None,
        packet_writable: false,
        fields: &[0, 4, 8, 12, 16, 40, 60, 64, 68],
        wide_fields: false,
        returns: (i32::MIN, i32::MAX),
    },
    Type {
        number: SCHED_CLS,
        attach: 0,
        flags: 0,
        packet: Some((76, 80)),
        packet_writable: true,
        fields: &[0, 4, 8, 12, 16, 24, 40, 44, 48, 60, 68],
        wide_fields: false,
        returns: (i32::MIN, i32::MAX),
    },
    Type {
        number: XDP,
        attach: 0,
        flags: 0,
        packet: Some((0, 4)),
        packet_writable: true,
        fields: &[12, 16],
        wide_fields: false,
        returns: (i32::MIN, i32::MAX),
    },
    Type {
        number: CGROUP_SKB,
        attach: 0,
        flags: 0,
        packet: Some((76, 80)),
        packet_writable: false,
        fields: &[0, 4, 8, 16, 40, 60],
        wide_fields: false,
        returns: (0, 1),
    },
    Type {
        number: RAW_TRACEPOINT,
        attach: 0,
        flags: 0,
        packet: None,
        packet_writable: false,
        fields: &[0, 8, 16, 24],
        wide_fields: true,
        returns: (i32::MIN, i32::MAX),
    },
    Type {
        number: SYSCALL,
        attach: 0,
        flags: SLEEPABLE,
        packet: None,
        packet_writable: false,
        fields: &[0, 4, 8, 16],
        wide_fields: false,
        returns: (i32::MIN, i32::MAX),
    },
];

/// One function while it is written.
pub(crate) struct Builder<'a> {
    pub(crate) rng: &'a mut Rng,
    pub(crate) options: &'a Options,
    pub(crate) ty: Type,
    pub(crate) code: Vec<Insn>,
    pub(crate) state: State,
    /// Jumps to the end of the function, to be patched.
    pub(crate) to_exit: Vec<usize>,
    pub(crate) maps: &'a [Arc<MapDef>],
    /// Instructions and branches that the whole program has left.
    pub(crate) budget: &'a mut Budget,
    /// 0 for the main function.
    pub(crate) depth: usize,
    /// Nesting of blocks.
    pub(crate) nesting: usize,
    /// Loops around this point.
    pub(crate) loops: usize,
    /// Inside of a loop whose number of rounds the verifier does not count: no instruction that makes it fork.
    pub(crate) no_fork: bool,
    /// Calls to functions that are placed later: (slot, function).
    pub(crate) calls: Vec<(usize, usize)>,
    pub(crate) functions: &'a mut Vec<Function>,
}

#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) insns: usize,
    pub(crate) branches: usize,
}

/// A finished function; `calls` are still to be resolved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Function {
    code: Vec<Insn>,
    calls: Vec<(usize, usize)>,
}

/// Program types that are made.
pub fn known_types() -> Vec<u32> {
    TYPES.iter().map(|t| t.number).collect()
}

/// The program of a seed: the same for the same seed and options, forever.
pub fn program(seed: u64, options: &Options) -> Program {
    let mut rng = Rng::new(seed);
    let types: Vec<Type> =
        TYPES.into_iter().filter(|t| options.prog_types.is_empty() || options.prog_types.contains(&t.number)).collect();
    let ty = if types.is_empty() { TYPES[2] } else { rng.pick(&types) };
    let maps = maps(&mut rng);
    let mut budget = Budget { insns: MAX_INSNS, branches: MAX_BRANCHES };
    let mut functions = vec![Function::default()];
    let main = function(&mut rng, options, ty, &maps, &mut budget, &mut functions, State::entry(), 0, 0);
    functions[0] = main;
    let (insns, starts) = link(&functions);
    let callbacks = insns.iter().any(|i| i.code == LDIMM64 && i.src == BPF_PSEUDO_FUNC);
    let info = if callbacks || rng.chance(10) { info::for_functions(&starts) } else { None };
    let (btf, func_info) = info.map_or((None, Default::default()), |(b, f)| (Some(b), f));
    // BPF_F_TEST_STATE_FREQ: a state at every instruction shows pruning far better.
    let flags = if rng.chance(30) { 8 } else { 0 };
    Program {
        name: format!("fuzz_{seed:x}"),
        prog_type: ty.number,
        expected_attach_type: ty.attach,
        flags: flags | ty.flags,
        license: "GPL".to_owned(),
        insns,
        maps,
        btf,
        func_info,
        ..Program::default()
    }
}

/// Two or three maps of common kinds.
fn maps(rng: &mut Rng) -> Vec<Arc<MapDef>> {
    let sizes = [8, 16, 48, 64];
    let make = |name: &str, map_type, key_size, value_size, max_entries| {
        Arc::new(MapDef { name: name.into(), map_type, key_size, value_size, max_entries, ..MapDef::default() })
    };
    vec![
        make("arr", 2, 4, rng.pick(&sizes), rng.pick(&[1, 1, 4, 100])),
        make("hash", 1, rng.pick(&[4, 8]), rng.pick(&sizes), 16),
        make("percpu", 6, 4, rng.pick(&sizes), 2),
    ]
}

#[expect(clippy::too_many_arguments, reason = "the parts of a builder, named one by one")]
pub(crate) fn function(
    rng: &mut Rng,
    options: &Options,
    ty: Type,
    maps: &[Arc<MapDef>],
    budget: &mut Budget,
    functions: &mut Vec<Function>,
    entry: State,
    depth: usize,
    loops: usize,
) -> Function {
    let target = match depth {
        0 => options.target_len / 2 + rng.below(options.target_len as u64) as usize,
        _ => 4 + rng.below(14) as usize,
    };
    let mut b = Builder {
        rng,
        options,
        ty,
        code: Vec::new(),
        state: entry,
        to_exit: Vec::new(),
        maps,
        budget,
        depth,
        nesting: 0,
        loops,
        no_fork: false,
        calls: Vec::new(),
        functions,
    };
    if depth == 0 {
        // The context outlives calls; some scalars to begin with.
        b.emit(emit::mov(6, 1));
        b.state.regs[6] = Kind::Ctx;
        for reg in [0, 7, 8] {
            b.fresh_scalar(reg);
        }
    }
    if options.deterministic {
        // What a kernel's stack holds from before is nobody's business.
        b.clear_stack();
    }
    while b.code.len() < target && b.roomy() {
        b.statement();
    }
    b.finish()
}

/// Puts the functions one after another and resolves calls between them. The slots, and where each function starts.
fn link(functions: &[Function]) -> (Vec<Insn>, Vec<usize>) {
    let mut starts = Vec::with_capacity(functions.len());
    let mut at = 0;
    for f in functions {
        starts.push(at);
        at += f.code.len();
    }
    let mut out: Vec<Insn> = functions.iter().flat_map(|f| f.code.iter().copied()).collect();
    for (f, start) in functions.iter().zip(&starts) {
        for (slot, callee) in &f.calls {
            let here = start + slot;
            out[here].imm = starts[*callee] as i32 - here as i32 - 1;
        }
    }
    (out, starts)
}

impl Builder<'_> {
    pub(crate) fn emit(&mut self, insn: Insn) {
        self.budget.insns = self.budget.insns.saturating_sub(1);
        self.code.push(insn);
    }

    pub(crate) fn emit2(&mut self, pair: [Insn; 2]) {
        self.emit(pair[0]);
        self.emit(pair[1]);
    }

    /// Room for one more statement of any kind.
    pub(crate) fn roomy(&self) -> bool {
        self.budget.insns > 30 && self.budget.branches > 4
    }

    /// Emits a jump whose target is not known yet.
    pub(crate) fn branch(&mut self, insn: Insn) -> usize {
        self.budget.branches = self.budget.branches.saturating_sub(1);
        self.emit(insn);
        self.code.len() - 1
    }

    /// Lets the jump at `slot` go to the next instruction.
    pub(crate) fn land(&mut self, slot: usize) {
        let off = self.code.len() as i64 - slot as i64 - 1;
        self.code[slot].off = off as i16;
    }

    pub(crate) fn statement(&mut self) {
        let packet = self.ty.packet.is_some() && self.depth == 0;
        let deep = self.nesting > 2;
        let weights = [
            28,                                                                                        // scalar arithmetic
            if deep { 2 } else { 12 },                                                                 // branch
            10,                                                                                        // stack
            if packet { 9 } else { 0 },                                                                // packet
            9,                                                                                         // map value
            4,                                                                                         // context
            8,                                                                                         // helper
            if self.depth < 3 { 5 } else { 0 }, // function of the program
            if deep { 0 } else { 4 },           // loop
            2,                                  // atomic
            if self.loops == 0 && !self.options.deterministic && self.rng.chance(4) { 20 } else { 0 }, // stray, never where it could unbound a loop
        ];
        match self.rng.weighted(&weights) {
            0 => self.arithmetic(),
            1 => self.conditional(),
            2 => self.stack(),
            3 => self.packet(),
            4 => self.map_value(),
            5 => self.context(),
            6 => self.helper(),
            7 => self.local_call(),
            8 => self.looping(),
            9 => self.atomic(),
            _ => self.stray(),
        }
    }

    fn finish(mut self) -> Function {
        let (low, high) = if self.depth == 0 { self.ty.returns } else { (i32::MIN, i32::MAX) };
        let wide = (low, high) == (i32::MIN, i32::MAX);
        let any = self.state.find(&mut *self.rng, |k| k.is_scalar());
        match any {
            Some(reg) if wide && self.rng.chance(85) => self.emit(emit::mov(0, reg)),
            _ => {
                let value =
                    if wide { self.rng.interesting() } else { self.rng.between(low.into(), high.into()) as i32 };
                self.emit(emit::mov_imm(0, value));
            }
        }
        if !self.to_exit.is_empty() {
            let over = self.branch(emit::ja(0));
            for slot in std::mem::take(&mut self.to_exit) {
                self.land(slot);
            }
            let value = if wide { self.rng.between(0, 3) as i32 } else { low };
            self.emit(emit::mov_imm(0, value));
            self.land(over);
        }
        self.emit(emit::exit());
        Function { code: self.code, calls: self.calls }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_program() {
        let o = Options::default();
        assert_eq!(program(7, &o).insns, program(7, &o).insns);
        assert_ne!(program(7, &o).insns, program(8, &o).insns);
    }

    #[test]
    fn programs_stay_small_and_jumps_inside() {
        for seed in 0..2000 {
            let p = program(seed, &Options::default());
            assert!(p.insns.len() <= MAX_INSNS + 60, "seed {seed}: {} slots", p.insns.len());
            let mut second_half = false;
            for (i, insn) in p.insns.iter().enumerate() {
                let class = insn.code & 7;
                let plain = !matches!(insn.code & 0xf0, 0x80 | 0x90);
                if !second_half && matches!(class, 5 | 6) && plain {
                    let to = i as i64 + 1 + i64::from(insn.off);
                    assert!((0..p.insns.len() as i64).contains(&to), "seed {seed} slot {i} jumps to {to}");
                }
                second_half = !second_half && insn.code == 0x18;
            }
        }
    }
}
