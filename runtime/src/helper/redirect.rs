//! Redirects: where a packet shall go. Devices do not exist here; the destination is an output of the run.

use spec::{Errno, MapType};

use super::{Family, ctx_arg, errno, map_arg};
use crate::ctx::Family as CtxFamily;
use crate::fault::Fault;
use crate::map::Store;
use crate::run::Run;
use crate::world::Redirect;

pub const FAMILY: Family = &[
    (13, clone_redirect),
    (23, redirect),
    (51, redirect_map),
    (82, select_reuseport),
    (152, redirect_neigh),
    (155, redirect_peer),
];

const XDP_ABORTED: u64 = 0;
const XDP_REDIRECT: u64 = 4;
const TC_ACT_SHOT: u64 = 2;
const TC_ACT_REDIRECT: u64 = 7;
const F_INGRESS: u64 = 1;

/// XDP takes no flags, the others BPF_F_INGRESS.
fn redirect(run: &mut Run<'_>, [ifindex, flags, ..]: [u64; 5]) -> Result<u64, Fault> {
    let xdp = run.ctx.family == CtxFamily::Xdp;
    if xdp && flags != 0 {
        return Ok(XDP_ABORTED);
    }
    if flags & !F_INGRESS != 0 {
        return Ok(TC_ACT_SHOT);
    }
    run.world.out.redirects.push(Redirect::Interface { ifindex: ifindex as u32, flags });
    Ok(if xdp { XDP_REDIRECT } else { TC_ACT_REDIRECT })
}

/// Sends a copy. Every interface number above 0 counts as existing.
fn clone_redirect(run: &mut Run<'_>, [ctx, ifindex, flags, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "clone_redirect", ctx)?;
    if flags & !F_INGRESS != 0 || ifindex as u32 == 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let packet = run.ctx.packet.as_ref().map_or_else(Vec::new, |p| p.contents());
    run.world.out.redirects.push(Redirect::Clone { ifindex: ifindex as u32, flags, packet });
    Ok(0)
}

/// An empty slot answers the action in the low two bits of the flags.
fn redirect_map(run: &mut Run<'_>, [map, key, flags, ..]: [u64; 5]) -> Result<u64, Fault> {
    const ACTION: u64 = 3;
    const BROADCAST: u64 = 1 << 3;
    const EXCLUDE_INGRESS: u64 = 1 << 4;
    let map = map_arg(run, "redirect_map", 1, map)?.clone();
    let Store::Devices(devices) = &map.store else { return Err(map.unmodelled("bpf_redirect_map")) };
    let many = match map.map_type {
        MapType::Devmap | MapType::DevmapHash => BROADCAST | EXCLUDE_INGRESS,
        _ => 0,
    };
    if flags & !(ACTION | many) != 0 {
        return Ok(XDP_ABORTED);
    }
    if !devices.holds(key as u32) && flags & BROADCAST == 0 {
        return Ok(flags & ACTION);
    }
    run.world.out.redirects.push(Redirect::Map { map: map.name().into(), key, flags });
    Ok(XDP_REDIRECT)
}

fn redirect_peer(run: &mut Run<'_>, [ifindex, flags, ..]: [u64; 5]) -> Result<u64, Fault> {
    if flags != 0 {
        return Ok(TC_ACT_SHOT);
    }
    run.world.out.redirects.push(Redirect::Peer { ifindex: ifindex as u32 });
    Ok(TC_ACT_REDIRECT)
}

fn redirect_neigh(run: &mut Run<'_>, [ifindex, params, len, flags, _]: [u64; 5]) -> Result<u64, Fault> {
    let len = len as u32;
    if flags != 0 || (len != 0 && len < 20) {
        return Ok(TC_ACT_SHOT);
    }
    run.bytes(params, len.into())?;
    run.world.out.redirects.push(Redirect::Neighbour { ifindex: ifindex as u32 });
    Ok(TC_ACT_REDIRECT)
}

/// A socket array of a world without sockets is empty.
fn select_reuseport(run: &mut Run<'_>, [ctx, map, key, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "sk_select_reuseport", ctx)?;
    let map = map_arg(run, "sk_select_reuseport", 2, map)?.clone();
    if map.map_type != MapType::ReuseportSockarray {
        return Err(map.unmodelled("bpf_sk_select_reuseport"));
    }
    run.bytes(key, map.def.key_size.into())?;
    Ok(errno(Errno::ENOENT))
}
