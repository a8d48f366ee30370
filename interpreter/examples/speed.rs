//! Nanoseconds per instruction of the interpreter on three loops: registers only, stack copies, map lookups. `cargo run --release --example speed`.

use std::sync::Arc;
use std::time::Instant;

use program::{MapDef, Program};
use runtime::input::Blob;
use runtime::{Input, Options, Session, World};

const REGISTERS: &str =
    "r0 = 1\nr1 = 100000\nr0 *= 3\nr2 = r0\nr2 >>= 7\nr0 ^= r2\nr0 += r1\nr1 -= 1\nif r1 != 0 goto pc-7\nexit";
const STACK: &str = "r0 = 0\nr1 = 100000\n*(u64 *)(r10 -8) = r1\nr2 = *(u64 *)(r10 -8)\n*(u32 *)(r10 -16) = r2\nr3 = *(u8 *)(r10 -16)\nr0 += r3\nr1 -= 1\nif r1 != 0 goto pc-7\nexit";
const LOOKUP: &str = "r6 = 20000\nr7 = 0\n*(u32 *)(r10 -4) = 2\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall bpf_map_lookup_elem#1\nif r0 == 0 goto pc+2\nr1 = *(u64 *)(r0 +0)\nr7 += r1\nr6 -= 1\nif r6 != 0 goto pc-11\nr0 = r7\nexit";

fn main() {
    for (name, text, per_loop, loops) in
        [("registers", REGISTERS, 7, 100_000u32), ("stack", STACK, 7, 100_000), ("lookup", LOOKUP, 10, 20_000)]
    {
        let def = |map_type| {
            Arc::new(MapDef {
                name: "m".into(),
                map_type,
                key_size: 4,
                value_size: 16,
                max_entries: 16,
                ..MapDef::default()
            })
        };
        for map_type in if name == "lookup" { vec![2, 1] } else { vec![2] } {
            let insns = isa::asm::assemble(text).expect("assembles");
            let program = Program { prog_type: 6, insns, maps: vec![def(map_type)], ..Program::default() };
            let session = Session::new(&[program], &Options::default()).expect("image");
            if let Some(map) = session.maps.iter().next() {
                map.put(&2u32.to_le_bytes(), &[1; 16], 0).expect("put");
            }
            let input = Input { packet: Blob(vec![0; 64]), ..Input::default() };
            let image = &session.images[0];
            let mut world = World::default();
            let mut best = f64::MAX;
            for _ in 0..7 {
                let mut run = Session::start(image, &input, &mut world).expect("run");
                let start = Instant::now();
                interpreter::run(image, &mut run).expect("result");
                best = best.min(start.elapsed().as_nanos() as f64);
            }
            println!(
                "{name} (map type {map_type}): {:.2} ns per instruction",
                best / f64::from(loops) / f64::from(per_loop)
            );
        }
    }
}
