//! Samples for perf event arrays. Printing is in `print`, ring buffers in `ringbuf`.

use spec::Errno;

use super::{Family, errno, map_arg};
use crate::fault::Fault;
use crate::map::Store;
use crate::run::Run;
use crate::world::PerfSample;

pub const FAMILY: Family = &[(25, perf_event_output), (111, perf_event_output), (121, perf_event_output)];

/// Flags: index in the low half (all ones: this CPU), length of packet bytes to append in bits 32..52 where there is a packet.
fn perf_event_output(run: &mut Run<'_>, [_, map, flags, data, len]: [u64; 5]) -> Result<u64, Fault> {
    const INDEX: u64 = 0xffff_ffff;
    const CTX_LEN: u64 = 0xf_ffff << 32;
    let map = map_arg(run, "perf_event_output", 2, map)?.clone();
    let Store::PerfEvents(events) = &map.store else { return Err(map.unmodelled("bpf_perf_event_output")) };
    let takes_packet = run.ctx.packet.is_some();
    if flags & !(INDEX | if takes_packet { CTX_LEN } else { 0 }) != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let from_packet = ((flags & CTX_LEN) >> 32) as usize;
    let packet = match &run.ctx.packet {
        Some(p) if from_packet > 0 => match p.bytes(0, from_packet) {
            Some(bytes) => bytes.to_vec(),
            None => return Ok(errno(Errno::EFAULT)),
        },
        _ => Vec::new(),
    };
    let mut data = run.bytes(data, len)?.to_vec();
    data.extend(packet);
    let index = if flags & INDEX == INDEX { run.world.cpu() } else { (flags & INDEX) as u32 };
    if index >= events.entries() {
        return Ok(errno(Errno::E2BIG));
    }
    if !events.is_open(index) {
        return Ok(errno(Errno::ENOENT));
    }
    // A reader listens to one CPU only.
    if index != run.world.cpu() {
        return Ok(errno(Errno::EOPNOTSUPP));
    }
    run.world.out.perf.push(PerfSample { map: map.name().into(), index, data });
    Ok(0)
}
