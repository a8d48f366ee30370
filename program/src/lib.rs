//! What reaches `bpf(2)`: a program with its maps, BTF and load attributes, as data. Shared by loader (makes it), verifier (judges
//! it), runtime (runs it) and kernel-diff (loads it). No parsing of files, no judgement, no syscalls.

use std::sync::Arc;

pub use isa::Insn;

pub mod facts;

/// One program as `BPF_PROG_LOAD` would get it. Numbers are those of `union bpf_attr`; unknown values are kept, not refused.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Name for people: the function's name, not cut to 15 bytes.
    pub name: String,
    /// ELF section, empty when the program did not come from an object.
    pub section: String,
    pub prog_type: u32,
    pub expected_attach_type: u32,
    /// `prog_flags`: BPF_F_STRICT_ALIGNMENT, BPF_F_SLEEPABLE, ...
    pub flags: u32,
    pub license: String,
    pub kern_version: u32,
    /// BTF type id in the kernel's BTF.
    pub attach_btf_id: u32,
    /// What the section name says the program attaches to, empty when it says nothing: `sched/sched_switch`, `tcp_v4_connect`.
    pub attach_to: String,
    /// Slots. `lddw` with src 1/2 (map fd / map value) has an index into `maps` as imm, -1 for a missing map, except at the
    /// slots in `raw_fd_insns`, whose imm is a deliberately wrong number and stays one.
    pub insns: Vec<Insn>,
    pub raw_fd_insns: Vec<u32>,
    /// Shared by all programs of an object, so that an engine can tell that two programs use the same map.
    pub maps: Vec<Arc<MapDef>>,
    /// All maps of the object that the program comes from, in the order in which loaders make them: the object fails with the first that
    /// cannot be made, whichever program uses it. Empty for a program without an object, and to ask about the program alone.
    pub object_maps: Arc<[Arc<MapDef>]>,
    /// The program's own BTF (not the kernel's).
    pub btf: Option<Arc<btf::Btf>>,
    pub func_info: InfoTable,
    pub line_info: InfoTable,
}

/// func_info or line_info as given to the kernel: raw records of `rec_size` bytes each. Kept raw because malformed tables are
/// something the verifier has an answer for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InfoTable {
    pub rec_size: u32,
    pub bytes: Vec<u8>,
}

impl InfoTable {
    /// The records as rows of little-endian words; the tail of a record beyond its last whole word is dropped.
    pub fn rows(&self) -> impl Iterator<Item = Vec<u32>> + '_ {
        let rec = self.rec_size.max(4) as usize;
        self.bytes
            .chunks_exact(rec)
            .map(|r| r.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect())
    }
}

/// A map as `BPF_MAP_CREATE` would get it, with the contents that a loader puts in before the program runs.
#[derive(Clone, Debug, Default)]
pub struct MapDef {
    /// As the kernel is told: at most 15 bytes.
    pub name: String,
    /// The name in the object, which `slots` go by; empty when the map did not come from an object.
    pub full_name: String,
    pub map_type: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub map_flags: u32,
    pub map_extra: u64,
    /// Counts when `map_flags` has BPF_F_NUMA_NODE.
    pub numa_node: u32,
    pub btf: Option<Arc<btf::Btf>>,
    pub btf_key_type_id: u32,
    pub btf_value_type_id: u32,
    pub btf_vmlinux_value_type_id: u32,
    pub frozen: bool,
    /// Contents of element 0: .rodata, .data, .bss, .kconfig.
    pub value0: Option<Vec<u8>>,
    /// Template of a map-in-map.
    pub inner: Option<Arc<MapDef>>,
    /// Static initialisers: slot -> map or program of the same object, by name.
    pub slots: Vec<(u32, SlotInit)>,
    /// LIBBPF_PIN_BY_NAME.
    pub pin_by_name: bool,
    /// Made by somebody without CAP_PERFMON.
    pub unprivileged: bool,
}

/// What a statically initialised slot of a prog array, map-in-map or instruction array holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotInit {
    Map(String),
    Program(String),
    /// A place in the program, counted from its first instruction.
    Insn(u32),
}
