//! sk_buff helpers that read or write bytes and metadata. Helpers that change the packet's size are in `room`, checksums in `csum`.

use spec::Errno;

use super::{Family, ctx_arg, errno};
use crate::fault::Fault;
use crate::memory::Bytes;
use crate::run::Run;

pub const FAMILY: Family = &[
    (9, store_bytes),
    (24, route_realm),
    (26, load_bytes),
    (32, change_type),
    (34, hash_recalc),
    (39, pull_data),
    (41, set_hash_invalid),
    (48, set_hash),
    (68, load_bytes_relative),
    (97, ecn_set_ce),
    (151, skb_classid),
];

/// Offset of `__sk_buff.hash`.
const HASH: u32 = 68;
const PKT_TYPE: u32 = 4;

fn packet_bytes(run: &Run<'_>, off: u64, len: u64) -> Option<Bytes> {
    let off = usize::try_from(off as u32).ok().filter(|o| *o <= i32::MAX as usize)?;
    run.ctx.packet.as_ref()?.bytes(off, len as usize)
}

/// Failed loads zero the buffer.
fn deliver(run: &mut Run<'_>, bytes: Option<Bytes>, to: u64, len: u64) -> Result<u64, Fault> {
    match bytes {
        Some(bytes) => {
            run.write(to, &bytes)?;
            Ok(0)
        }
        None => {
            run.check(to, len, true)?;
            run.write(to, &Bytes::from_elem(0, len as usize))?;
            Ok(errno(Errno::EFAULT))
        }
    }
}

fn load_bytes(run: &mut Run<'_>, [ctx, off, to, len, _]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "skb_load_bytes", ctx)?;
    let len = u64::from(len as u32);
    let bytes = packet_bytes(run, off, len);
    deliver(run, bytes, to, len)
}

/// From the link-layer header (0) or the network header (1).
fn load_bytes_relative(run: &mut Run<'_>, [ctx, off, to, len, from]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "skb_load_bytes_relative", ctx)?;
    let len = u64::from(len as u32);
    let base = match from {
        0 => Some(run.ctx.skb.mac),
        1 => Some(run.ctx.skb.network),
        _ => None,
    };
    let bytes = base.filter(|_| off as u32 <= 0xffff).and_then(|base| {
        let packet = run.ctx.packet.as_ref()?;
        let at = usize::try_from(packet.data as i64 + i64::from(base) + i64::from(off as u32)).ok()?;
        let inside = at.checked_add(len as usize)? <= packet.end;
        if inside { packet.raw(at, len as usize) } else { None }
    });
    deliver(run, bytes, to, len)
}

/// Flags: RECOMPUTE_CSUM (nothing to recompute here), INVALIDATE_HASH.
fn store_bytes(run: &mut Run<'_>, [ctx, off, from, len, flags]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "skb_store_bytes", ctx)?;
    if flags & !3 != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let bytes = run.bytes(from, u64::from(len as u32))?;
    let stored =
        off as u32 <= i32::MAX as u32 && run.ctx.packet.as_ref().is_some_and(|p| p.write(off as u32 as usize, &bytes));
    if !stored {
        return Ok(errno(Errno::EFAULT));
    }
    if flags & 2 != 0 {
        run.ctx.set_u32(HASH, 0);
    }
    Ok(0)
}

/// Packets are linear here: only the length is checked.
fn pull_data(run: &mut Run<'_>, [ctx, len, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "skb_pull_data", ctx)?;
    let have = run.ctx.packet.as_ref().map_or(0, |p| p.len());
    Ok(if len as u32 as usize > have { errno(Errno::ENOMEM) } else { 0 })
}

fn change_type(run: &mut Run<'_>, [ctx, ty, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "skb_change_type", ctx)?;
    if ty as u32 > 3 || run.ctx.u32_at(PKT_TYPE) > 3 {
        return Ok(errno(Errno::EINVAL));
    }
    run.ctx.set_u32(PKT_TYPE, ty as u32);
    Ok(0)
}

/// The kernel's flow hash has a secret key; here the world's seed takes its place, over addresses and ports' bytes.
fn hash_recalc(run: &mut Run<'_>, [ctx, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "get_hash_recalc", ctx)?;
    let known = run.ctx.u32_at(HASH);
    if known != 0 {
        return Ok(known.into());
    }
    let head = run.ctx.packet.as_ref().map_or_else(Bytes::new, |p| {
        let at = run.ctx.skb.network.max(0) as usize + 12;
        p.bytes(at, p.len().saturating_sub(at).min(12)).unwrap_or_default()
    });
    let mixed = head.iter().fold(run.world.values.seed, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    let hash = ((mixed >> 32) as u32).max(1);
    run.ctx.set_u32(HASH, hash);
    Ok(hash.into())
}

fn set_hash_invalid(run: &mut Run<'_>, [ctx, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "set_hash_invalid", ctx)?;
    run.ctx.set_u32(HASH, 0);
    Ok(0)
}

fn set_hash(run: &mut Run<'_>, [ctx, hash, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "set_hash", ctx)?;
    run.ctx.set_u32(HASH, hash as u32);
    Ok(0)
}

/// No packet here has been routed.
fn route_realm(run: &mut Run<'_>, [ctx, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "get_route_realm", ctx)?;
    Ok(0)
}

fn skb_classid(run: &mut Run<'_>, [ctx, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "skb_cgroup_classid", ctx)?;
    Ok(run.world.values.task.cgroup_classid.into())
}

/// Marks congestion in an ECN-capable IP header: 1 if it is marked afterwards.
fn ecn_set_ce(run: &mut Run<'_>, [ctx, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "skb_ecn_set_ce", ctx)?;
    let Ok(at) = usize::try_from(run.ctx.skb.network) else { return Ok(0) };
    let Some(p) = &run.ctx.packet else { return Ok(0) };
    let protocol = run.ctx.u32_at(16) as u16;
    match protocol {
        0x0008 => {
            let Some(head) = p.bytes(at, 20) else { return Ok(0) };
            let ecn = head[1] & 3;
            if ecn == 0 || ecn == 3 {
                return Ok(u64::from(ecn == 3));
            }
            // Two bits of the TOS byte change; the header checksum follows.
            let check = u16::from_be_bytes([head[10], head[11]]);
            let grown = u32::from(check) + u32::from(ecn) + 0xfffc;
            let check = (grown + (grown >> 16)) as u16;
            p.write(at + 10, &check.to_be_bytes());
            p.write(at + 1, &[head[1] | 3]);
            Ok(1)
        }
        0xdd86 => {
            let Some(head) = p.bytes(at, 40) else { return Ok(0) };
            let ecn = head[1] >> 4 & 3;
            if ecn != 0 && ecn != 3 {
                p.write(at + 1, &[head[1] | 0x30]);
            }
            Ok(u64::from(ecn != 0))
        }
        _ => Ok(0),
    }
}
