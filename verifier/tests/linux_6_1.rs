//! What Linux 6.1.192 says where newer kernels say something else, as its verifier answered.

use isa::Insn;
use program::{InfoTable, MapDef, Program};
use spec::Profile;
use std::sync::Arc;
use verifier::{Options, verify};

const SOCKET_FILTER: u32 = 1;

/// BTF in which type 3 is a static function `f` that takes nothing and gives an `int`.
fn types() -> btf::Btf {
    let words: [u32; 10] = [1, 0x0100_0000, 4, 0x0100_0020, 0, 0x0d00_0000, 1, 5, 0x0c00_0000, 2];
    let strings = b"\0int\0f\0";
    let header: [u32; 6] = [0x0001_eb9f, 24, 0, 40, 40, strings.len() as u32];
    let mut raw: Vec<u8> = header.iter().chain(&words).flat_map(|w| w.to_le_bytes()).collect();
    raw.extend(strings);
    btf::Btf::parse(&raw).expect("well-formed")
}

/// What both kernels say last. The program has a function at its start and one at `callback`.
fn last_words(prog_type: u32, insns: &[(u8, u8, u8, i16, i32)], callback: u32, maps: &[u32]) -> [String; 2] {
    let insns = insns.iter().map(|&(code, dst, src, off, imm)| Insn { code, dst, src, off, imm }).collect();
    let map = |ty: &u32| MapDef { map_type: *ty, key_size: 4, value_size: 8, max_entries: 1, ..MapDef::default() };
    let maps = maps.iter().map(|ty| Arc::new(map(ty))).collect();
    let bytes = [0, 3, callback, 3].iter().flat_map(|w| w.to_le_bytes()).collect();
    let func_info = InfoTable { rec_size: 8, bytes };
    let license = "GPL".to_owned();
    let btf = Some(Arc::new(types()));
    let p = Program { license, prog_type, insns, maps, btf, func_info, ..Program::default() };
    ["6.1", "6.12"].map(|kernel| {
        let mut profile = Profile::load(kernel).expect("in the source tree");
        profile.modelled = true;
        let o = verify(&p, &profile, &Options { log_level: 0 });
        o.message.lines().last().unwrap_or("accepted").to_owned()
    })
}

#[test]
fn what_a_callback_wants_exact_ends_at_its_call() {
    // bpf_loop(2, callback, NULL, 0); the callback adds its index to a pointer.
    let insns = [
        (0xb7, 1, 0, 0, 2),
        (0x18, 2, 4, 0, 6),
        (0, 0, 0, 0, 0),
        (0xb7, 3, 0, 0, 0),
        (0xb7, 4, 0, 0, 0),
        (0x85, 0, 0, 0, 181),
        (0xb7, 0, 0, 0, 0),
        (0x95, 0, 0, 0, 0),
        (0xbf, 3, 10, 0, 0),
        (0x57, 1, 0, 0, 7),
        (0x0f, 3, 1, 0, 0),
        (0xb7, 0, 0, 0, 0),
        (0x95, 0, 0, 0, 0),
    ];
    assert_eq!(last_words(SOCKET_FILTER, &insns, 8, &[]), ["accepted", "accepted"]);
}

#[test]
fn one_call_walks_the_elements_of_one_map() {
    // bpf_for_each_map_elem(random ? hash : array, callback, NULL, 0).
    let insns = [
        (0x85, 0, 0, 0, 7),
        (0x18, 1, 1, 0, 0),
        (0, 0, 0, 0, 0),
        (0x15, 0, 0, 2, 0),
        (0x18, 1, 1, 0, 1),
        (0, 0, 0, 0, 0),
        (0x18, 2, 4, 0, 6),
        (0, 0, 0, 0, 0),
        (0xb7, 3, 0, 0, 0),
        (0xb7, 4, 0, 0, 0),
        (0x85, 0, 0, 0, 164),
        (0xb7, 0, 0, 0, 0),
        (0x95, 0, 0, 0, 0),
        (0xb7, 0, 0, 0, 0),
        (0x95, 0, 0, 0, 0),
    ];
    assert_eq!(last_words(SOCKET_FILTER, &insns, 13, &[2, 1]), ["tail_call abusing map_ptr", "accepted"]);
}
