//! BPF_MAP_CREATE: which attributes are accepted, with the errno otherwise, in the kernel's order. What needs the map's BTF
//! (sizes of its types, special fields, STRUCT_OPS values) is the caller's.

use super::MapType::{self, *};
use super::flags::*;
use crate::errno::Errno::{self, E2BIG, EINVAL, ENOTSUPP, EOPNOTSUPP, EPERM, ERANGE};
use crate::profile::{Caps, Config, Profile, Version};
use crate::span::Span;
use program::MapDef;

/// The largest kmalloc.
const KMALLOC_MAX: u64 = 4 << 20;
/// The smallest per-cpu unit.
const PERCPU_MAX: u64 = 32 << 10;
/// The largest value of a local storage: what is left of 64 KiB beside its element.
const STORAGE_MAX: u32 = 65_407;
/// A program's stack.
const MAX_STACK: u32 = 512;
/// Flags that say who may read and write.
const ACCESS: u32 = RDONLY | WRONLY;
const ACCESS_PROG: u32 = ACCESS | RDONLY_PROG | WRONLY_PROG;

/// Who may use bpf(2) at all is asked before anything else, and devmaps ask for CAP_NET_ADMIN before they look at attributes.
const PRIVILEGES_FIRST: Span = Span::ALWAYS.until(6, 12);
/// Elements of hash tables had to fit beside a stack, and their keys on it.
const HASH_BESIDE_STACK: Span = Span::ALWAYS.until(6, 1);
/// An array's value had to be one that kmalloc could give.
const ARRAY_VALUE_KMALLOC: Span = Span::ALWAYS.until(6, 1);
/// A cgroup storage was at most a page.
const CGROUP_STORAGE_PAGE: Span = Span::ALWAYS.until(6, 1);
/// What an LPM trie's node takes beside key and value.
const TRIE_NODE_WITH_RCU: Span = Span::ALWAYS.until(6, 18);

/// That a map cannot be both read-only and write-only is said last.
const ACCESS_CHECKED_LAST: Span = Span::ALWAYS.since(7, 2);
/// A ring buffer may overwrite its oldest records.
const RING_OVERWRITES: Span = Span::ALWAYS.since(6, 19);

/// The attributes of BPF_MAP_CREATE that decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CreateAttr<'a> {
    pub map_type: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub map_flags: u32,
    pub map_extra: u64,
    pub name: &'a str,
    pub btf_key_type_id: u32,
    pub btf_value_type_id: u32,
    pub btf_vmlinux_value_type_id: u32,
    /// The type of the template, for a map-in-map.
    pub inner: Option<u32>,
}

impl<'a> CreateAttr<'a> {
    /// As a loader creates the map of this definition.
    pub fn of(def: &'a MapDef) -> CreateAttr<'a> {
        CreateAttr {
            map_type: def.map_type,
            key_size: def.key_size,
            value_size: def.value_size,
            max_entries: def.max_entries,
            map_flags: def.map_flags,
            map_extra: def.map_extra,
            name: &def.name,
            btf_key_type_id: def.btf_key_type_id,
            btf_value_type_id: def.btf_value_type_id,
            btf_vmlinux_value_type_id: def.btf_vmlinux_value_type_id,
            inner: def.inner.as_ref().map(|inner| inner.map_type),
        }
    }
}

/// Whether such a map can be made. `Err` is the errno of the first check that fails.
pub fn check_create(attr: &CreateAttr<'_>, profile: &Profile) -> Result<(), Errno> {
    let &Profile { version, ref config, caps, .. } = profile;
    let a = CreateAttr { map_flags: attr.map_flags & !TOKEN_FD, ..*attr };
    let usable = ensure(!config.unprivileged_disabled || caps.has_bpf(), EPERM);
    if PRIVILEGES_FIRST.holds(version) {
        usable?;
    }
    let access = ensure(a.map_flags & ACCESS != ACCESS, EINVAL);
    check_common(&a)?;
    if !ACCESS_CHECKED_LAST.holds(version) {
        access?;
    }
    let ty = MapType::from_raw(a.map_type).filter(|ty| profile.has_map(*ty)).ok_or(EINVAL)?;
    early(ty, &a, caps, version)?;
    usable?;
    privileges(ty, caps)?;
    late(ty, &a, config, version)?;
    check_name(a.name)?;
    access
}

fn ensure(ok: bool, errno: Errno) -> Result<(), Errno> {
    if ok { Ok(()) } else { Err(errno) }
}

fn check_common(a: &CreateAttr<'_>) -> Result<(), Errno> {
    let struct_ops = a.map_type == StructOps.raw();
    if a.btf_vmlinux_value_type_id != 0 {
        ensure(struct_ops && a.btf_key_type_id == 0 && a.btf_value_type_id == 0, EINVAL)?;
    } else {
        ensure(a.btf_key_type_id == 0 || a.btf_value_type_id != 0, EINVAL)?;
    }
    ensure(a.map_extra == 0 || matches!(MapType::from_raw(a.map_type), Some(BloomFilter | Arena)), EINVAL)
}

/// Only these flags, and not both of the program-side pair.
fn flags_within(a: &CreateAttr<'_>, allowed: u32) -> Result<(), Errno> {
    let both = RDONLY_PROG | WRONLY_PROG;
    ensure(a.map_flags & !allowed == 0 && a.map_flags & both != both, EINVAL)
}

fn percpu_fits(value_size: u32) -> bool {
    u64::from(value_size).next_multiple_of(8) <= PERCPU_MAX
}

/// The checks before the privileges.
fn early(ty: MapType, a: &CreateAttr<'_>, caps: Caps, version: Version) -> Result<(), Errno> {
    match ty {
        Hash | PercpuHash | LruHash | LruPercpuHash | HashOfMaps => hash_early(ty, a, caps, version),
        Array | PercpuArray | ProgArray | CgroupArray | ArrayOfMaps | PerfEventArray => array_early(ty, a, version),
        ReuseportSockarray => {
            flags_within(a, NUMA_NODE | ACCESS_PROG)?;
            ensure(matches!(a.value_size, 4 | 8) && a.max_entries > 0 && a.key_size == 4, EINVAL)
        }
        Queue | Stack => {
            flags_within(a, NUMA_NODE | ACCESS_PROG)?;
            ensure(a.max_entries > 0 && a.key_size == 0 && a.value_size > 0, EINVAL)?;
            ensure(u64::from(a.value_size) <= KMALLOC_MAX, E2BIG)
        }
        BloomFilter => ensure(u64::from(a.value_size) <= KMALLOC_MAX, E2BIG),
        SkStorage | InodeStorage | TaskStorage | CgrpStorage => {
            ensure(a.map_flags & !(NO_PREALLOC | CLONE) == 0 && a.map_flags & NO_PREALLOC != 0, EINVAL)?;
            ensure(a.max_entries == 0 && a.key_size == 4 && a.value_size > 0, EINVAL)?;
            ensure(a.btf_key_type_id != 0 && a.btf_value_type_id != 0, EINVAL)?;
            ensure(a.value_size <= STORAGE_MAX, E2BIG)
        }
        Devmap | DevmapHash => {
            ensure(!PRIVILEGES_FIRST.holds(version) || caps.has_net_admin(), EPERM)?;
            ensure(a.max_entries > 0 && a.key_size == 4 && matches!(a.value_size, 4 | 8), EINVAL)?;
            ensure(a.map_flags & !(NUMA_NODE | ACCESS) == 0, EINVAL)?;
            ensure(ty == Devmap || a.max_entries <= 1 << 31, EINVAL)
        }
        StructOps => {
            ensure(a.key_size == 4 && a.max_entries == 1 && a.btf_vmlinux_value_type_id != 0, EINVAL)?;
            ensure(a.map_flags & !(LINK | VTYPE_BTF_OBJ_FD) == 0, EINVAL)
        }
        _ => Ok(()),
    }
}

fn hash_early(ty: MapType, a: &CreateAttr<'_>, caps: Caps, version: Version) -> Result<(), Errno> {
    let percpu = matches!(ty, PercpuHash | LruPercpuHash);
    let lru = matches!(ty, LruHash | LruPercpuHash);
    let flag = |f| a.map_flags & f != 0;
    // The value of a map-in-map is an fd.
    ensure(ty != HashOfMaps || a.value_size == 4, EINVAL)?;
    ensure(!flag(ZERO_SEED) || caps.sys_admin, EPERM)?;
    flags_within(a, NO_PREALLOC | NO_COMMON_LRU | NUMA_NODE | ZERO_SEED | ACCESS_PROG)?;
    ensure(lru || !flag(NO_COMMON_LRU), EINVAL)?;
    ensure(!lru || !flag(NO_PREALLOC), ENOTSUPP)?;
    ensure(!flag(NUMA_NODE) || !(percpu || flag(NO_COMMON_LRU)), EINVAL)?;
    ensure(a.max_entries > 0 && a.key_size > 0 && a.value_size > 0, EINVAL)?;
    match HASH_BESIDE_STACK.holds(version) {
        true => {
            ensure(a.key_size <= MAX_STACK && u64::from(a.value_size) < KMALLOC_MAX - 48 - u64::from(MAX_STACK), E2BIG)?
        }
        false => ensure(u64::from(a.key_size) + u64::from(a.value_size) < KMALLOC_MAX - 48, E2BIG)?,
    }
    ensure(!percpu || percpu_fits(a.value_size), E2BIG)
}

fn array_early(ty: MapType, a: &CreateAttr<'_>, version: Version) -> Result<(), Errno> {
    let allowed = match ty {
        Array => NUMA_NODE | ACCESS_PROG | MMAPABLE | INNER_MAP,
        PercpuArray => ACCESS_PROG,
        PerfEventArray => NUMA_NODE | ACCESS | PRESERVE_ELEMS,
        _ => NUMA_NODE | ACCESS,
    };
    if !matches!(ty, Array | PercpuArray) {
        ensure(a.value_size == 4, EINVAL)?;
    }
    ensure(a.max_entries > 0 && a.key_size == 4 && a.value_size > 0, EINVAL)?;
    flags_within(a, allowed)?;
    let largest = if ARRAY_VALUE_KMALLOC.holds(version) { KMALLOC_MAX } else { i32::MAX as u64 };
    ensure(u64::from(a.value_size) <= largest, E2BIG)?;
    ensure(ty != PercpuArray || percpu_fits(a.value_size), E2BIG)
}

fn privileges(ty: MapType, caps: Caps) -> Result<(), Errno> {
    let granted = match ty {
        Sockmap | Sockhash | Devmap | DevmapHash | Xskmap => caps.has_net_admin(),
        SkStorage | InodeStorage | TaskStorage | CgrpStorage | BloomFilter | LpmTrie | ReuseportSockarray
        | StackTrace | Queue | Stack | LruHash | LruPercpuHash | StructOps | Cpumap | Arena => caps.has_bpf(),
        Array | PercpuArray | ProgArray | PerfEventArray | CgroupArray | ArrayOfMaps | Hash | PercpuHash
        | HashOfMaps | Ringbuf | UserRingbuf | CgroupStorage | PercpuCgroupStorage => true,
    };
    ensure(granted, EPERM)
}

/// The checks of the allocation.
fn late(ty: MapType, a: &CreateAttr<'_>, config: &Config, version: Version) -> Result<(), Errno> {
    match ty {
        Hash | PercpuHash | LruHash | LruPercpuHash => ensure(a.max_entries <= 1 << 31, E2BIG),
        ArrayOfMaps => inner_template(a),
        HashOfMaps => {
            inner_template(a)?;
            ensure(a.max_entries <= 1 << 31, E2BIG)
        }
        StackTrace => stack_trace(a, config),
        LpmTrie => {
            ensure(a.map_flags & !(NO_PREALLOC | NUMA_NODE | ACCESS_PROG) == 0, EINVAL)?;
            ensure(a.map_flags & NO_PREALLOC != 0 && a.max_entries > 0, EINVAL)?;
            flags_within(a, u32::MAX)?;
            ensure((5..=260).contains(&a.key_size), EINVAL)?;
            let beside = 256 + if TRIE_NODE_WITH_RCU.holds(version) { 40 } else { 24 };
            ensure(a.value_size > 0 && u64::from(a.value_size) <= KMALLOC_MAX - beside, EINVAL)
        }
        Sockmap | Sockhash => {
            ensure(a.max_entries > 0 && matches!(a.value_size, 4 | 8), EINVAL)?;
            ensure(if ty == Sockmap { a.key_size == 4 } else { a.key_size > 0 }, EINVAL)?;
            ensure(a.map_flags & !(NUMA_NODE | ACCESS) == 0, EINVAL)?;
            ensure(ty == Sockmap || a.key_size <= 512, E2BIG)
        }
        Cpumap => {
            ensure(a.max_entries > 0 && a.key_size == 4 && matches!(a.value_size, 4 | 8), EINVAL)?;
            ensure(a.map_flags & !NUMA_NODE == 0, EINVAL)?;
            ensure(a.max_entries <= config.max_cpus, E2BIG)
        }
        Xskmap => {
            ensure(a.max_entries > 0 && a.key_size == 4 && a.value_size == 4, EINVAL)?;
            ensure(a.map_flags & !(NUMA_NODE | ACCESS) == 0, EINVAL)
        }
        CgroupStorage | PercpuCgroupStorage => {
            let largest = match ty {
                _ if CGROUP_STORAGE_PAGE.holds(version) => config.page_size,
                CgroupStorage => STORAGE_MAX,
                _ => PERCPU_MAX as u32,
            };
            ensure(matches!(a.key_size, 8 | 16) && a.value_size > 0, EINVAL)?;
            ensure(a.value_size <= largest, E2BIG)?;
            flags_within(a, NUMA_NODE | ACCESS_PROG)?;
            ensure(a.max_entries == 0, EINVAL)
        }
        BloomFilter => {
            ensure(a.key_size == 0 && a.value_size > 0 && a.max_entries > 0, EINVAL)?;
            flags_within(a, NUMA_NODE | ZERO_SEED | ACCESS_PROG)?;
            ensure(a.map_extra <= 15, EINVAL)
        }
        Ringbuf | UserRingbuf => {
            let overwrites = ty == Ringbuf && RING_OVERWRITES.holds(version);
            let allowed = if overwrites { NUMA_NODE | RB_OVERWRITE } else { NUMA_NODE };
            ensure(a.map_flags & !allowed == 0 && a.key_size == 0 && a.value_size == 0, EINVAL)?;
            ensure(a.max_entries.is_power_of_two() && a.max_entries.is_multiple_of(config.page_size), EINVAL)
        }
        Arena => arena(a, config),
        Array | PercpuArray | ProgArray | CgroupArray | PerfEventArray | ReuseportSockarray | Queue | Stack
        | SkStorage | InodeStorage | TaskStorage | CgrpStorage | Devmap | DevmapHash | StructOps => Ok(()),
    }
}

fn inner_template(a: &CreateAttr<'_>) -> Result<(), Errno> {
    match MapType::from_raw(a.inner.ok_or(Errno::EBADF)?).ok_or(EINVAL)? {
        ArrayOfMaps | HashOfMaps => Err(EINVAL),
        inner => ensure(super::may_be_inner(inner), ENOTSUPP),
    }
}

fn stack_trace(a: &CreateAttr<'_>, config: &Config) -> Result<(), Errno> {
    ensure(a.map_flags & !(NUMA_NODE | ACCESS | STACK_BUILD_ID) == 0, EINVAL)?;
    let frame = if a.map_flags & STACK_BUILD_ID != 0 { 32 } else { 8 };
    ensure(a.max_entries > 0 && a.key_size == 4 && a.value_size >= 8, EINVAL)?;
    ensure(a.value_size.is_multiple_of(frame) && a.value_size / frame <= config.max_stack, EINVAL)?;
    ensure(a.max_entries <= 1 << 31, E2BIG)
}

fn arena(a: &CreateAttr<'_>, config: &Config) -> Result<(), Errno> {
    ensure(config.jit, EOPNOTSUPP)?;
    ensure(a.key_size == 0 && a.value_size == 0 && a.max_entries > 0, EINVAL)?;
    ensure(a.map_flags & MMAPABLE != 0 && a.map_flags & !(MMAPABLE | SEGV_ON_FAULT | NO_USER_CONV) == 0, EINVAL)?;
    ensure(a.map_extra.is_multiple_of(u64::from(config.page_size)), EINVAL)?;
    let bytes = u64::from(a.max_entries) * u64::from(config.page_size);
    ensure(bytes <= 1 << 32, E2BIG)?;
    ensure(a.map_extra >> 32 == a.map_extra.wrapping_add(bytes - 1) >> 32, ERANGE)
}

fn check_name(name: &str) -> Result<(), Errno> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.';
    ensure(name.len() < 16 && name.bytes().all(good), EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(map_type: MapType, key: u32, value: u32, entries: u32, map_flags: u32) -> Result<(), Errno> {
        let attr = CreateAttr {
            map_type: map_type.raw(),
            key_size: key,
            value_size: value,
            max_entries: entries,
            map_flags,
            btf_key_type_id: 1,
            btf_value_type_id: 2,
            inner: Some(Array.raw()),
            ..CreateAttr::default()
        };
        check_create(&attr, &Profile::default())
    }

    #[test]
    fn limits_that_the_kernel_showed() {
        assert_eq!(check(Hash, 4, 4_194_251, 1, 0), Ok(()));
        assert_eq!(check(Hash, 4, 4_194_252, 1, 0), Err(E2BIG));
        assert_eq!(check(LruHash, 4, 4, 1, NO_PREALLOC), Err(ENOTSUPP));
        assert_eq!(check(PercpuArray, 4, 32_769, 1, 0), Err(E2BIG));
        assert_eq!(check(ProgArray, 4, 8, 1, 0), Err(EINVAL));
        assert_eq!(check(LpmTrie, 260, 4_194_024, 1, NO_PREALLOC), Ok(()));
        assert_eq!(check(LpmTrie, 8, 4, 1, 0), Err(EINVAL));
        assert_eq!(check(StackTrace, 4, 1016, 1, 0), Ok(()));
        assert_eq!(check(StackTrace, 4, 1024, 1, 0), Err(EINVAL));
        assert_eq!(check(Ringbuf, 0, 0, 4096, 0), Ok(()));
        assert_eq!(check(Ringbuf, 0, 0, 4097, 0), Err(EINVAL));
        assert_eq!(check(TaskStorage, 4, 65_408, 0, NO_PREALLOC), Err(E2BIG));
        assert_eq!(check(Arena, 0, 0, 1 << 20, MMAPABLE), Ok(()));
        assert_eq!(check(Arena, 0, 0, (1 << 20) + 1, MMAPABLE), Err(E2BIG));
        assert_eq!(check(Sockhash, 513, 4, 1, 0), Err(E2BIG));
    }

    #[test]
    fn limits_move_from_kernel_to_kernel() {
        let on = |kernel: &str, attr: &CreateAttr<'_>| check_create(attr, &Profile::load(kernel).expect("a profile"));
        let attr = |ty: MapType, key_size, value_size, map_flags| CreateAttr {
            map_type: ty.raw(),
            key_size,
            value_size,
            max_entries: 1,
            map_flags,
            ..CreateAttr::default()
        };
        let long_key = attr(Hash, 513, 4, 0);
        assert_eq!((on("5.10", &long_key), on("6.1", &long_key)), (Err(E2BIG), Ok(())));
        let trie = attr(LpmTrie, 8, 4_194_024, NO_PREALLOC);
        assert_eq!((on("6.12", &trie), on("6.18", &trie)), (Err(EINVAL), Ok(())));
        let bloom = attr(BloomFilter, 0, 4, 0);
        assert_eq!((on("5.10", &bloom), on("6.1", &bloom)), (Err(EINVAL), Ok(())));
        let ring = CreateAttr { max_entries: 4096, ..attr(Ringbuf, 0, 0, RB_OVERWRITE) };
        assert_eq!((on("6.18", &ring), on("7.2", &ring)), (Err(EINVAL), Ok(())));
        let without = |kernel| Profile::load(kernel).expect("a profile").with_caps(Caps::NONE);
        let wrong = attr(Devmap, 1, 4, 0);
        assert_eq!(check_create(&wrong, &without("6.1")), Err(EPERM));
        assert_eq!(check_create(&wrong, &without("6.12")), Err(EINVAL));
    }

    #[test]
    fn order_and_privileges() {
        let attr = |ty: MapType, max_entries| CreateAttr {
            map_type: ty.raw(),
            key_size: 4,
            value_size: 4,
            max_entries,
            ..CreateAttr::default()
        };
        let with = |a: &CreateAttr<'_>, caps| check_create(a, &Profile::default().with_caps(caps));
        let bpf = Caps { bpf: true, ..Caps::NONE };
        assert_eq!(with(&attr(Array, 1), Caps::NONE), Err(EPERM));
        assert_eq!(with(&attr(Array, 0), Caps::NONE), Err(EINVAL));
        assert_eq!(with(&attr(Sockmap, 1), bpf), Err(EPERM));
        assert_eq!(with(&attr(Sockmap, 1), Caps { net_admin: true, ..bpf }), Ok(()));
        assert_eq!(with(&CreateAttr { name: "bad name", ..attr(Array, 1) }, bpf), Err(EINVAL));
        assert_eq!(with(&CreateAttr { map_type: 34, ..attr(Array, 1) }, bpf), Err(EINVAL));
        assert_eq!(with(&CreateAttr { inner: None, ..attr(ArrayOfMaps, 1) }, bpf), Err(Errno::EBADF));
    }
}
