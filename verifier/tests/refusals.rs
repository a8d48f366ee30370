//! Words and counters that random programs once showed to be wrong, and that `answers/` cannot hold because they need BTF, another
//! log level or an arena. The expected texts are those of Linux 6.18.44.

use btf::Kind;
use isa::Insn;
use program::{InfoTable, MapDef, Program};
use spec::Profile;
use std::sync::Arc;
use verifier::{Options, Outcome, verify};

fn listing(text: &str) -> Program {
    let insns = isa::asm::assemble(&text.replace(" | ", "\n")).unwrap_or_else(|e| panic!("{e}\n{text}"));
    Program { license: "GPL".to_owned(), prog_type: 1, insns, ..Program::default() }
}

fn judge(p: &Program, log_level: u32) -> Outcome {
    verify(p, &Profile::default(), &Options { log_level })
}

#[test]
fn statistics_count_functions_found_before_the_refusal() {
    let mut p = listing("r0 = 0 | r0 = 0 | exit");
    p.insns[1] = Insn { code: 0x85, dst: 0, src: 1, off: 0, imm: 100 };
    let log = judge(&p, 4).log;
    assert!(log.starts_with("call to invalid destination\nstack depth 0\nprocessed 0 insns"), "{log}");
}

#[test]
fn unknown_types_of_a_cast_print_signed() {
    let profile = Profile::default();
    let cast = profile.btf().find_by_name_kind("bpf_rdonly_cast", Kind::Func).expect("a kfunc of this kernel");
    let mut p = listing("r1 = 0 | r2 = -115 | r0 = 0 | exit");
    p.prog_type = 5;
    p.insns[2] = Insn { code: 0x85, dst: 0, src: 2, off: 0, imm: cast as i32 };
    let out = judge(&p, 0);
    assert_eq!(out.message.lines().last(), Some("Unknown type ID -115 passed to kfunc bpf_rdonly_cast"));
}

/// BTF with `int main(void)` (type 3) and `int g(int x)` (type 5), both global.
fn two_global_functions() -> btf::Btf {
    let strings = b"\0int\0main\0g\0x\0";
    let int = [1, 1 << 24, 4, (1 << 24) | 32];
    let main = [0, 13 << 24, 1, 5, (12 << 24) | 1, 2];
    let g = [0, (13 << 24) | 1, 1, 12, 1, 10, (12 << 24) | 1, 4];
    let types: Vec<u8> = [&int[..], &main, &g].concat().into_iter().flat_map(u32::to_le_bytes).collect();
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    for w in [24, 0, types.len(), types.len(), strings.len()] {
        bytes.extend((w as u32).to_le_bytes());
    }
    bytes.extend(types);
    bytes.extend(strings);
    btf::Btf::parse(&bytes).expect("BTF")
}

#[test]
fn global_functions_return_scalars() {
    let mut p = listing("r1 = 1 | r0 = 0 | r0 = 0 | exit | r0 = r10 | exit");
    p.insns[1] = Insn { code: 0x85, dst: 0, src: 1, off: 0, imm: 2 };
    p.btf = Some(Arc::new(two_global_functions()));
    p.func_info = InfoTable { rec_size: 8, bytes: [0u32, 3, 4, 5].into_iter().flat_map(u32::to_le_bytes).collect() };
    let out = judge(&p, 0);
    assert_eq!(out.message.lines().last(), Some("At subprogram exit the register R0 is not a scalar value (fp)"));
}

#[test]
fn addresses_in_an_arena_are_the_users() {
    let mut p = listing("r1 = 0x0 | r0 = 0 | exit");
    p.insns[0].src = isa::consts::BPF_PSEUDO_MAP_VALUE;
    p.insns[1].imm = 8;
    p.prog_type = 31;
    p.flags = 16;
    // BPF_F_MMAPABLE; an arena has neither keys nor values.
    p.maps = vec![Arc::new(MapDef {
        map_type: 33,
        max_entries: 10,
        map_flags: 1 << 10,
        map_extra: 1 << 44,
        ..MapDef::default()
    })];
    let out = judge(&p, 2);
    assert!(out.log.contains("0: (18) r1 = 0x100000000008"), "{}", out.log);
}
