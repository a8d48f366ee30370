//! The columns of the table: each engine gets every row ready once and then times it. Not here: rows, and what is made of the times.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use isa::Insn;
use kernel_diff::{LoadOptions, Loaded};
use program::Program;
use runtime::session::Session;
use runtime::{Fault, Image, Input, Options, Run, World};
use spec::Profile;
use verifier::verify;

use crate::rows::Row;

/// Steps after which a run counts as endless: more than any row takes.
const BUDGET: u64 = 1 << 40;

pub trait Engine {
    fn name(&self) -> &str;

    /// Nanoseconds of one run of a row, by its number; `None` where it cannot run here.
    fn measure(&mut self, row: usize) -> Option<f64>;
}

pub fn all(rows: &[Row]) -> Vec<Box<dyn Engine>> {
    vec![
        Box::new(Kernel::new(rows)),
        Box::new(Ours::new("JIT verified", rows, jit::run, true)),
        Box::new(Ours::new("JIT checked", rows, jit::run, false)),
        Box::new(Ours::new("interpreter", rows, interpreter::run, false)),
        Box::new(Rbpf::new(rows)),
    ]
}

/// A program that the kernel took, and those in the slots of its maps, which must live as long.
type Ready = (Box<dyn Loaded>, Vec<Box<dyn Loaded>>);

/// The running kernel: its own measure of a repeated test run.
struct Kernel {
    loaded: Vec<Option<Ready>>,
    inputs: Vec<(Input, u32)>,
}

impl Kernel {
    fn new(rows: &[Row]) -> Self {
        let mut loaded = Vec::new();
        for row in rows {
            // A fresh engine for each row, so that maps are not shared between rows.
            let asked = kernel_diff::live::host();
            if let Err(e) = &asked
                && loaded.is_empty()
            {
                eprintln!("*** THE KERNEL'S COLUMN IS EMPTY: {e} ***");
            }
            loaded.push(asked.ok().and_then(|mut engine| {
                let mut others = Vec::new();
                for p in row.programs.iter().filter(|p| p.name == "tail_target" && row.program().name == "tail_calls") {
                    others.extend(engine.load(p, &LoadOptions::with_level(0)).ok()?.program);
                }
                let load = engine
                    .load(row.program(), &LoadOptions::with_level(4))
                    .map_err(|e| eprintln!("{}: {e}", row.name))
                    .ok()?;
                if load.program.is_none() {
                    eprintln!("{}: the kernel refuses it: {}", row.name, load.judgement.message());
                }
                let mut program = load.program?;
                let mut maps = row.presets.clone();
                if !others.is_empty() {
                    maps.push(runtime::input::MapPreset {
                        map: "chain".into(),
                        entries: vec![runtime::input::Entry {
                            key: runtime::input::Blob(vec![1, 0, 0, 0]),
                            slot: Some("tail_target".into()),
                            ..Default::default()
                        }],
                        ..Default::default()
                    });
                }
                let given = Input { maps, ..row.input.clone() };
                program.run(&given, 1).map_err(|e| eprintln!("{}: kernel: {e}", row.name)).ok()?;
                Some((program, others))
            }));
        }
        let inputs = rows.iter().map(|r| (r.input.clone(), r.repeat)).collect();
        Self { loaded, inputs }
    }
}

impl Engine for Kernel {
    fn name(&self) -> &str {
        "kernel JIT"
    }

    fn measure(&mut self, row: usize) -> Option<f64> {
        let (program, _) = self.loaded[row].as_mut()?;
        let (input, repeat) = &self.inputs[row];
        let out = program.run(input, *repeat).map_err(|e| eprintln!("kernel: {e}")).ok()?;
        Some(out.duration_ns as f64)
    }
}

type RunFn = fn(&Arc<Image>, &mut Run<'_>) -> Result<u64, Fault>;

/// An engine of this repository, with or without what the verifier proves.
struct Ours {
    name: &'static str,
    run: RunFn,
    rows: Vec<(Session, Arc<Image>, Input, u32)>,
}

impl Ours {
    fn new(name: &'static str, rows: &[Row], run: RunFn, proven: bool) -> Self {
        let rows = rows.iter().map(|r| ready(r, proven)).collect();
        Self { name, run, rows }
    }
}

fn ready(row: &Row, proven: bool) -> (Session, Arc<Image>, Input, u32) {
    let profile = Profile::default();
    let mut session = Session::default();
    let mut main = None;
    for (i, p) in row.programs.iter().enumerate() {
        let facts = proven.then(|| verify(p, &profile, &verifier::Options::default()).facts).flatten();
        let image = session.add(p, &Options { facts, ..Options::default() }).expect("an image");
        if i == row.main {
            main = Some(image);
        }
    }
    session.link();
    session.preset(&row.presets).expect("presets");
    (session, main.expect("a program"), row.input.clone(), row.repeat)
}

impl Engine for Ours {
    fn name(&self) -> &str {
        self.name
    }

    fn measure(&mut self, row: usize) -> Option<f64> {
        let (_, image, input, repeat) = &self.rows[row];
        let mut world = World::default();
        let mut run = Session::start(image, input, &mut world).expect("a run");
        run.set_budget(BUDGET);
        // The first run compiles.
        (self.run)(image, &mut run).unwrap_or_else(|e| panic!("{}: {e}", image.name));
        let start = Instant::now();
        for _ in 0..*repeat {
            // Else the limit of tail calls would be used up after a few runs.
            run.tail_calls = 0;
            black_box((self.run)(image, &mut run).unwrap_or_else(|e| panic!("{}: {e}", image.name)));
        }
        Some(start.elapsed().as_nanos() as f64 / f64::from(*repeat))
    }
}

/// Code, packet and how often to run.
type Given = (Vec<u8>, Vec<u8>, u32);

/// rbpf's interpreter, for programs that need no kernel. (Its JIT can only be called by unsafe code, which has no place here.)
struct Rbpf {
    rows: Vec<Option<Given>>,
}

impl Rbpf {
    fn new(rows: &[Row]) -> Self {
        let rows = rows.iter().map(|r| Some((for_rbpf(r.program())?, r.input.packet.0.clone(), r.repeat))).collect();
        Self { rows }
    }
}

/// The program with its packet pointers read as the 64-bit pointers that rbpf keeps at offsets 0 and 8; `None` for what rbpf lacks.
fn for_rbpf(program: &Program) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut context = [false; 16];
    context[1] = true;
    let mut slot = 0;
    while slot < program.insns.len() {
        let d = isa::decode(&program.insns, slot).ok()?;
        let insn = program.insns[slot];
        let insn = match d.kind() {
            isa::Kind::CallHelper | isa::Kind::CallKfunc | isa::Kind::Atomic(..) | isa::Kind::LdImm64(_) => {
                return None;
            }
            // Another field than the packet pointers: any number will do.
            isa::Kind::Ldx(isa::Size::B32) if context[usize::from(insn.src)] && insn.off > 4 => {
                Insn { code: 0xb7, src: 0, off: 0, imm: 1, ..insn }
            }
            isa::Kind::Ldx(isa::Size::B32) if context[usize::from(insn.src)] => {
                Insn { code: 0x79, off: insn.off * 2, ..insn }
            }
            _ => insn,
        };
        if let Some(dst) = d.defines() {
            context[usize::from(dst)] = false;
        }
        out.extend(insn.to_bytes());
        slot += d.slots();
    }
    Some(out)
}

impl Engine for Rbpf {
    fn name(&self) -> &str {
        "rbpf interpreter"
    }

    fn measure(&mut self, row: usize) -> Option<f64> {
        let (code, packet, repeat) = self.rows[row].as_ref()?;
        let vm = rbpf::EbpfVmMbuff::new(Some(code)).ok()?;
        // What the rewritten context loads find: start and end of the packet.
        let start = packet.as_ptr() as u64;
        let context = [start.to_le_bytes(), (start + packet.len() as u64).to_le_bytes()].concat();
        vm.execute_program(packet, &context).ok()?;
        let begin = Instant::now();
        for _ in 0..*repeat {
            black_box(vm.execute_program(packet, &context).ok()?);
        }
        Some(begin.elapsed().as_nanos() as f64 / f64::from(*repeat))
    }
}

/// What stands around a run: an empty program in three ways, and compiling.
pub fn overheads(rows: &[Row]) {
    let Some(row) = rows.iter().find(|r| r.is_empty()) else { return };
    let (_session, image, input, _) = ready(row, true);
    let least = |mut f: Box<dyn FnMut() + '_>| {
        let one = |f: &mut Box<dyn FnMut() + '_>| {
            let start = Instant::now();
            (0..1000).for_each(|_| f());
            start.elapsed().as_nanos() as f64 / 1000.0
        };
        (0..50).map(|_| one(&mut f)).fold(f64::INFINITY, f64::min)
    };
    let mut world = World::default();
    let mut run = Session::start(&image, &input, &mut world).expect("a run");
    let again = least(Box::new(|| {
        black_box(jit::run(&image, &mut run).expect("a result"));
    }));
    let mut run = Some(run);
    let restart = least(Box::new(|| {
        let run = run.as_mut().expect("a run");
        run.rerun(&image);
        black_box(jit::run(&image, run).expect("a result"));
    }));
    drop(run);
    let fresh = least(Box::new(|| {
        let mut run = Session::start(&image, &input, &mut world).expect("a run");
        black_box(jit::run(&image, &mut run).expect("a result"));
    }));
    println!("empty program, JIT: {again:.0} ns again, {restart:.0} with restart, {fresh:.0} from input");
    for size in [100, 1000] {
        println!("compile, {size} instructions: {:.1} ns an instruction", compiling(size));
    }
}

/// Straight arithmetic, stack accesses and forward jumps, as compilers mix them.
fn straight(size: usize) -> Program {
    let mut text = String::from("r0 = 1\nr1 = 2\nr2 = 3\nr6 = 4\n");
    for i in 0..(size - 5) / 8 {
        text += "r0 += r1\nr1 ^= 77\n*(u64 *)(r10 -8) = r0\nr2 = *(u32 *)(r10 -8)\nr6 <<= 3\n";
        text += &format!("if r2 > {i} goto l{i}\nr0 -= r6\nl{i}: w1 *= 5\n");
    }
    text += "exit\n";
    Program { insns: isa::asm::assemble(&text).expect("valid text"), prog_type: 6, ..Program::default() }
}

/// The JIT's time for an instruction.
fn compiling(size: usize) -> f64 {
    let program = straight(size);
    let facts = verify(&program, &Profile::default(), &verifier::Options::default()).facts;
    let options = Options { facts, ..Options::default() };
    let mut least = f64::INFINITY;
    for _ in 0..300 {
        let image = Image::new(&program, &mut runtime::Maps::default(), &options).expect("an image");
        let start = Instant::now();
        let compiled = jit::compile(&image).expect("machine code");
        least = least.min(start.elapsed().as_nanos() as f64);
        drop(compiled);
    }
    least / program.insns.len() as f64
}
