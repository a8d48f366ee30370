//! Ring buffer helpers. Records and space are in `map::ringbuf`.

use spec::Errno;

use super::{Family, dynptr, errno, map_arg, status};
use crate::fault::{Fault, FaultKind};
use crate::map::{RingBuf, Store};
use crate::region::{Kind, Region};
use crate::run::{Resource, Run};

pub const FAMILY: Family = &[
    (130, output),
    (131, reserve),
    (132, submit),
    (133, discard),
    (134, query),
    (198, reserve_dynptr),
    (199, submit_dynptr),
    (200, discard_dynptr),
];

/// BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP: no effect here.
const WAKEUP: u64 = 3;

fn output(run: &mut Run<'_>, [map, data, len, flags, _]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "ringbuf_output", 1, map)?.clone();
    let Store::RingBuf(ring) = &map.store else { return Err(map.unmodelled("bpf_ringbuf_output")) };
    if flags & !WAKEUP != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let data = run.bytes(data, len)?;
    Ok(status(ring.output(&data)))
}

fn take(run: &mut Run<'_>, ring: &RingBuf, len: u64) -> Option<u64> {
    let addr = ring.reserve(len)?;
    run.regions.insert(Region::new(Kind::Mem, addr, len));
    run.resources.push(Resource::Record(addr));
    Some(addr)
}

fn reserve(run: &mut Run<'_>, [map, len, flags, ..]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "ringbuf_reserve", 1, map)?.clone();
    let Store::RingBuf(ring) = &map.store else { return Err(map.unmodelled("bpf_ringbuf_reserve")) };
    if flags != 0 {
        return Ok(0);
    }
    Ok(take(run, ring, len).unwrap_or(0))
}

/// Ends a record wherever its map is.
fn commit(run: &mut Run<'_>, addr: u64, discard: bool) -> Result<u64, Fault> {
    let Some(at) = run.resources.iter().position(|r| *r == Resource::Record(addr)) else {
        return Err(Fault::new(FaultKind::Resource(format!("{addr:#x} is not a reserved ring buffer record"))));
    };
    run.resources.remove(at);
    run.regions.remove(addr);
    for map in &run.maps {
        if let Store::RingBuf(ring) = &map.store
            && ring.record_len(addr).is_some()
        {
            ring.commit(addr, discard);
        }
    }
    Ok(0)
}

fn submit(run: &mut Run<'_>, [record, ..]: [u64; 5]) -> Result<u64, Fault> {
    commit(run, record, false)
}

fn discard(run: &mut Run<'_>, [record, ..]: [u64; 5]) -> Result<u64, Fault> {
    commit(run, record, true)
}

fn query(run: &mut Run<'_>, [map, what, ..]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "ringbuf_query", 1, map)?;
    match &map.store {
        Store::RingBuf(ring) => Ok(ring.query(what)),
        _ => Err(map.unmodelled("bpf_ringbuf_query")),
    }
}

/// A record behind a dynptr. On failure the dynptr is null, and still has to be submitted or discarded.
fn reserve_dynptr(run: &mut Run<'_>, [map, len, flags, dynptr, _]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "ringbuf_reserve_dynptr", 1, map)?.clone();
    let Store::RingBuf(ring) = &map.store else { return Err(map.unmodelled("bpf_ringbuf_reserve_dynptr")) };
    let len = len as u32;
    let refused = if flags != 0 { Some(Errno::EINVAL) } else { (len > dynptr::MAX_SIZE).then_some(Errno::E2BIG) };
    let record = if refused.is_none() { take(run, ring, len.into()) } else { None };
    match record {
        Some(addr) => {
            run.write(dynptr, &dynptr::ringbuf(addr, len))?;
            Ok(0)
        }
        None => {
            run.write(dynptr, &dynptr::NULL)?;
            Ok(errno(refused.unwrap_or(Errno::EINVAL)))
        }
    }
}

fn end_dynptr(run: &mut Run<'_>, addr: u64, discard: bool) -> Result<u64, Fault> {
    let dynptr = dynptr::Dynptr::read(run, addr)?;
    if dynptr.data != 0 {
        commit(run, dynptr.data, discard)?;
        run.write(addr, &dynptr::NULL)?;
    }
    Ok(0)
}

fn submit_dynptr(run: &mut Run<'_>, [dynptr, ..]: [u64; 5]) -> Result<u64, Fault> {
    end_dynptr(run, dynptr, false)
}

fn discard_dynptr(run: &mut Run<'_>, [dynptr, ..]: [u64; 5]) -> Result<u64, Fault> {
    end_dynptr(run, dynptr, true)
}
