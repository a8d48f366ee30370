//! Values attached to objects: cgroup, socket, inode and task storage.

use spec::Errno;

use super::{Family, errno, map_arg};
use crate::fault::Fault;
use crate::map::{LocalStorage, Map, Store};
use crate::run::Run;

pub const FAMILY: Family = &[
    (81, get_local_storage),
    (107, get),
    (108, delete),
    (145, get),
    (146, delete),
    (156, get),
    (157, delete),
    (210, get),
    (211, delete),
];

fn local<'m>(map: &'m Map, what: &str) -> Result<&'m LocalStorage, Fault> {
    match &map.store {
        Store::Local(storage) => Ok(storage),
        _ => Err(map.unmodelled(what)),
    }
}

/// The one cgroup's value; it always exists.
fn get_local_storage(run: &mut Run<'_>, [map, ..]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "get_local_storage", 1, map)?;
    let cpu = run.world.cpu();
    Ok(local(map, "bpf_get_local_storage")?.find_or_create(0, cpu, None).unwrap_or(0))
}

/// With BPF_LOCAL_STORAGE_GET_F_CREATE a missing value is made, from the given bytes or zero.
fn get(run: &mut Run<'_>, [map, object, init, flags, _]: [u64; 5]) -> Result<u64, Fault> {
    const F_CREATE: u64 = 1;
    let map = map_arg(run, "storage_get", 1, map)?.clone();
    let storage = local(&map, "bpf_storage_get")?;
    if object == 0 || flags & !F_CREATE != 0 {
        return Ok(0);
    }
    let cpu = run.world.cpu();
    if flags & F_CREATE == 0 {
        return Ok(storage.find(object, cpu).unwrap_or(0));
    }
    let init = if init == 0 { None } else { Some(run.bytes(init, map.def.value_size.into())?) };
    Ok(storage.find_or_create(object, cpu, init.as_deref()).unwrap_or(0))
}

fn delete(run: &mut Run<'_>, [map, object, ..]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "storage_delete", 1, map)?;
    if object == 0 {
        return Ok(errno(Errno::EINVAL));
    }
    Ok(super::status(local(map, "bpf_storage_delete")?.forget(object)))
}
