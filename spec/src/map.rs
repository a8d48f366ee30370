//! Map types: numbers, names, flags. What may be created is in `map::create`, what goes together with which program, helper and
//! field in `map::compat`, what values hold in `map::record`, what types keys and values may have in `map::typed`.

use crate::numbered::numbered;

mod compat;
mod create;
mod record;
mod typed;

pub use compat::*;
pub use create::*;
pub use record::*;
pub use typed::*;

numbered! {
    /// `enum bpf_map_type` of 6.18.
    pub enum MapType: "BPF_MAP_TYPE_" {
        Hash = 1 "HASH", Array = 2 "ARRAY", ProgArray = 3 "PROG_ARRAY", PerfEventArray = 4 "PERF_EVENT_ARRAY",
        PercpuHash = 5 "PERCPU_HASH", PercpuArray = 6 "PERCPU_ARRAY", StackTrace = 7 "STACK_TRACE",
        CgroupArray = 8 "CGROUP_ARRAY", LruHash = 9 "LRU_HASH", LruPercpuHash = 10 "LRU_PERCPU_HASH",
        LpmTrie = 11 "LPM_TRIE", ArrayOfMaps = 12 "ARRAY_OF_MAPS", HashOfMaps = 13 "HASH_OF_MAPS", Devmap = 14 "DEVMAP",
        Sockmap = 15 "SOCKMAP", Cpumap = 16 "CPUMAP", Xskmap = 17 "XSKMAP", Sockhash = 18 "SOCKHASH",
        CgroupStorage = 19 "CGROUP_STORAGE", ReuseportSockarray = 20 "REUSEPORT_SOCKARRAY",
        PercpuCgroupStorage = 21 "PERCPU_CGROUP_STORAGE", Queue = 22 "QUEUE", Stack = 23 "STACK",
        SkStorage = 24 "SK_STORAGE", DevmapHash = 25 "DEVMAP_HASH", StructOps = 26 "STRUCT_OPS", Ringbuf = 27 "RINGBUF",
        InodeStorage = 28 "INODE_STORAGE", TaskStorage = 29 "TASK_STORAGE", BloomFilter = 30 "BLOOM_FILTER",
        UserRingbuf = 31 "USER_RINGBUF", CgrpStorage = 32 "CGRP_STORAGE", Arena = 33 "ARENA",
    }
}

/// `map_flags`.
pub mod flags {
    pub const NO_PREALLOC: u32 = 1 << 0;
    pub const NO_COMMON_LRU: u32 = 1 << 1;
    pub const NUMA_NODE: u32 = 1 << 2;
    pub const RDONLY: u32 = 1 << 3;
    pub const WRONLY: u32 = 1 << 4;
    pub const STACK_BUILD_ID: u32 = 1 << 5;
    pub const ZERO_SEED: u32 = 1 << 6;
    pub const RDONLY_PROG: u32 = 1 << 7;
    pub const WRONLY_PROG: u32 = 1 << 8;
    pub const CLONE: u32 = 1 << 9;
    pub const MMAPABLE: u32 = 1 << 10;
    pub const PRESERVE_ELEMS: u32 = 1 << 11;
    pub const INNER_MAP: u32 = 1 << 12;
    pub const LINK: u32 = 1 << 13;
    pub const PATH_FD: u32 = 1 << 14;
    pub const VTYPE_BTF_OBJ_FD: u32 = 1 << 15;
    pub const TOKEN_FD: u32 = 1 << 16;
    pub const SEGV_ON_FAULT: u32 = 1 << 17;
    pub const NO_USER_CONV: u32 = 1 << 18;
    pub const RB_OVERWRITE: u32 = 1 << 19;

    /// Names by bit number.
    pub const NAMES: [&str; 20] = [
        "NO_PREALLOC",
        "NO_COMMON_LRU",
        "NUMA_NODE",
        "RDONLY",
        "WRONLY",
        "STACK_BUILD_ID",
        "ZERO_SEED",
        "RDONLY_PROG",
        "WRONLY_PROG",
        "CLONE",
        "MMAPABLE",
        "PRESERVE_ELEMS",
        "INNER_MAP",
        "LINK",
        "PATH_FD",
        "VTYPE_BTF_OBJ_FD",
        "TOKEN_FD",
        "SEGV_ON_FAULT",
        "NO_USER_CONV",
        "RB_OVERWRITE",
    ];
}
