//! BPF_MAP_CREATE: for each type a map that works, then one attribute after the other at and around its limits, each flag, and the
//! same with fewer capabilities. Maps with BTF and STRUCT_OPS are asked only as far as that needs no BTF.

use std::os::fd::AsRawFd;

use anyhow::{Result, anyhow};
use spec::map::{self, CreateAttr, MapType};
use spec::profile::Caps;
use spec::{Errno, Profile};

use super::Tally;
use super::sys::Kernel;

const KEYS: [u32; 14] = [0, 1, 3, 4, 5, 8, 12, 16, 17, 260, 261, 512, 513, 1 << 23];
const VALUES: [u32; 31] = [
    0,
    1,
    2,
    4,
    7,
    8,
    12,
    16,
    24,
    32,
    48,
    1016,
    1024,
    4064,
    4096,
    4097,
    32_768,
    32_769,
    65_407,
    65_408,
    4_193_743,
    4_193_744,
    4_194_008,
    4_194_009,
    4_194_024,
    4_194_025,
    4_194_251,
    4_194_252,
    4_194_304,
    4_194_305,
    1 << 31,
];
const ENTRIES: [u32; 10] = [0, 1, 2, 3, 255, 256, 4095, 4096, 4097, 8192];
/// Nobody may read, nobody may write.
const CONFLICT: u32 = map::flags::RDONLY | map::flags::WRONLY;
const EXTRAS: [u64; 5] = [1, 15, 16, 4096, (1 << 32) - 4096];

pub fn compare(kernel: &mut Kernel, profile: &Profile) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut host = profile.clone();
    host.config.max_cpus = largest_cpumap(kernel)?;
    let inner_attr = working(MapType::Array);
    let inner = kernel.create_map(&inner_attr, None).map_err(|e| anyhow!("cannot make an array: errno {e}"))?;
    let inner_fd = inner.as_raw_fd();
    let reduced = [
        Caps::ALL,
        Caps { sys_admin: false, ..Caps::ALL },
        Caps { sys_admin: false, net_admin: false, ..Caps::ALL },
        Caps::NONE,
    ];
    for raw in 0..=34 {
        let Some(ty) = MapType::from_raw(raw) else {
            let attr = CreateAttr { map_type: raw, ..inner_attr };
            let kernels = kernel.create_map(&attr, None).err();
            tally.compare(|| format!("type {raw}"), Some(Errno::EINVAL.raw() as i32), kernels);
            continue;
        };
        for attr in variations(&working(ty)) {
            for caps in reduced {
                if attr.btf_value_type_id != 0 && attr.map_flags & CONFLICT == CONFLICT {
                    tally.undecided("which of two mistakes is seen first, one of them in BTF");
                    continue;
                }
                let with_inner = attr.inner.map(|_| inner_fd);
                let kernels = kernel.with_caps(caps, |k| Ok(k.create_map(&attr, with_inner).err()))?;
                if kernels == Some(Errno::ENOMEM.raw() as i32) {
                    tally.undecided("out of memory");
                    continue;
                }
                let mut ours = map::check_create(&attr, &host.clone().with_caps(caps)).err().map(|e| e.raw() as i32);
                if ours.is_none() && attr.btf_value_type_id != 0 {
                    ours = Some(Errno::EBADF.raw() as i32);
                }
                tally.compare(|| format!("{ty} {}, {caps:?}", describe(&attr)), ours, kernels);
            }
        }
    }
    Ok(tally)
}

/// A map of the type that can be made, as small as it gets.
pub fn working(ty: MapType) -> CreateAttr<'static> {
    use MapType::*;
    let (key_size, value_size, max_entries, map_flags) = match ty {
        Queue | Stack | BloomFilter => (0, 4, 1, 0),
        Ringbuf | UserRingbuf => (0, 0, 4096, 0),
        Arena => (0, 0, 1, map::flags::MMAPABLE),
        LpmTrie => (8, 4, 1, map::flags::NO_PREALLOC),
        StackTrace => (4, 8, 1, 0),
        CgroupStorage | PercpuCgroupStorage => (8, 4, 0, 0),
        SkStorage | InodeStorage | TaskStorage | CgrpStorage => (4, 4, 0, map::flags::NO_PREALLOC),
        _ => (4, 4, 1, 0),
    };
    let inner = matches!(ty, ArrayOfMaps | HashOfMaps).then_some(Array.raw());
    CreateAttr { map_type: ty.raw(), key_size, value_size, max_entries, map_flags, inner, ..CreateAttr::default() }
}

fn variations<'a>(base: &CreateAttr<'a>) -> Vec<CreateAttr<'a>> {
    let mut all = vec![*base];
    all.extend(KEYS.map(|key_size| CreateAttr { key_size, ..*base }));
    all.extend(VALUES.map(|value_size| CreateAttr { value_size, ..*base }));
    // Four bytes a value, so that no number of entries costs much.
    all.extend(ENTRIES.map(|max_entries| CreateAttr { max_entries, ..*base }));
    all.extend(EXTRAS.map(|map_extra| CreateAttr { map_extra, ..*base }));
    all.extend(["ok_name.1", "bad name", "bad-name"].map(|name| CreateAttr { name, ..*base }));
    // Every flag, alone and with each other one.
    for a in 0..20 {
        for b in a..20 {
            let map_flags = base.map_flags ^ (1 << a | 1 << b);
            // A token is a file descriptor that nobody has; offloading flags need a NUMA node.
            if (map_flags | base.map_flags) & map::flags::TOKEN_FD == 0 {
                all.push(CreateAttr { map_flags, ..*base });
                all.push(CreateAttr { map_flags, value_size: 32, ..*base });
            }
        }
    }
    // What two sizes decide together.
    for key_size in [4, 8] {
        all.extend([4_194_243, 4_194_247].map(|value_size| CreateAttr { key_size, value_size, ..*base }));
    }
    // Storage for nothing is asked with BTF that is not there.
    let with_btf = |a: &CreateAttr<'a>| CreateAttr { btf_key_type_id: 1, btf_value_type_id: 2, ..*a };
    if matches!(MapType::from_raw(base.map_type), Some(t) if map::may_hold(t, map::FieldKind::SpinLock) && base.max_entries == 0)
    {
        let more: Vec<_> = all.iter().map(with_btf).collect();
        all.extend(more);
    }
    all
}

/// NR_CPUS shows as the largest CPUMAP.
fn largest_cpumap(kernel: &Kernel) -> Result<u32> {
    let fits = |max_entries| kernel.create_map(&CreateAttr { max_entries, ..working(MapType::Cpumap) }, None).is_ok();
    (1..=14).map(|bits| 1 << bits).rev().find(|&n| fits(n)).ok_or_else(|| anyhow!("no CPUMAP can be made"))
}

fn describe(a: &CreateAttr<'_>) -> String {
    let CreateAttr { key_size, value_size, max_entries, map_flags, map_extra, name, btf_value_type_id, .. } = a;
    format!(
        "k {key_size} v {value_size} n {max_entries} flags {map_flags:#x} extra {map_extra:#x} {name:?} btf {btf_value_type_id}"
    )
}
