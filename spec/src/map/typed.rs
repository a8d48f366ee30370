//! BPF_MAP_CREATE of a map whose key and value have types: whether the kernel takes these, with the errno otherwise. What it says to the
//! attributes alone is `create`; which special fields there are `record`.

use btf::{Btf, Kind};

use super::MapType::{self, *};
use super::flags::{RDONLY_PROG, WRONLY_PROG};
use super::record::{Kernel, Owner, Record, check_roots};
use super::{CreateAttr, FieldKind, may_hold};
use crate::errno::Errno::{self, EACCES, EINVAL, ENOTSUPP, EOPNOTSUPP, EPERM};
use crate::profile::{Caps, Changes};

fn ensure(ok: bool, errno: Errno) -> Result<(), Errno> {
    if ok { Ok(()) } else { Err(errno) }
}

/// The special fields of the values of such a map. `attr` names types of `btf`.
pub fn check_types(attr: &CreateAttr<'_>, btf: &Btf, kernel: Kernel<'_>, caps: Caps) -> Result<Record, Errno> {
    let ty = MapType::from_raw(attr.map_type).ok_or(EINVAL)?;
    let (key, value) = (attr.btf_key_type_id, attr.btf_value_type_id);
    let has_size = |id: u32, size: u32| btf.resolve_size(id) == Some(size);
    ensure(if key == 0 { checks_types(ty) } else { has_size(key, attr.key_size) }, EINVAL)?;
    ensure(has_size(value, attr.value_size), EINVAL)?;
    let record = value_record(btf, value, kernel);
    if !record.fields.is_empty() {
        ensure(caps.has_bpf(), EPERM)?;
        ensure(attr.map_flags & (RDONLY_PROG | WRONLY_PROG) == 0, EACCES)?;
        let early = !Changes::of(kernel.version).trusted_pointers;
        ensure(record.fields.iter().all(|f| holds(ty, f.kind, early)), EOPNOTSUPP)?;
        check_roots(btf, &record, kernel)?;
    }
    check_own(ty, attr, btf)?;
    Ok(record)
}

/// What the kernel finds in a value of this type.
pub fn value_record(btf: &Btf, value: u32, kernel: Kernel<'_>) -> Record {
    let changes = Changes::of(kernel.version);
    let owner = if changes.trusted_pointers { Owner::MapValue } else { Owner::EarlyMapValue };
    let mut record = Record::of(btf, value, owner, kernel);
    if !changes.fields_beyond_locks {
        record.fields.retain(|f| f.kind == FieldKind::SpinLock);
    }
    record
}

fn holds(ty: MapType, kind: FieldKind, early: bool) -> bool {
    let kptr = matches!(kind, FieldKind::KptrUnref | FieldKind::KptrRef);
    if early && kptr { matches!(ty, Hash | LruHash | Array) } else { may_hold(ty, kind) }
}

/// Types of maps that look at the types themselves.
fn checks_types(ty: MapType) -> bool {
    !matches!(
        ty,
        Hash | LruHash
            | PercpuHash
            | LruPercpuHash
            | ProgArray
            | ReuseportSockarray
            | Queue
            | Stack
            | Ringbuf
            | UserRingbuf
            | StructOps
    )
}

fn check_own(ty: MapType, attr: &CreateAttr<'_>, btf: &Btf) -> Result<(), Errno> {
    let (key, value) = (attr.btf_key_type_id, attr.btf_value_type_id);
    let int_bits = |id: u32| btf.resolve(id).and_then(|(id, _)| btf.int(id)).filter(|i| i.offset == 0).map(|i| i.bits);
    let kind = |id: u32| btf.resolve(id).map(|(_, t)| t.kind());
    match ty {
        Array if key == 0 => ensure(attr.max_entries == 1 && btf.kind(value) == Some(Kind::Datasec), EINVAL),
        Array | PercpuArray | SkStorage | InodeStorage | TaskStorage | CgrpStorage => {
            ensure(int_bits(key) == Some(32), EINVAL)
        }
        LpmTrie => ensure(kind(key) == Some(Kind::Struct), EINVAL),
        CgroupStorage | PercpuCgroupStorage if attr.key_size == 16 => {
            let id = btf.resolve(key).map_or(0, |(id, _)| id);
            let members: Vec<_> = btf.members(id).map(|m| (m.bit_offset, int_bits(m.type_id))).collect();
            ensure(kind(key) == Some(Kind::Struct) && members == [(0, Some(64)), (64, Some(32))], EINVAL)
        }
        CgroupStorage | PercpuCgroupStorage => ensure(int_bits(key) == Some(64), EINVAL),
        BloomFilter => ensure(key == 0, EINVAL),
        PerfEventArray | CgroupArray | ArrayOfMaps | HashOfMaps | Devmap | DevmapHash | Cpumap | Xskmap | Sockmap
        | Sockhash | StackTrace => Err(ENOTSUPP),
        Hash | LruHash | PercpuHash | LruPercpuHash | ProgArray | ReuseportSockarray | Queue | Stack | Ringbuf
        | UserRingbuf | StructOps | Arena => Ok(()),
    }
}
