//! sk_buff helpers that change the packet's size: head, tail, room for encapsulation, protocol translation, VLAN tags. XDP's are in `xdp`.

use spec::Errno;

use super::{Family, ctx_arg, errno};
use crate::ctx::Packet;
use crate::fault::Fault;
use crate::run::Run;

pub const FAMILY: Family =
    &[(18, vlan_push), (19, vlan_pop), (31, change_proto), (38, change_tail), (43, change_head), (50, adjust_room)];

/// Largest packet that these helpers make.
const MAX_LEN: usize = 16064;
const ETH_HLEN: usize = 14;
/// Context offsets of protocol and VLAN fields.
const PROTOCOL: u32 = 16;
const VLAN_PRESENT: u32 = 20;
const VLAN_TCI: u32 = 24;
const VLAN_PROTO: u32 = 28;
/// In network order, read as little-endian.
const IPV4: u32 = 0x0008;
const IPV6: u32 = 0xdd86;
const DOT1Q: u16 = 0x0081;
const DOT1AD: u16 = 0xa888;

fn len(run: &Run<'_>) -> usize {
    run.ctx.packet.as_ref().map_or(0, Packet::len)
}

fn change<T>(run: &mut Run<'_>, f: impl FnOnce(&mut Packet) -> T) -> Result<T, Fault> {
    run.ctx.change_packet(&mut run.regions, f).ok_or_else(|| Fault::unsupported("packet helper without a packet"))
}

/// Grows with zeroes or cuts, never below the network header.
fn change_tail(run: &mut Run<'_>, [ctx, new, flags, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "skb_change_tail", ctx)?;
    let new = new as u32 as usize;
    if flags != 0 || new > MAX_LEN || (new as i64) < i64::from(run.ctx.skb.network) {
        return Ok(errno(Errno::EINVAL));
    }
    let done = change(run, |p| {
        let old = p.len();
        if p.data + new > p.limit && !p.grow(p.meta, new - old) {
            return false;
        }
        p.end = p.data + new;
        if new > old {
            p.zero_raw(p.data + old, new - old);
        }
        true
    })?;
    Ok(if done { 0 } else { errno(Errno::ENOMEM) })
}

/// Adds zeroes in front; they become the link-layer header.
fn change_head(run: &mut Run<'_>, [ctx, room, flags, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "skb_change_head", ctx)?;
    let room = room as u32 as usize;
    if flags != 0 || room > MAX_LEN || len(run) + room > MAX_LEN {
        return Ok(errno(Errno::EINVAL));
    }
    if !change(run, |p| p.open_gap(0, room))? {
        return Ok(errno(Errno::ENOMEM));
    }
    run.ctx.skb.network += room as i32;
    run.ctx.skb.mac = 0;
    Ok(0)
}

/// Opens or closes a gap of `n` bytes at `off`; everything in front of it moves.
fn resize(run: &mut Run<'_>, off: usize, n: i64) -> Result<bool, Fault> {
    let amount = n.unsigned_abs() as usize;
    change(run, |p| if n < 0 { p.close_gap(off, amount) } else { p.open_gap(off, amount) })
}

/// IPv4 <-> IPv6: room for the other header; its bytes are the program's business.
fn change_proto(run: &mut Run<'_>, [ctx, to, flags, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "skb_change_proto", ctx)?;
    if flags != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let to = u32::from(to as u16);
    let diff = match (run.ctx.u32_at(PROTOCOL), to) {
        (IPV4, IPV6) => 20,
        (IPV6, IPV4) => -20,
        _ => return Ok(errno(Errno::ENOTSUPP)),
    };
    let off = run.ctx.skb.network.max(0) as usize;
    if !resize(run, off, diff)? {
        return Ok(errno(Errno::ENOMEM));
    }
    run.ctx.set_u32(PROTOCOL, to);
    run.ctx.set_u32(68, 0);
    Ok(0)
}

/// Room behind the network header (mode 0) or behind the link-layer header (mode 1).
fn adjust_room(run: &mut Run<'_>, [ctx, diff, mode, flags, _]: [u64; 5]) -> Result<u64, Fault> {
    const ENCAP_IPV4: u64 = 1 << 1;
    const ENCAP_IPV6: u64 = 1 << 2;
    const DECAP_IPV4: u64 = 1 << 7;
    const DECAP_IPV6: u64 = 1 << 8;
    const DECAP: u64 = DECAP_IPV4 | DECAP_IPV6;
    // The highest byte is the length of an inner link-layer header.
    const KNOWN: u64 = 0x1ff | 0xff << 56;
    ctx_arg(run, "skb_adjust_room", ctx)?;
    let diff = i64::from(diff as i32);
    if flags & !KNOWN != 0 || (flags & DECAP != 0 && (diff > 0 || flags & DECAP == DECAP)) {
        return Ok(errno(Errno::EINVAL));
    }
    if diff.unsigned_abs() > 0xfff {
        return Ok(errno(Errno::EFAULT));
    }
    let (protocol, base) = match run.ctx.u32_at(PROTOCOL) {
        IPV4 => (IPV4, 20usize),
        IPV6 => (IPV6, 40),
        _ => return Ok(errno(Errno::ENOTSUPP)),
    };
    let network = run.ctx.skb.network.max(0) as usize;
    let off = match mode as u32 {
        0 => network + base,
        1 => network,
        _ => return Ok(errno(Errno::ENOTSUPP)),
    };
    let least = match flags & DECAP {
        DECAP_IPV4 => 20,
        DECAP_IPV6 => 40,
        _ => base as i64,
    };
    let have = len(run) as i64 - network as i64;
    if (diff < 0 && (-diff >= have || have + diff < least)) || (diff > 0 && len(run) as i64 + diff > MAX_LEN as i64) {
        return Ok(errno(Errno::ENOTSUPP));
    }
    if !resize(run, off, diff)? {
        return Ok(errno(if diff < 0 { Errno::ENOTSUPP } else { Errno::ENOMEM }));
    }
    let protocol = match flags {
        f if f & (ENCAP_IPV4 | DECAP_IPV4) != 0 => IPV4,
        f if f & (ENCAP_IPV6 | DECAP_IPV6) != 0 => IPV6,
        _ => protocol,
    };
    run.ctx.set_u32(PROTOCOL, protocol);
    Ok(0)
}

fn set_tag(run: &mut Run<'_>, proto: u16, tci: u16, present: bool) {
    run.ctx.skb.vlan_proto = proto;
    run.ctx.skb.vlan_tci = tci;
    run.ctx.skb.vlan_present = present;
    run.ctx.set_u32(VLAN_PRESENT, present.into());
    run.ctx.set_u32(VLAN_TCI, tci.into());
    run.ctx.set_u32(VLAN_PROTO, proto.into());
}

/// The tag goes into the packet's metadata; one that is there already moves into the packet.
fn vlan_push(run: &mut Run<'_>, [ctx, proto, tci, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "skb_vlan_push", ctx)?;
    let proto = if matches!(proto as u16, DOT1Q | DOT1AD) { proto as u16 } else { DOT1Q };
    if run.ctx.skb.vlan_present {
        let (old_proto, old_tci) = (run.ctx.skb.vlan_proto, run.ctx.skb.vlan_tci);
        if len(run) < ETH_HLEN || !resize(run, 12, 4)? {
            return Ok(errno(Errno::ENOMEM));
        }
        let mut tag = [0; 4];
        tag[..2].copy_from_slice(&old_proto.to_le_bytes());
        tag[2..].copy_from_slice(&old_tci.to_be_bytes());
        if let Some(p) = &run.ctx.packet {
            p.write(12, &tag);
        }
        run.ctx.skb.network += 4;
        run.ctx.set_u32(PROTOCOL, old_proto.into());
    }
    set_tag(run, proto, tci as u16, true);
    Ok(0)
}

/// Takes the tag out of the metadata, or else the outermost one out of the packet. Without a tag nothing happens.
fn vlan_pop(run: &mut Run<'_>, [ctx, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "skb_vlan_pop", ctx)?;
    if run.ctx.skb.vlan_present {
        set_tag(run, 0, 0, false);
    } else if pop_from_packet(run)?.is_none() {
        return Ok(0);
    }
    // A further tag in the packet becomes the metadata's.
    if matches!(run.ctx.u32_at(PROTOCOL) as u16, DOT1Q | DOT1AD)
        && let Some((proto, tci)) = pop_from_packet(run)?
    {
        set_tag(run, proto, tci, true);
    }
    Ok(0)
}

/// Removes the tag behind the addresses: its protocol and TCI.
fn pop_from_packet(run: &mut Run<'_>) -> Result<Option<(u16, u16)>, Fault> {
    let Some(head) = run.ctx.packet.as_ref().and_then(|p| p.bytes(12, 6)) else { return Ok(None) };
    let proto = u16::from_le_bytes([head[0], head[1]]);
    if !matches!(proto, DOT1Q | DOT1AD) || !resize(run, 12, -4)? {
        return Ok(None);
    }
    run.ctx.set_u32(PROTOCOL, u16::from_le_bytes([head[4], head[5]]).into());
    Ok(Some((proto, u16::from_be_bytes([head[2], head[3]]))))
}
