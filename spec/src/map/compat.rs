//! What goes together with a map type: helpers, programs, value fields, callbacks, direct values.

use super::MapType;
use crate::helper::HelperId;
use crate::profile::Version;
use crate::prog::{ProgType, is_tracing_type};
use crate::span::Span;

use MapType::*;

/// Helper numbers that map types are bound to.
mod id {
    pub const MAP_LOOKUP_ELEM: u32 = 1;
    pub const MAP_UPDATE_ELEM: u32 = 2;
    pub const MAP_DELETE_ELEM: u32 = 3;
    pub const TAIL_CALL: u32 = 12;
    pub const PERF_EVENT_READ: u32 = 22;
    pub const PERF_EVENT_OUTPUT: u32 = 25;
    pub const GET_STACKID: u32 = 27;
    pub const SKB_UNDER_CGROUP: u32 = 33;
    pub const CURRENT_TASK_UNDER_CGROUP: u32 = 37;
    pub const REDIRECT_MAP: u32 = 51;
    pub const SK_REDIRECT_MAP: u32 = 52;
    pub const SOCK_MAP_UPDATE: u32 = 53;
    pub const PERF_EVENT_READ_VALUE: u32 = 55;
    pub const MSG_REDIRECT_MAP: u32 = 60;
    pub const SOCK_HASH_UPDATE: u32 = 70;
    pub const MSG_REDIRECT_HASH: u32 = 71;
    pub const SK_REDIRECT_HASH: u32 = 72;
    pub const GET_LOCAL_STORAGE: u32 = 81;
    pub const SK_SELECT_REUSEPORT: u32 = 82;
    pub const MAP_PUSH_ELEM: u32 = 87;
    pub const MAP_POP_ELEM: u32 = 88;
    pub const MAP_PEEK_ELEM: u32 = 89;
    pub const SK_STORAGE_GET: u32 = 107;
    pub const SK_STORAGE_DELETE: u32 = 108;
    pub const SKB_OUTPUT: u32 = 111;
    pub const XDP_OUTPUT: u32 = 121;
    pub const RINGBUF_OUTPUT: u32 = 130;
    pub const RINGBUF_RESERVE: u32 = 131;
    pub const RINGBUF_QUERY: u32 = 134;
    pub const INODE_STORAGE_GET: u32 = 145;
    pub const INODE_STORAGE_DELETE: u32 = 146;
    pub const TASK_STORAGE_GET: u32 = 156;
    pub const TASK_STORAGE_DELETE: u32 = 157;
    pub const KPTR_XCHG: u32 = 194;
    pub const MAP_LOOKUP_PERCPU_ELEM: u32 = 195;
    pub const RINGBUF_RESERVE_DYNPTR: u32 = 198;
    pub const RINGBUF_SUBMIT_DYNPTR: u32 = 199;
    pub const RINGBUF_DISCARD_DYNPTR: u32 = 200;
    pub const USER_RINGBUF_DRAIN: u32 = 209;
    pub const CGRP_STORAGE_GET: u32 = 210;
    pub const CGRP_STORAGE_DELETE: u32 = 211;
}

const RINGBUF_HELPERS: &[HelperId] = &[
    id::RINGBUF_OUTPUT,
    id::RINGBUF_RESERVE,
    id::RINGBUF_QUERY,
    id::RINGBUF_RESERVE_DYNPTR,
    id::RINGBUF_SUBMIT_DYNPTR,
    id::RINGBUF_DISCARD_DYNPTR,
];
const PERF_HELPERS: &[HelperId] =
    &[id::PERF_EVENT_READ, id::PERF_EVENT_OUTPUT, id::SKB_OUTPUT, id::PERF_EVENT_READ_VALUE, id::XDP_OUTPUT];

/// The helpers that may be given a map of this type; `None` is no restriction from the map's side.
fn helpers_for(ty: MapType) -> Option<&'static [HelperId]> {
    Some(match ty {
        ProgArray => &[id::TAIL_CALL],
        PerfEventArray => PERF_HELPERS,
        Ringbuf => RINGBUF_HELPERS,
        UserRingbuf => &[id::USER_RINGBUF_DRAIN],
        StackTrace => &[id::GET_STACKID],
        CgroupArray => &[id::SKB_UNDER_CGROUP, id::CURRENT_TASK_UNDER_CGROUP],
        CgroupStorage | PercpuCgroupStorage => &[id::GET_LOCAL_STORAGE],
        Devmap | DevmapHash | Xskmap => &[id::REDIRECT_MAP, id::MAP_LOOKUP_ELEM],
        Cpumap => &[id::REDIRECT_MAP],
        ArrayOfMaps | HashOfMaps => &[id::MAP_LOOKUP_ELEM],
        Sockmap => &[
            id::SK_REDIRECT_MAP,
            id::SOCK_MAP_UPDATE,
            id::MSG_REDIRECT_MAP,
            id::SK_SELECT_REUSEPORT,
            id::MAP_LOOKUP_ELEM,
            id::MAP_UPDATE_ELEM,
            id::MAP_DELETE_ELEM,
        ],
        Sockhash => &[
            id::SK_REDIRECT_HASH,
            id::SOCK_HASH_UPDATE,
            id::MSG_REDIRECT_HASH,
            id::SK_SELECT_REUSEPORT,
            id::MAP_LOOKUP_ELEM,
            id::MAP_UPDATE_ELEM,
            id::MAP_DELETE_ELEM,
        ],
        ReuseportSockarray => &[id::SK_SELECT_REUSEPORT],
        Queue | Stack => &[id::MAP_PEEK_ELEM, id::MAP_POP_ELEM, id::MAP_PUSH_ELEM],
        BloomFilter => &[id::MAP_PEEK_ELEM, id::MAP_PUSH_ELEM],
        SkStorage => &[id::SK_STORAGE_GET, id::SK_STORAGE_DELETE, id::KPTR_XCHG],
        InodeStorage => &[id::INODE_STORAGE_GET, id::INODE_STORAGE_DELETE, id::KPTR_XCHG],
        TaskStorage => &[id::TASK_STORAGE_GET, id::TASK_STORAGE_DELETE, id::KPTR_XCHG],
        CgrpStorage => &[id::CGRP_STORAGE_GET, id::CGRP_STORAGE_DELETE, id::KPTR_XCHG],
        Hash | Array | PercpuHash | PercpuArray | LruHash | LruPercpuHash | LpmTrie | StructOps | Arena => return None,
    })
}

/// The map types that a helper takes; `None` is no restriction from the helper's side.
fn maps_for(helper: HelperId) -> Option<&'static [MapType]> {
    Some(match helper {
        id::TAIL_CALL => &[ProgArray],
        h if PERF_HELPERS.contains(&h) => &[PerfEventArray],
        h if RINGBUF_HELPERS.contains(&h) => &[Ringbuf],
        id::USER_RINGBUF_DRAIN => &[UserRingbuf],
        id::GET_STACKID => &[StackTrace],
        id::CURRENT_TASK_UNDER_CGROUP | id::SKB_UNDER_CGROUP => &[CgroupArray],
        id::REDIRECT_MAP => &[Devmap, DevmapHash, Cpumap, Xskmap],
        id::SK_REDIRECT_MAP | id::MSG_REDIRECT_MAP | id::SOCK_MAP_UPDATE => &[Sockmap],
        id::SK_REDIRECT_HASH | id::MSG_REDIRECT_HASH | id::SOCK_HASH_UPDATE => &[Sockhash],
        id::GET_LOCAL_STORAGE => &[CgroupStorage, PercpuCgroupStorage],
        id::SK_SELECT_REUSEPORT => &[ReuseportSockarray, Sockmap, Sockhash],
        id::MAP_POP_ELEM => &[Queue, Stack],
        id::MAP_PEEK_ELEM | id::MAP_PUSH_ELEM => &[Queue, Stack, BloomFilter],
        id::MAP_LOOKUP_PERCPU_ELEM => &[PercpuArray, PercpuHash, LruPercpuHash],
        id::SK_STORAGE_GET | id::SK_STORAGE_DELETE => &[SkStorage],
        id::INODE_STORAGE_GET | id::INODE_STORAGE_DELETE => &[InodeStorage],
        id::TASK_STORAGE_GET | id::TASK_STORAGE_DELETE => &[TaskStorage],
        id::CGRP_STORAGE_GET | id::CGRP_STORAGE_DELETE => &[CgrpStorage],
        _ => return None,
    })
}

/// Whether a map of this type may be given to this helper (`cannot pass map_type`). For SOCKMAP and SOCKHASH with
/// map_update_elem and map_delete_elem, [`crate::prog::may_update_sockmap`] decides as well.
pub fn helper_accepts(ty: MapType, helper: HelperId) -> bool {
    helpers_for(ty).is_none_or(|helpers| helpers.contains(&helper))
        && maps_for(helper).is_none_or(|maps| maps.contains(&ty))
}

/// Whether a sleepable program may use maps of this type.
pub fn sleepable_may_use(ty: MapType, version: Version) -> bool {
    let since = |major, minor| Span::ALWAYS.since(major, minor).holds(version);
    match ty {
        Hash | LruHash | Array => true,
        PercpuHash | PercpuArray | LruPercpuHash | ArrayOfMaps | HashOfMaps | Ringbuf | UserRingbuf | InodeStorage
        | SkStorage | TaskStorage | CgrpStorage => since(6, 1),
        Queue | Stack | Arena => since(6, 12),
        ProgArray | LpmTrie => since(7, 2),
        _ => false,
    }
}

/// for_each_map_elem.
pub fn supports_callback(ty: MapType) -> bool {
    matches!(ty, Hash | LruHash | PercpuHash | LruPercpuHash | Array | PercpuArray)
}

/// ldimm64 with a value's address.
pub fn supports_direct_value(ty: MapType) -> bool {
    matches!(ty, Array | Arena)
}

/// Whether BPF_MAP_FREEZE is possible for the type (a map with special fields cannot be frozen either).
pub fn may_freeze(ty: MapType) -> bool {
    ty != StructOps
}

/// Whether a map of this type may be the template of a map-in-map.
pub fn may_be_inner(ty: MapType) -> bool {
    !matches!(ty, ProgArray | CgroupStorage | PercpuCgroupStorage | StructOps | ArrayOfMaps | HashOfMaps)
}

/// The kernel's object behind a `map_ptr` of this type; `None` where loads through it are refused.
pub fn object_struct(ty: MapType) -> Option<&'static str> {
    Some(match ty {
        Hash | PercpuHash | LruHash | LruPercpuHash | HashOfMaps => "bpf_htab",
        Array | PercpuArray | ProgArray | PerfEventArray | CgroupArray | ArrayOfMaps => "bpf_array",
        LpmTrie => "lpm_trie",
        StackTrace => "bpf_stack_map",
        Queue | Stack => "bpf_queue_stack",
        BloomFilter => "bpf_bloom_filter",
        Ringbuf | UserRingbuf => "bpf_ringbuf_map",
        Devmap | DevmapHash => "bpf_dtab",
        Cpumap => "bpf_cpu_map",
        Xskmap => "xsk_map",
        Sockmap => "bpf_stab",
        Sockhash => "bpf_shtab",
        ReuseportSockarray => "reuseport_array",
        CgroupStorage | PercpuCgroupStorage => "bpf_cgroup_storage_map",
        SkStorage | InodeStorage | TaskStorage | CgrpStorage => "bpf_local_storage_map",
        StructOps => "bpf_struct_ops_map",
        Arena => "bpf_arena",
    })
}

/// Special fields in a map's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FieldKind {
    SpinLock,
    ResSpinLock,
    Timer,
    Workqueue,
    TaskWork,
    KptrUnref,
    KptrRef,
    KptrPercpu,
    Uptr,
    ListHead,
    ListNode,
    RbRoot,
    RbNode,
    Refcount,
}

/// Whether values of this map type may hold such a field (else EOPNOTSUPP at creation).
pub fn may_hold(ty: MapType, field: FieldKind) -> bool {
    use FieldKind::*;
    let local_storage = matches!(ty, SkStorage | InodeStorage | TaskStorage | CgrpStorage);
    match field {
        SpinLock | ResSpinLock => local_storage || matches!(ty, Hash | Array | CgroupStorage),
        Timer | Workqueue | TaskWork | ListHead | RbRoot => matches!(ty, Hash | LruHash | Array),
        KptrUnref | KptrRef | KptrPercpu | Refcount => {
            local_storage || matches!(ty, Hash | PercpuHash | LruHash | LruPercpuHash | Array | PercpuArray)
        }
        Uptr => ty == TaskStorage,
        ListNode | RbNode => false,
    }
}

/// What a program of this type may not use; the text says it to the user.
pub fn program_refuses(ty: ProgType, fields: &[FieldKind]) -> Option<&'static str> {
    use FieldKind::*;
    let has = |kinds: &[FieldKind]| fields.iter().any(|f| kinds.contains(f));
    let tracing = is_tracing_type(ty);
    if tracing && has(&[ListHead, RbRoot]) {
        Some("tracing progs cannot use bpf_{list_head,rb_root} yet")
    } else if ty == ProgType::SocketFilter && has(&[SpinLock, ResSpinLock]) {
        Some("socket filter progs cannot use bpf_spin_lock yet")
    } else if tracing && has(&[SpinLock, ResSpinLock]) {
        Some("tracing progs cannot use bpf_spin_lock yet")
    } else if tracing && has(&[Timer]) {
        Some("tracing progs cannot use bpf_timer yet")
    } else if tracing && has(&[Workqueue]) {
        Some("tracing progs cannot use bpf_wq yet")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_and_maps_agree_from_both_sides() {
        assert!(helper_accepts(Hash, id::MAP_LOOKUP_ELEM) && helper_accepts(Array, id::MAP_UPDATE_ELEM));
        assert!(helper_accepts(ProgArray, id::TAIL_CALL) && !helper_accepts(Array, id::TAIL_CALL));
        assert!(!helper_accepts(ProgArray, id::MAP_LOOKUP_ELEM));
        assert!(helper_accepts(Xskmap, id::MAP_LOOKUP_ELEM) && !helper_accepts(Cpumap, id::MAP_LOOKUP_ELEM));
        assert!(helper_accepts(Sockhash, id::SK_SELECT_REUSEPORT) && !helper_accepts(Sockhash, id::SK_REDIRECT_MAP));
        assert!(helper_accepts(BloomFilter, id::MAP_PEEK_ELEM) && !helper_accepts(BloomFilter, id::MAP_POP_ELEM));
        assert!(helper_accepts(TaskStorage, id::KPTR_XCHG) && !helper_accepts(TaskStorage, id::SK_STORAGE_GET));
        assert!(!helper_accepts(Hash, id::MAP_LOOKUP_PERCPU_ELEM));
    }

    #[test]
    fn helper_numbers_are_those_of_the_table() {
        let name = |id| crate::helper::by_id(id).map(|h| h.name);
        assert_eq!(name(id::CGRP_STORAGE_DELETE), Some("cgrp_storage_delete"));
        assert_eq!(name(id::USER_RINGBUF_DRAIN), Some("user_ringbuf_drain"));
        assert_eq!(name(id::XDP_OUTPUT), Some("xdp_output"));
        assert_eq!(name(id::SK_SELECT_REUSEPORT), Some("sk_select_reuseport"));
        assert_eq!(name(id::MSG_REDIRECT_HASH), Some("msg_redirect_hash"));
        assert_eq!(name(id::KPTR_XCHG), Some("kptr_xchg"));
    }

    #[test]
    fn fields_by_map_and_program() {
        use FieldKind::*;
        assert!(may_hold(LruHash, Timer) && !may_hold(PercpuHash, Timer) && !may_hold(Hash, RbNode));
        assert!(may_hold(TaskStorage, Uptr) && !may_hold(SkStorage, Uptr));
        assert_eq!(program_refuses(ProgType::Xdp, &[SpinLock, Timer]), None);
        assert!(program_refuses(ProgType::SocketFilter, &[SpinLock]).is_some_and(|t| t.starts_with("socket")));
        assert!(program_refuses(ProgType::Kprobe, &[Timer, ListHead]).is_some_and(|t| t.contains("list_head")));
        assert_eq!(program_refuses(ProgType::Lsm, &[Timer]), None);
    }
}
