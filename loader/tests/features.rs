//! What `objects/features.bpf.c` asks of a loader, checked piece by piece. Equality with libbpf on many objects is `libbpf.rs`'
//! matter.

use btf::{Btf, Editor, Kind};
use loader::{Object, Options};
use program::{Program, SlotInit};

const OBJECT: &[u8] = include_bytes!("objects/features.bpf.o");

fn options() -> Options {
    Options {
        object_name: "features".into(),
        kernel_version: 6 << 16 | 18 << 8 | 44,
        kconfig: Some("# comment\nCONFIG_BPF_JIT=y\nCONFIG_HZ=250\n".into()),
        ..Options::default()
    }
}

fn object() -> Object {
    loader::open(OBJECT, &options()).unwrap()
}

/// struct task { long pad; int pid; }; void vfs_read(void)
fn kernel() -> Btf {
    let mut e = Editor::empty();
    let (long, int) = (e.add_string("long"), e.add_string("int"));
    let long = e.add_type(long, Kind::Int, 0, 8, &[1 << 24 | 64]);
    let int = e.add_type(int, Kind::Int, 0, 4, &[1 << 24 | 32]);
    let (task, pad, pid) = (e.add_string("task"), e.add_string("pad"), e.add_string("pid"));
    e.add_type(task, Kind::Struct, 2, 16, &[pad, long, 0, pid, int, 64]);
    let proto = e.add_type(0, Kind::FuncProto, 0, 0, &[]);
    let name = e.add_string("vfs_read");
    e.add_type(name, Kind::Func, 0, proto, &[]);
    e.finish().unwrap()
}

fn link(name: &str) -> Program {
    let object = object();
    let index = object.programs.iter().position(|p| p.name == name).unwrap();
    object.program(index, Some(&kernel())).unwrap()
}

fn map_of(program: &Program, slot: usize) -> &str {
    &program.maps[program.insns[slot].imm as usize].full_name
}

#[test]
fn entries_and_their_sections() {
    let object = object();
    let rows: Vec<_> = object
        .programs
        .iter()
        .map(|p| (p.name.as_str(), p.section.as_str(), p.autoload, p.prog_type, p.expected_attach_type, p.flags))
        .collect();
    assert_eq!(
        rows,
        [
            ("dispatch", "tc", true, 3, 0, 0),
            ("calls", "tc", true, 3, 0, 0),
            ("reads_maps", "xdp.frags", false, 6, 37, 32),
            ("attaches", "fentry/vfs_read", true, 26, 24, 0),
        ]
    );
    assert_eq!(object.license, "Dual MIT/GPL");
    assert_eq!(object.kern_version, 0x06122c);
    assert_eq!(object.btf_refused, None);
}

#[test]
fn called_functions_follow_in_order_of_first_mention() {
    let p = link("calls");
    // 36 slots of its own, then each (6), middle (7), leaf (9).
    assert_eq!(p.insns.len(), 36 + 6 + 7 + 9);
    let funcs: Vec<_> = p.func_info.rows().map(|r| r[0]).collect();
    assert_eq!(funcs, [0, 36, 42, 49]);
    // bpf_loop's callback: address of a function, relative.
    assert_eq!((p.insns[7].code, p.insns[7].src, p.insns[7].imm), (0x18, 4, 36 - 7 - 1));
    let target = |slot: usize| slot as i32 + 1 + p.insns[slot].imm;
    assert_eq!((target(24), target(27), target(42)), (42, 49, 49));
    assert!(p.line_info.rows().map(|r| r[0]).is_sorted());
    // A weak function that the kernel lacks: address 0, and a call that must not be reached.
    assert_eq!((p.insns[11].imm, p.insns[12].imm), (0, 0));
    let poisoned = p.insns.iter().filter(|i| i.code == 0x85 && i.imm >= 2_002_000_000).count();
    assert_eq!(poisoned, 1);
    assert_eq!(map_of(&p, 2), ".rodata");
    assert_eq!(map_of(&p, 29), ".rodata.text");
    assert_eq!(map_of(&p, 53), ".data");
    assert_eq!(p.insns[54].imm, 0);
}

#[test]
fn maps_as_the_kernel_is_told() {
    let object = object();
    let map = |name: &str| object.maps.iter().find(|m| m.full_name == name).unwrap();
    let outer = map("outer");
    let inner = outer.inner.as_ref().unwrap();
    assert_eq!((inner.map_type, inner.value_size, inner.max_entries), (2, 8, 4));
    assert_eq!(outer.slots, [(1, SlotInit::Map("inner_map".into()))]);
    assert_eq!(map("jumps").slots, [(2, SlotInit::Program("dispatch".into()))]);
    let pinned = map("pinned_with_a_long_name");
    assert_eq!((pinned.name.as_str(), pinned.pin_by_name, pinned.value_size), ("pinned_with_a_l", true, 16));
    assert_eq!(map("bloom").map_extra, 5);
    assert_eq!(map("ring").max_entries, 8192);
    let rodata = map(".rodata");
    assert_eq!((rodata.name.as_str(), rodata.map_flags, rodata.frozen), ("features.rodata", 0x480, true));
    assert_eq!(rodata.value0.as_deref(), Some(&[7, 0, 0, 0][..]));
    assert_eq!(map(".rodata.text").name, ".rodata.text");
    assert_eq!((map(".bss").value_size, map(".bss").value0.clone()), (8, None));
    // u64 CONFIG_HZ first, then u32 version, then bool.
    let mut kconfig = 250u64.to_le_bytes().to_vec();
    kconfig.extend_from_slice(&0x06122c_u32.to_le_bytes());
    kconfig.push(1);
    assert_eq!(map(".kconfig").value0, Some(kconfig));
}

#[test]
fn maps_of_a_program_are_those_it_reaches() {
    let p = link("reads_maps");
    let names: Vec<_> = p.maps.iter().map(|m| m.full_name.as_str()).collect();
    assert_eq!(names, ["inner_map", "outer", "pinned_with_a_long_name", ".kconfig"]);
    assert_eq!(link("dispatch").maps.len(), 1);
}

#[test]
fn field_existence_depends_on_the_kernel() {
    let p = link("reads_maps");
    // exists(pid) is 1, exists(gone) is 0: both end up as immediates of moves, in this order.
    let ones = p.insns.iter().filter(|i| i.code == 0xb4 && i.imm == 1).count();
    assert!(ones >= 1);
    let object = object();
    let index = object.programs.iter().position(|p| p.name == "reads_maps").unwrap();
    let empty = Editor::empty();
    let mut none = empty.clone();
    let name = none.add_string("other");
    none.add_type(name, Kind::Struct, 0, 0, &[]);
    let without = object.program(index, Some(&none.finish().unwrap())).unwrap();
    let changed = p.insns.iter().zip(&without.insns).filter(|(a, b)| a != b).count();
    assert_eq!(changed, 1, "only exists(pid) differs");
    let error = object.program(index, None).unwrap_err().to_string();
    assert!(error.contains("needs the target kernel's BTF"), "{error}");
}

#[test]
fn attach_targets_are_looked_up() {
    let p = link("attaches");
    assert_eq!((p.attach_btf_id, p.attach_to.as_str()), (5, "vfs_read"));
    let object = object();
    let index = object.programs.iter().position(|p| p.name == "attaches").unwrap();
    let mut other = Editor::empty();
    let name = other.add_string("other");
    other.add_type(name, Kind::Struct, 0, 0, &[]);
    let error = object.program(index, Some(&other.finish().unwrap())).unwrap_err().to_string();
    assert!(error.contains("`vfs_read`"), "{error}");
}

#[test]
fn hidden_functions_are_static_to_the_kernel() {
    let object = object();
    let btf = object.btf.as_ref().unwrap();
    let leaf = btf.find(Kind::Func, "leaf").unwrap();
    assert_eq!(btf.ty(leaf).unwrap().func_linkage(), Some(btf::FuncLinkage::Static));
    let data = btf.find(Kind::Datasec, ".data").unwrap();
    assert_eq!(btf.ty(data).unwrap().size(), Some(24));
}

fn preset(settings: &[&str]) -> Result<Object, String> {
    let presets = settings.iter().map(|s| s.to_string()).collect();
    loader::open(OBJECT, &Options { presets, ..options() }).map_err(|e| e.to_string())
}

#[test]
fn presets_set_variables() {
    let object = preset(&["limit=0x10", "text=\"xyz\"", "pairs[1].b[0]=77", "counter=-1"]).unwrap();
    let value = |name: &str| object.maps.iter().find(|m| m.full_name == name).unwrap().value0.clone().unwrap();
    assert_eq!(value(".rodata"), [16, 0, 0, 0]);
    assert_eq!(value(".rodata.text"), *b"xyz\0\0\0\0\0");
    assert_eq!(value(".data")[16..20], [77, 0, 0, 0]);
    assert_eq!(value(".bss"), [0xff; 8]);
    for (setting, why) in [
        ("limit", "NAME=VALUE"),
        ("limit=x", "no number"),
        ("limit=4294967296", "does not fit"),
        ("absent=1", "no global variable"),
        ("pairs[2].a=1", "past the end"),
        ("text=12345678", "needs 9 bytes"),
        ("pairs=1", "is an array"),
    ] {
        let error = preset(&[setting]).unwrap_err();
        assert!(error.contains(why), "{setting}: {error}");
    }
}

#[test]
fn strong_configuration_must_be_known() {
    let error = loader::open(OBJECT, &Options { kconfig: None, ..options() }).unwrap_err().to_string();
    assert_eq!(error, "extern `CONFIG_BPF_JIT`: (strong) needs the kernel configuration");
    let module = Options { kconfig: Some("CONFIG_BPF_JIT=m\n".into()), ..options() };
    assert!(loader::open(OBJECT, &module).unwrap_err().to_string().contains("declared bool"));
}
