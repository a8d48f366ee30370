//! Counters of older kernels: how far they walked, how many states they stored and kept. Recorded answers are in
//! `answers/counters.txt`.

use program::Program;
use spec::Profile;
use verifier::{Options, verify};

fn insns(hex: &str) -> Vec<isa::Insn> {
    let byte = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex");
    let bytes: Vec<u8> = (0..hex.len() / 2).map(byte).collect();
    bytes.chunks_exact(8).map(|c| isa::Insn::from_bytes(c.try_into().expect("eight bytes"))).collect()
}

#[test]
fn older_kernels_count_as_recorded() {
    let mut compared = 0;
    for line in include_str!("answers/counters.txt").lines().filter(|l| !l.starts_with('#')) {
        let mut words: Vec<&str> = line.split(' ').collect();
        let program = Program {
            prog_type: spec::ProgType::SocketFilter.raw(),
            license: "GPL".to_owned(),
            insns: insns(words.pop().expect("instructions")),
            flags: words[0].parse().expect("flags"),
            ..Program::default()
        };
        for (kernel, answer) in words[1..].iter().filter_map(|w| w.split_once('=')) {
            let mut profile = Profile::load(kernel).expect("in the source tree");
            profile.modelled = true;
            let o = verify(&program, &profile, &Options::default());
            let s = &o.stats;
            let ours = format!("{}:{}/{}/{}", o.errno, s.insns_processed, s.total_states, s.peak_states);
            assert_eq!(ours, answer, "Linux {kernel}: {line}");
            compared += 1;
        }
    }
    assert!(compared > 10);
}
