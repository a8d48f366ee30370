//! Programs that fill a verifier's memory: the kernel's answer, in bounds of our own.

use std::sync::Arc;

use program::{MapDef, Program};
use spec::{Errno, MapType, Profile, ProgType};
use verifier::{Options, Verdict, verify};

/// A loop that takes records of a ring buffer without end. Linux 6.18.44 gave up after 298,110 instructions, for want of memory.
#[test]
fn references_without_end() {
    let text =
        "r9 = 0\nr1 = map[0]\nr2 = 8\nr3 = 0\ncall ringbuf_reserve#131\nr9 += 2\nif r9 != 3 goto pc-7\nr0 = 0\nexit\n";
    let ring = MapDef { map_type: MapType::Ringbuf.raw(), max_entries: 4096, ..MapDef::default() };
    let program = Program {
        prog_type: ProgType::Kprobe.raw(),
        license: "GPL".to_owned(),
        insns: isa::asm::assemble(text).expect("a program"),
        maps: vec![Arc::new(ring)],
        ..Program::default()
    };
    let outcome = verify(&program, &Profile::default(), &Options::default());
    assert_eq!((outcome.verdict, outcome.errno), (Verdict::Reject, Errno::ENOMEM.negative()), "{}", outcome.message);
    assert!((250_000..350_000).contains(&outcome.stats.insns_processed), "{}", outcome.stats.insns_processed);
}
