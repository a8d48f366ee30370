//! Map helpers: lookup, update, delete, push, pop, peek. What the maps do is in `map`.

use spec::Errno;

use super::{Family, errno, map_arg, status};
use crate::fault::Fault;
use crate::map::Store;
use crate::run::Run;

pub const FAMILY: Family =
    &[(1, lookup), (2, update), (3, delete), (87, push), (88, pop), (89, peek), (195, lookup_percpu)];

fn lookup(run: &mut Run<'_>, [map, key, ..]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "map_lookup_elem", 1, map)?.clone();
    let key = run.bytes(key, map.def.key_size.into())?;
    let inner = match &map.store {
        Store::ArrayOfMaps(s) => s.get(&key),
        Store::HashOfMaps(s) => s.get(&key),
        _ => return Ok(map.lookup(&key, run.world.cpu())?.unwrap_or(0)),
    };
    Ok(inner.map_or(0, |inner| {
        run.adopt_map(&inner);
        inner.handle()
    }))
}

fn lookup_percpu(run: &mut Run<'_>, [map, key, cpu, ..]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "map_lookup_percpu_elem", 1, map)?.clone();
    let key = run.bytes(key, map.def.key_size.into())?;
    let cpu = cpu as u32;
    if cpu >= map.nr_cpus {
        return Ok(0);
    }
    Ok(map.lookup(&key, cpu)?.unwrap_or(0))
}

fn update(run: &mut Run<'_>, [map, key, value, flags, _]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "map_update_elem", 1, map)?.clone();
    let key = run.bytes(key, map.def.key_size.into())?;
    let value = run.bytes(value, map.def.value_size.into())?;
    Ok(status(map.update(&key, &value, flags, run.world.cpu())?))
}

fn delete(run: &mut Run<'_>, [map, key, ..]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "map_delete_elem", 1, map)?.clone();
    let key = run.bytes(key, map.def.key_size.into())?;
    Ok(status(map.delete(&key)?))
}

fn push(run: &mut Run<'_>, [map, value, flags, ..]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "map_push_elem", 1, map)?.clone();
    let value = run.bytes(value, map.def.value_size.into())?;
    match &map.store {
        Store::Queue(q) => Ok(status(q.push(&value, flags))),
        Store::Bloom(b) => Ok(status(b.push(&value, flags))),
        _ => Err(map.unmodelled("bpf_map_push_elem")),
    }
}

/// An empty queue answers ENOENT and zeroes the buffer.
fn pop(run: &mut Run<'_>, [map, value, ..]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "map_pop_elem", 1, map)?.clone();
    let Store::Queue(q) = &map.store else { return Err(map.unmodelled("bpf_map_pop_elem")) };
    give(run, value, q.pop(), map.def.value_size)
}

fn peek(run: &mut Run<'_>, [map, value, ..]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "map_peek_elem", 1, map)?.clone();
    match &map.store {
        Store::Queue(q) => give(run, value, q.peek(), map.def.value_size),
        Store::Bloom(b) => {
            let value = run.bytes(value, map.def.value_size.into())?;
            Ok(if b.holds(&value) { 0 } else { errno(Errno::ENOENT) })
        }
        _ => Err(map.unmodelled("bpf_map_peek_elem")),
    }
}

fn give(run: &mut Run<'_>, to: u64, value: Option<Vec<u8>>, size: u32) -> Result<u64, Fault> {
    let found = value.is_some();
    run.write(to, &value.unwrap_or_else(|| vec![0; size as usize]))?;
    Ok(if found { 0 } else { errno(Errno::ENOENT) })
}
