//! Programs that no verifier has seen: whatever the instructions, the interpreter answers with a result or a fault, and never panics or touches
//! memory outside of the run's regions.

use std::sync::Arc;

use isa::Insn;
use program::{MapDef, Program};
use proptest::prelude::*;
use runtime::input::Blob;
use runtime::{Input, Options, Session, World};

/// One map of every type that a program can reach.
fn maps() -> Vec<Arc<MapDef>> {
    let def = |map_type, key_size, value_size, max_entries, map_flags| {
        Arc::new(MapDef {
            name: format!("m{map_type}"),
            map_type,
            key_size,
            value_size,
            max_entries,
            map_flags,
            ..MapDef::default()
        })
    };
    vec![
        def(1, 4, 8, 4, 0),
        def(2, 4, 8, 4, 0),
        def(3, 4, 4, 4, 0),
        def(4, 4, 4, 4, 0),
        def(5, 4, 8, 4, 0),
        def(6, 4, 8, 4, 0),
        def(7, 4, 64, 4, 0),
        def(9, 4, 8, 4, 0),
        def(11, 8, 8, 4, 1),
        def(12, 4, 4, 4, 0),
        def(14, 4, 4, 4, 0),
        def(15, 4, 4, 4, 0),
        def(22, 0, 8, 4, 0),
        def(27, 0, 0, 4096, 0),
        def(29, 4, 8, 0, 1),
        def(30, 0, 8, 4, 0),
        def(31, 0, 0, 4096, 0),
        def(33, 0, 0, 4, 1 << 10),
    ]
}

/// Instructions biased to what gets somewhere: helper calls with plausible arguments, memory near pointers, short jumps.
fn insn() -> impl Strategy<Value = Vec<Insn>> {
    let reg = 0u8..11;
    let bytes = any::<[u8; 8]>().prop_map(|b| vec![Insn::from_bytes(b)]);
    let alu = (0u8..14, any::<bool>(), any::<bool>(), reg.clone(), reg.clone(), -20i32..20).prop_map(
        |(op, x, wide, dst, src, imm)| {
            vec![Insn {
                code: op << 4 | u8::from(x) << 3 | if wide { 7 } else { 4 },
                dst,
                src: if x { src } else { 0 },
                off: 0,
                imm: if x { 0 } else { imm },
            }]
        },
    );
    let mem = (0usize..3, 0u8..4, reg.clone(), reg.clone(), -40i16..40, any::<i32>()).prop_map(
        |(class, size, dst, src, off, imm)| {
            vec![Insn {
                code: 0x60 | [1, 2, 3][class] | size << 3,
                dst,
                src: if class == 1 { 0 } else { src },
                off,
                imm: if class == 1 { imm } else { 0 },
            }]
        },
    );
    let jump = (1u8..14, any::<bool>(), reg.clone(), reg.clone(), -6i16..8, -3i32..3).prop_map(
        |(op, x, dst, src, off, imm)| {
            vec![Insn {
                code: op << 4 | u8::from(x) << 3 | 5,
                dst,
                src: if x { src } else { 0 },
                off,
                imm: if x { 0 } else { imm },
            }]
        },
    );
    let call = (1i32..212).prop_map(|imm| vec![Insn { code: 0x85, imm, ..Insn::default() }]);
    let local = (-6i32..8).prop_map(|imm| vec![Insn { code: 0x85, src: 1, imm, ..Insn::default() }]);
    let map = (1u8..6, 0i32..18, 0i32..16).prop_map(|(dst, index, off)| {
        let value = index % 3 == 0;
        vec![
            Insn { code: 0x18, dst, src: if value { 2 } else { 1 }, off: 0, imm: index },
            Insn { imm: if value { off } else { 0 }, ..Insn::default() },
        ]
    });
    let func =
        (1u8..6, -5i32..8).prop_map(|(dst, imm)| vec![Insn { code: 0x18, dst, src: 4, off: 0, imm }, Insn::default()]);
    let stack = (1u8..6, -64i32..0).prop_map(|(dst, imm)| {
        vec![Insn { code: 0xbf, dst, src: 10, ..Insn::default() }, Insn { code: 0x07, dst, imm, ..Insn::default() }]
    });
    let context = (1u8..7).prop_map(|dst| vec![Insn { code: 0xbf, dst, src: 6, ..Insn::default() }]);
    let small = (1u8..6, 0i32..70).prop_map(|(dst, imm)| vec![Insn { code: 0xb7, dst, imm, ..Insn::default() }]);
    prop_oneof![1 => bytes, 2 => alu, 3 => mem, 1 => jump, 6 => call, 1 => local, 3 => map, 1 => func, 4 => stack, 3 => context, 3 => small]
}

fn programs() -> impl Strategy<Value = (u32, Vec<Insn>)> {
    let types = prop::sample::select(vec![1u32, 2, 3, 5, 6, 8, 10, 13, 17, 22, 25, 26, 29, 30, 31, 32]);
    (types, prop::collection::vec(insn(), 1..40)).prop_map(|(prog_type, parts)| {
        let mut insns = vec![Insn { code: 0xbf, dst: 6, src: 1, ..Insn::default() }];
        insns.extend(parts.into_iter().flatten());
        insns.push(Insn { code: 0x95, ..Insn::default() });
        (prog_type, insns)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_program_gets_out((prog_type, insns) in programs()) {
        let program = Program { prog_type, insns, maps: maps(), ..Program::default() };
        // A map index that does not exist is refused when lowering.
        if let Ok(session) = Session::new(&[program], &Options::default()) {
            let input = Input { packet: Blob((0..60).collect()), record: Blob(vec![1; 32]), ..Input::default() };
            let mut world = World::default();
            let image = &session.images[0];
            // Types whose context needs more than this input has are refused there.
            if let Ok(mut run) = Session::start(image, &input, &mut world) {
                run.set_budget(5_000);
                let _ = interpreter::run(image, &mut run);
            }
            let _ = session.contents();
        }
    }
}
