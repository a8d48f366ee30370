//! Records that a program sends to user space: ring buffers and perf event arrays are drained through libbpf-rs.

use std::cell::RefCell;
use std::os::fd::AsFd;

use libbpf_rs::{MapHandle, MapInfo, RingBufferBuilder};

use super::maps::{LiveMap, MapSet, RINGBUF};
use crate::engine::Error;
use crate::input::Event;

fn failed(e: libbpf_rs::Error) -> Error {
    Error::Environment(format!("reading a ring buffer: {e}"))
}

/// A second handle on a map, of libbpf's kind.
fn handle(map: &LiveMap) -> Result<MapHandle, Error> {
    let info = MapInfo::new(map.fd.as_fd()).map_err(failed)?;
    MapHandle::from_map_id(info.info.id).map_err(failed)
}

/// Everything that waits in the ring buffers of `maps`, ring by ring in order of map index.
pub fn drain(maps: &MapSet) -> Result<Vec<Event>, Error> {
    let mut rings: Vec<_> = maps.iter().filter(|(_, m)| m.def.map_type == RINGBUF).collect();
    rings.sort_by_key(|(i, _)| **i);
    let found = RefCell::new(Vec::new());
    for (_, map) in rings {
        let handle = handle(map)?;
        let mut builder = RingBufferBuilder::new();
        builder
            .add(&handle, |data| {
                found.borrow_mut().push(Event { map: map.def.name.clone(), data: data.to_vec() });
                0
            })
            .map_err(failed)?;
        builder.build().map_err(failed)?.consume().map_err(failed)?;
    }
    Ok(found.into_inner())
}
