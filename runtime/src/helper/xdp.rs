//! XDP packet helpers. Redirects are in `redirect`.

use spec::Errno;

use super::{Family, ctx_arg, errno};
use crate::ctx::Packet;
use crate::fault::Fault;
use crate::memory::Bytes;
use crate::run::Run;

pub const FAMILY: Family =
    &[(44, adjust_head), (54, adjust_meta), (65, adjust_tail), (188, buff_len), (189, load_bytes), (190, store_bytes)];

/// The kernel keeps its frame descriptor at the start of the headroom.
const FRAME: i64 = 40;
const ETH_HLEN: i64 = 14;
/// Largest metadata.
const META_MAX: i64 = 252;

fn change(run: &mut Run<'_>, f: impl FnOnce(&mut Packet) -> Result<(), Errno>) -> Result<u64, Fault> {
    let done = run
        .ctx
        .change_packet(&mut run.regions, f)
        .ok_or_else(|| Fault::unsupported("packet helper without a packet"))?;
    Ok(super::status(done))
}

/// Moves the packet's start; metadata moves along.
fn adjust_head(run: &mut Run<'_>, [ctx, delta, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "xdp_adjust_head", ctx)?;
    let delta = i64::from(delta as i32);
    change(run, |p| {
        let meta_len = p.data - p.meta;
        let data = p.data as i64 + delta;
        if data < FRAME + meta_len as i64 || data > p.end as i64 - ETH_HLEN {
            return Err(Errno::EINVAL);
        }
        let data = data as usize;
        if let Some(meta) = p.raw(p.meta, meta_len) {
            p.write_raw(data - meta_len, &meta);
        }
        p.meta = data - meta_len;
        p.data = data;
        Ok(())
    })
}

/// Moves the packet's end; new bytes are zero.
fn adjust_tail(run: &mut Run<'_>, [ctx, delta, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "xdp_adjust_tail", ctx)?;
    let delta = i64::from(delta as i32);
    change(run, |p| {
        let end = p.end as i64 + delta;
        if end > p.limit as i64 || end < p.data as i64 + ETH_HLEN {
            return Err(Errno::EINVAL);
        }
        let old = std::mem::replace(&mut p.end, end as usize);
        p.zero_raw(old, p.end.saturating_sub(old));
        Ok(())
    })
}

/// Moves the start of the metadata.
fn adjust_meta(run: &mut Run<'_>, [ctx, delta, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "xdp_adjust_meta", ctx)?;
    let delta = i64::from(delta as i32);
    change(run, |p| {
        let meta = p.meta as i64 + delta;
        let len = p.data as i64 - meta;
        if meta < FRAME || len < 0 {
            return Err(Errno::EINVAL);
        }
        if len % 4 != 0 || len > META_MAX {
            return Err(Errno::EACCES);
        }
        p.meta = meta as usize;
        Ok(())
    })
}

fn buff_len(run: &mut Run<'_>, [ctx, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "xdp_get_buff_len", ctx)?;
    Ok(run.ctx.packet.as_ref().map_or(0, |p| p.len() as u64))
}

fn range(off: u64, len: u64) -> Result<(usize, usize), Errno> {
    let (off, len) = (off as u32, len as u32);
    if off > 0xffff || len > 0xffff { Err(Errno::EFAULT) } else { Ok((off as usize, len as usize)) }
}

fn load_bytes(run: &mut Run<'_>, [ctx, off, to, len, _]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "xdp_load_bytes", ctx)?;
    let found: Result<Bytes, Errno> = range(off, len)
        .and_then(|(off, len)| run.ctx.packet.as_ref().and_then(|p| p.bytes(off, len)).ok_or(Errno::EINVAL));
    match found {
        Ok(bytes) => {
            run.write(to, &bytes)?;
            Ok(0)
        }
        Err(e) => Ok(errno(e)),
    }
}

fn store_bytes(run: &mut Run<'_>, [ctx, off, from, len, _]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "xdp_store_bytes", ctx)?;
    let (off, len) = match range(off, len) {
        Ok(range) => range,
        Err(e) => return Ok(errno(e)),
    };
    let bytes = run.bytes(from, len as u64)?;
    let stored = run.ctx.packet.as_ref().is_some_and(|p| p.write(off, &bytes));
    Ok(if stored { 0 } else { errno(Errno::EINVAL) })
}
