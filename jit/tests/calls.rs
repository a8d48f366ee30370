//! Helpers, callbacks, tail calls and maps, in both engines.

mod common;

use std::sync::Arc;

use common::{CTX_BYTES, context};
use program::{MapDef, Program};
use runtime::map::Store;
use runtime::{Fault, FaultKind, Image, MAX_TAIL_CALLS, Maps, Options, Run, World};
use spec::ProgType;

type Engine = fn(&Arc<Image>, &mut Run<'_>) -> Result<u64, Fault>;

const ENGINES: [Engine; 2] = [interpreter::run, jit::run];

fn map(map_type: u32, value_size: u32, max_entries: u32) -> Arc<MapDef> {
    Arc::new(MapDef { name: "m".into(), map_type, key_size: 4, value_size, max_entries, ..MapDef::default() })
}

fn program(text: &str, map: &Arc<MapDef>) -> Program {
    Program {
        insns: isa::asm::assemble(text).unwrap_or_else(|e| panic!("{e}")),
        prog_type: ProgType::Syscall as u32,
        maps: vec![map.clone()],
        ..Program::default()
    }
}

/// Both engines on fresh maps; they must agree.
fn run(text: &str, def: &Arc<MapDef>) -> Result<u64, Fault> {
    let [a, b] = ENGINES.map(|engine| {
        let image = Image::new(&program(text, def), &mut Maps::default(), &Options::default()).expect("an image");
        let mut world = World::default();
        let mut run = Run::new(&image, &mut world, context()).expect("memory");
        run.set_budget(1_000_000);
        (engine(&image, &mut run).map_err(without_address), run.depth(), run.ctx.bytes())
    });
    assert_eq!(a, b, "{text}");
    assert_eq!(b.1, 0);
    b.0
}

/// Maps of two runs lie at different addresses; where in them an access went is in the fault's words.
fn without_address(mut fault: Fault) -> Fault {
    if let FaultKind::Memory { addr, .. } = &mut *fault.kind
        && *addr > 4096
    {
        *addr = 1;
    }
    fault
}

const LOOKUP: &str = "
    *(u32 *)(r10 -4) = 3
    r1 = map[0]
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem#1
    if r0 == 0 goto out";

#[test]
fn map_values_are_reached_through_checked_accesses() {
    let array = map(2, 16, 8);
    let good = format!(
        "{LOOKUP}\n *(u64 *)(r0 +8) = 5\n lock *(u64 *)(r0 +8) += r0\n r1 = 7\n r1 = atomic_xchg((u32 *)(r0 +0), r1)\n r0 = *(u32 *)(r0 +0)\n out: exit"
    );
    assert_eq!(run(&good, &array), Ok(7));
    for off in [9, 12, -4] {
        let bad = format!("{LOOKUP}\n r1 = *(u64 *)(r0 +0)\n r1 = *(u64 *)(r0 {off:+})\n out: exit");
        let fault = run(&bad, &array).expect_err("outside of the value");
        assert!(matches!(*fault.kind, FaultKind::Memory { .. }), "{fault}");
        assert_eq!(fault.pc, 8, "{bad}");
    }
}

#[test]
fn arguments_and_results_of_helpers() {
    let hash = map(1, 8, 8);
    let text = "
        r6 = 6\n r7 = 7\n r8 = 8\n r9 = 9
        *(u32 *)(r10 -4) = 11
        *(u64 *)(r10 -16) = 1234
        r1 = map[0]\n r2 = r10\n r2 += -4\n r3 = r10\n r3 += -16\n r4 = 0
        call bpf_map_update_elem#2
        if r0 != 0 goto out
        r1 = map[0]\n r2 = r10\n r2 += -4
        call bpf_map_lookup_elem#1
        if r0 == 0 goto out
        r0 = *(u64 *)(r0 +0)
        r0 += r6\n r0 += r7\n r0 += r8\n r0 += r9
      out:
        exit";
    assert_eq!(run(text, &hash), Ok(1234 + 30));
    assert_eq!(
        run("call bpf_get_prandom_u32#7\n r6 = r0\n call bpf_get_prandom_u32#7\n r0 ^= r6\n exit", &hash)
            .map(|r| r != 0),
        Ok(true)
    );
}

#[test]
fn memory_that_a_helper_frees_is_not_remembered() {
    let text = "
        *(u32 *)(r10 -4) = 11
        *(u64 *)(r10 -16) = 1234
        r1 = map[0]\n r2 = r10\n r2 += -4\n r3 = r10\n r3 += -16\n r4 = 0
        call bpf_map_update_elem#2
        r1 = map[0]\n r2 = r10\n r2 += -4
        call bpf_map_lookup_elem#1
        r6 = r0
        r7 = *(u64 *)(r6 +0)
        r1 = map[0]\n r2 = r10\n r2 += -4
        call bpf_map_delete_elem#3
        r0 = *(u64 *)(r6 +0)
        exit";
    // Freed elements stay readable until they are used again, as under RCU; either way both engines say the same.
    let _ = run(text, &map(1, 8, 8));
}

#[test]
fn callbacks_run_in_machine_code() {
    let text = "
        *(u64 *)(r10 -8) = 0
        r6 = 600
        r1 = 10\n r2 = func body\n r3 = r10\n r3 += -8\n r4 = 0
        call bpf_loop#181
        r1 = *(u64 *)(r10 -8)
        r0 += r1
        r0 += r6
        exit
      body:
        r6 = *(u64 *)(r2 +0)
        r6 += r1
        *(u64 *)(r2 +0) = r6
        r0 = 0
        if r1 != 7 goto go_on
        r0 = 1
      go_on:
        exit";
    // Eight rounds, 0 + 1 + ... + 7, and the caller's r6.
    assert_eq!(run(text, &map(2, 8, 1)), Ok(8 + 28 + 600));
}

#[test]
fn a_fault_in_a_callback_ends_everything() {
    let text = "
        r1 = 10\n r2 = func body\n r3 = 0\n r4 = 0
        call bpf_loop#181
        r0 = 5
        exit
      body:
        r0 = *(u64 *)(r2 +0)
        exit";
    let fault = run(text, &map(2, 8, 1)).expect_err("a null pointer");
    assert_eq!(fault.pc, 8);
    assert!(matches!(*fault.kind, FaultKind::Memory { addr: 0, .. }));
}

#[test]
fn endless_callbacks_end_with_the_budget() {
    let text = "r1 = 8000000\n r2 = func body\n r3 = 0\n r4 = 0\n call bpf_loop#181\n exit\n body: l: goto l";
    let [a, b] = ENGINES.map(|engine| {
        let def = map(2, 8, 1);
        let image = Image::new(&program(text, &def), &mut Maps::default(), &Options::default()).expect("an image");
        let mut world = World::default();
        let mut run = Run::new(&image, &mut world, context()).expect("memory");
        run.set_budget(10_000);
        *engine(&image, &mut run).expect_err("no end").kind
    });
    assert_eq!(a, b);
    assert_eq!(b, FaultKind::Budget(10_000));
}

/// A program that calls slot 0 of the map after adding 1 to the context's first word, and one that it may call.
fn tail_calls(text: &str, target: Option<&str>) -> Vec<(Result<u64, Fault>, u64)> {
    ENGINES
        .iter()
        .map(|engine| {
            let def = map(3, 4, 2);
            let mut maps = Maps::default();
            let image = Image::new(&program(text, &def), &mut maps, &Options::default()).expect("an image");
            let other =
                target.map(|t| Image::new(&program(t, &def), &mut maps, &Options::default()).expect("an image"));
            let Store::Programs(slots) = &image.maps[0].store else { panic!("not a program array") };
            slots.set(0, other.as_ref().unwrap_or(&image)).expect("a slot");
            let mut world = World::default();
            let mut run = Run::new(&image, &mut world, context()).expect("memory");
            run.ctx.set_bytes(0, &[0; CTX_BYTES as usize]);
            let result = engine(&image, &mut run);
            (result, u64::from(run.ctx.u32_at(0)))
        })
        .collect()
}

#[test]
fn tail_calls_end_after_the_limit() {
    let text = "
        r2 = *(u32 *)(r1 +0)\n r2 += 1\n *(u32 *)(r1 +0) = r2
        r2 = map[0]\n r3 = 0
        call bpf_tail_call#12
        r0 = 44
        exit";
    for outcome in tail_calls(text, None) {
        assert_eq!(outcome, (Ok(44), u64::from(MAX_TAIL_CALLS) + 1));
    }
}

#[test]
fn a_tail_call_in_a_subprogram_returns_to_its_caller() {
    let text = "
        r6 = 100
        call f
        r6 += r0
        r1 = 3\n r2 = func body\n r3 = 0\n r4 = 0
        call bpf_loop#181
        r0 += r6
        exit
      body:
        r0 = 0
        exit
      f:
        r2 = map[0]\n r3 = 0
        call bpf_tail_call#12
        r0 = 44
        exit";
    let target = "r6 = 1\n r7 = 2\n *(u32 *)(r1 +0) = 9\n r0 = 5\n exit";
    for outcome in tail_calls(text, Some(target)) {
        // The caller's own calls are its own again.
        assert_eq!(outcome, (Ok(108), 9));
    }
}

#[test]
fn a_failed_tail_call_goes_on() {
    let text = "r0 = 3\n r2 = map[0]\n r3 = 1\n call bpf_tail_call#12\n r0 += 1\n exit";
    for outcome in tail_calls(text, None) {
        assert_eq!(outcome, (Ok(4), 0));
    }
}

#[test]
fn arena_pointers_are_cast_and_reach_pages_that_exist() {
    let arena = Arc::new(MapDef {
        name: "a".into(),
        map_type: 33,
        max_entries: 2,
        map_flags: 1 << 10,
        map_extra: 0x1234_0000_0000,
        ..MapDef::default()
    });
    let cast = |value: &str, to: &str| format!("r6 = map[0]\n r1 = {value}\n r0 = addr_space_cast(r1, {to})\n exit");
    assert_eq!(run(&cast("0x77", "1, 0"), &arena), Ok(0x1234_0000_0077));
    assert_eq!(run(&cast("0x9900000000", "1, 0"), &arena), Ok(0));
    assert_eq!(run(&cast("0x123400000077", "0, 1"), &arena), Ok(0x77));
    // No page has been allocated: stores are lost, loads and atomics find 0.
    let text = "
        r6 = map[0]
        r1 = 0x123400000010
        r1 = addr_space_cast(r1, 0, 1)
        *(u64 *)(r1 +0) = 5
        r0 = *(u64 *)(r1 +0)
        r2 = 3
        r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)
        r0 += r2
        exit";
    assert_eq!(run(text, &arena), Ok(0));
}
