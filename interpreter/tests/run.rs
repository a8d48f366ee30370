//! Small programs on the interpreter: control flow, memory checks, calls, tail calls, callbacks, contexts.

use std::sync::Arc;

use program::{MapDef, Program};
use runtime::input::Blob;
use runtime::{Fault, FaultKind, Input, Options, Report, Session, World};

fn map(name: &str, map_type: u32, key: u32, value: u32, entries: u32) -> Arc<MapDef> {
    Arc::new(MapDef {
        name: name.into(),
        map_type,
        key_size: key,
        value_size: value,
        max_entries: entries,
        ..MapDef::default()
    })
}

fn program(prog_type: u32, maps: &[Arc<MapDef>], text: &str) -> Program {
    let insns = isa::asm::assemble(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    Program { name: "main".into(), prog_type, insns, maps: maps.to_vec(), ..Program::default() }
}

const SOCKET_FILTER: u32 = 1;
const SCHED_CLS: u32 = 3;
const XDP: u32 = 6;

fn udp() -> Input {
    let packet = Blob::from_hex(
        "000000000000 000000000000 0800 4500002800010000401166bd0a000001c0a80001 04d2003500140000 6162636465666768696a6b6c",
    );
    Input { packet: packet.expect("hex"), ..Input::default() }
}

fn execute(p: &Program, input: &Input) -> (Result<u64, Fault>, Report) {
    let session = Session::new(std::slice::from_ref(p), &Options::default()).expect("image");
    session.preset(&input.maps).expect("presets");
    let mut world = World::default();
    let image = session.images[0].clone();
    let mut run = Session::start(&image, input, &mut world).expect("context");
    run.set_budget(1_000_000);
    let result = interpreter::run(&image, &mut run);
    let report = Report::of(&run, *result.as_ref().unwrap_or(&0));
    (result, report)
}

fn r0(prog_type: u32, text: &str) -> u64 {
    execute(&program(prog_type, &[], text), &udp()).0.unwrap_or_else(|f| panic!("{f}"))
}

fn fault(prog_type: u32, text: &str) -> Fault {
    execute(&program(prog_type, &[], text), &udp()).0.expect_err("a fault")
}

#[test]
fn arithmetic_and_jumps() {
    assert_eq!(r0(XDP, "r0 = 1\nr1 = 10\nr0 *= 3\nr1 -= 1\nif r1 != 0 goto pc-3\nexit"), 59049);
    assert_eq!(r0(XDP, "r0 = 7\nw0 s/= -2\nexit"), 0xffff_fffd);
    assert_eq!(r0(XDP, "r0 = 0x1122334455667788 ll\nr0 = bswap16 r0\nexit"), 0x8877);
}

#[test]
fn stack_memory_and_atomics() {
    let text = "r1 = 5\n*(u64 *)(r10 -8) = r1\nr2 = 3\nr2 = atomic64_fetch_add((u64 *)(r10 -8), r2)\nr0 = *(u64 *)(r10 -8)\nr0 *= 100\nr0 += r2\nexit";
    assert_eq!(r0(XDP, text), 805);
}

#[test]
fn accesses_outside_of_objects_are_faults() {
    for text in [
        "r0 = *(u64 *)(r10 -520)\nexit",
        "r0 = *(u64 *)(r10 -4)\nexit",
        "r0 = *(u64 *)(r10 +0)\nexit",
        "r1 = 0\nr0 = *(u32 *)(r1 +0)\nexit",
        "r0 = *(u64 *)(r1 +1000)\nexit",
        "*(u32 *)(r1 +0) = r1\nexit",
    ] {
        let f = fault(XDP, text);
        assert!(matches!(*f.kind, FaultKind::Memory { .. }), "{text}: {f}");
    }
    let f = fault(XDP, "r0 = 0\nr0 = *(u64 *)(r10 -520)\nexit");
    assert_eq!(f.pc, 1);
}

#[test]
fn endless_loops_and_wild_jumps_end() {
    assert!(matches!(*fault(XDP, "goto pc-1\nexit").kind, FaultKind::Budget(1_000_000)));
    assert!(matches!(*fault(XDP, "goto pc+7\nexit").kind, FaultKind::Jump(8)));
    assert!(matches!(*fault(XDP, "r0 = 0").kind, FaultKind::Jump(1)));
    assert!(matches!(*fault(XDP, "r0 = 1\ncall pc+0\ncall pc-2\nexit").kind, FaultKind::CallDepth));
}

#[test]
fn packet_pointers_come_through_the_context() {
    let text = "r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +4)\nr4 = r2\nr4 += 14\nif r4 > r3 goto pc+2\nr0 = *(u8 *)(r2 +12)\nexit\nr0 = 0\nexit";
    assert_eq!(r0(XDP, text), 8);
    let text = "r2 = *(u32 *)(r1 +76)\nr0 = *(u16 *)(r2 +53)\nexit";
    assert!(matches!(*fault(SCHED_CLS, text).kind, FaultKind::Memory { .. }), "one byte beyond the packet");
    assert_eq!(r0(SCHED_CLS, "r0 = *(u32 *)(r1 +0)\nexit"), 54);
    assert_eq!(r0(SOCKET_FILTER, "r0 = *(u32 *)(r1 +0)\nexit"), 40);
}

#[test]
fn legacy_packet_loads() {
    assert_eq!(r0(SOCKET_FILTER, "r6 = r1\nr0 = *(u32 *)skb[0]\nexit"), 0x4500_0028);
    assert_eq!(r0(SOCKET_FILTER, "r6 = r1\nr0 = *(u16 *)skb[-2097140]\nexit"), 0x0800);
    assert_eq!(r0(SCHED_CLS, "r6 = r1\nr0 = *(u16 *)skb[-1048576]\nexit"), 0x4500);
    assert_eq!(r0(SOCKET_FILTER, "r6 = r1\nr0 = 9\nr0 = *(u32 *)skb[37]\nr0 = 1\nexit"), 0);
}

#[test]
fn subprograms_have_their_own_frames() {
    let text = "r6 = 4\n*(u64 *)(r10 -8) = r6\nr1 = r10\nr1 += -8\ncall pc+3\nr0 += r6\nr0 += 0\nexit\nr6 = 100\n*(u64 *)(r10 -8) = r6\nr0 = *(u64 *)(r1 +0)\nexit";
    assert_eq!(r0(XDP, text), 8);
}

#[test]
fn map_values_are_bounded_elements() {
    let array = [map("a", 2, 4, 12, 4)];
    let look =
        "*(u32 *)(r10 -4) = 2\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall bpf_map_lookup_elem#1\nif r0 == 0 goto pc+2\n";
    let ok = program(XDP, &array, &format!("{look}*(u32 *)(r0 +8) = 7\nr0 = *(u32 *)(r0 +8)\nexit"));
    assert_eq!(execute(&ok, &udp()).0, Ok(7));
    let bad = program(XDP, &array, &format!("{look}r0 = *(u32 *)(r0 +12)\nr0 = 0\nexit"));
    assert!(matches!(*execute(&bad, &udp()).0.expect_err("fault").kind, FaultKind::Memory { .. }));
}

#[test]
fn tail_calls_stop_after_33() {
    let progs = [map("progs", 3, 4, 4, 1), map("count", 2, 4, 8, 1)];
    let text = "r6 = r1\nr1 = map[1][0]+0\nr2 = *(u64 *)(r1 +0)\nr2 += 1\n*(u64 *)(r1 +0) = r2\nr1 = r6\nr2 = map[0]\nr3 = 0\ncall bpf_tail_call#12\nr1 = map[1][0]+0\nr0 = *(u64 *)(r1 +0)\nexit";
    let p = program(XDP, &progs, &text.replace("map[1][0]+0", "map_value[1, 0]"));
    let session = Session::new(&[p], &Options::default()).expect("image");
    let runtime::map::Store::Programs(slots) = &session.maps.by_name("progs").expect("map").store else { panic!() };
    slots.set(0, &session.images[0]).expect("slot");
    let mut world = World::default();
    let mut run = Session::start(&session.images[0], &udp(), &mut world).expect("context");
    assert_eq!(interpreter::run(&session.images[0], &mut run), Ok(34));
}

#[test]
fn bpf_loop_calls_back() {
    // Adds the index to a stack slot until it is 5.
    let text = "*(u64 *)(r10 -8) = 0\nr1 = 100\nr2 = func pc+9\nr3 = r10\nr3 += -8\nr4 = 0\ncall bpf_loop#181\nr1 = *(u64 *)(r10 -8)\nr0 *= 1000\nr0 += r1\nexit\nr3 = *(u64 *)(r2 +0)\nr3 += r1\n*(u64 *)(r2 +0) = r3\nr0 = 0\nif r1 != 5 goto pc+1\nr0 = 1\nexit";
    assert_eq!(r0(XDP, text), 6015);
}

#[test]
fn unknown_helpers_fault_by_name() {
    let f = fault(XDP, "call bpf_fib_lookup#69\nexit");
    assert_eq!(f.to_string(), "at insn 0: unsupported: helper bpf_fib_lookup#69");
    assert!(fault(XDP, "call bpf_nothing#300\nexit").to_string().contains("which no kernel has"));
}

fn on_maps(maps: &[Arc<MapDef>], text: &str) -> (Result<u64, Fault>, Session) {
    let p = program(XDP, maps, text);
    let session = Session::new(&[p], &Options::default()).expect("image");
    let mut world = World::default();
    let image = session.images[0].clone();
    let mut run = Session::start(&image, &udp(), &mut world).expect("context");
    let result = interpreter::run(&image, &mut run);
    drop(run);
    (result, session)
}

#[test]
fn ring_buffer_records_must_be_given_back() {
    let ring = [map("ring", 27, 0, 0, 4096)];
    let reserve =
        "r1 = map[0]\nr2 = 16\nr3 = 0\ncall bpf_ringbuf_reserve#131\nif r0 != 0 goto pc+1\nexit\n*(u64 *)(r0 +8) = 7\n";
    let submit = format!("{reserve}r6 = r0\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_submit#132\n");
    let (result, session) = on_maps(&ring, &format!("{submit}r0 = 0\nexit"));
    assert_eq!(result, Ok(0));
    assert_eq!(session.contents()["ring"][0].1.to_hex(), "00000000000000000700000000000000");
    let (result, _) = on_maps(&ring, &format!("{reserve}r0 = 0\nexit"));
    assert!(matches!(*result.expect_err("leak").kind, FaultKind::Resource(_)));
    let (result, _) = on_maps(&ring, &format!("{submit}r0 = *(u64 *)(r6 +0)\nexit"));
    assert!(matches!(*result.expect_err("use after submit").kind, FaultKind::Memory { .. }));
    let (result, _) = on_maps(&ring, &format!("{reserve}*(u64 *)(r0 +16) = 7\nr0 = 0\nexit"));
    assert!(matches!(*result.expect_err("overrun").kind, FaultKind::Memory { .. }));
}

#[test]
fn for_each_visits_every_element() {
    // The callback adds key * 10 + value to the context on the stack, and stops at key 2.
    let text = "*(u64 *)(r10 -8) = 0\nr1 = map[0]\nr2 = func pc+8\nr3 = r10\nr3 += -8\nr4 = 0\ncall bpf_for_each_map_elem#164\nr1 = *(u64 *)(r10 -8)\nr0 *= 1000\nr0 += r1\nexit\n                r2 = *(u32 *)(r2 +0)\nr3 = *(u64 *)(r3 +0)\nr5 = r2\nr5 *= 10\nr5 += r3\nr1 = *(u64 *)(r4 +0)\nr1 += r5\n*(u64 *)(r4 +0) = r1\nr0 = 0\nif r2 != 2 goto pc+1\nr0 = 1\nexit";
    let text = text.replace("func pc+8", "func pc+9");
    let (result, _) = on_maps(&[map("a", 2, 4, 8, 5)], &text);
    assert_eq!(result, Ok(3030));
}

#[test]
fn locks_are_taken_once_and_given_back() {
    let values = [map("a", 2, 4, 8, 1)];
    let lock = "r6 = map_value[0, 0]\nr1 = r6\ncall bpf_spin_lock#93\n";
    let unlock = "r1 = r6\ncall bpf_spin_unlock#94\n";
    assert_eq!(on_maps(&values, &format!("{lock}{unlock}r0 = 0\nexit")).0, Ok(0));
    for text in [
        format!("{lock}r0 = 0\nexit"),
        format!("{lock}{lock}{unlock}r0 = 0\nexit"),
        format!("{lock}{unlock}{unlock}exit"),
    ] {
        assert!(matches!(*on_maps(&values, &text).0.expect_err("misuse").kind, FaultKind::Resource(_)), "{text}");
    }
}

#[test]
fn numbers_are_not_maps() {
    let f = fault(XDP, "r1 = 5\nr2 = r10\nr2 += -8\ncall bpf_map_lookup_elem#1\nexit");
    assert_eq!(f.to_string(), "at insn 3: bpf_map_lookup_elem: argument 1: 0x5 is not a map");
}

#[test]
fn unmodelled_maps_fault_by_name() {
    let text = "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall bpf_map_lookup_elem#1\nr0 = 0\nexit";
    let f = on_maps(&[map("socks", 15, 4, 4, 1)], text).0.expect_err("unsupported");
    assert!(f.to_string().contains("unsupported: bpf_map_lookup_elem on map type SOCKMAP (map socks)"), "{f}");
}

#[test]
fn arenas_are_reached_by_offset() {
    let arena = Arc::new(MapDef {
        name: "arena".into(),
        map_type: 33,
        max_entries: 4,
        map_flags: 1 << 10,
        map_extra: 0x1_0000_0000,
        ..MapDef::default()
    });
    // Page 1 exists, page 2 does not: stores there are lost, loads read 0.
    let text = "r1 = map_value[0, 4096]\nr1 = addr_space_cast(r1, 0, 1)\nr2 = 77\n*(u64 *)(r1 +8) = r2\nr0 = *(u64 *)(r1 +8)\n*(u64 *)(r1 +4096) = r2\nr3 = *(u64 *)(r1 +4096)\nr0 *= 10\nr0 += r3\nexit";
    let p = program(XDP, &[arena], text);
    let session = Session::new(&[p], &Options::default()).expect("image");
    let runtime::map::Store::Arena(pages) = &session.maps.by_name("arena").expect("map").store else { panic!() };
    pages.poke(4096, &[0; 8]).expect("page");
    let mut world = World::default();
    let mut run = Session::start(&session.images[0], &udp(), &mut world).expect("context");
    assert_eq!(interpreter::run(&session.images[0], &mut run), Ok(770));
}
