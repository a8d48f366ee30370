//! Sockets. The only one that exists is the one behind a packet's context (`__sk_buff.sk`): lookups find nothing, which is a possible world, not a
//! stand-in.

use super::Family;
use crate::ctx::Family as CtxFamily;
use crate::fault::Fault;
use crate::run::Run;

pub const FAMILY: Family = &[
    (46, cookie),
    (47, uid),
    (84, lookup),
    (85, lookup),
    (86, release),
    (95, fullsock),
    (96, no_such_socket),
    (98, no_such_socket),
    (99, lookup),
    (122, netns_cookie),
    (136, no_such_socket),
    (137, no_such_socket),
    (138, no_such_socket),
    (139, no_such_socket),
    (140, no_such_socket),
    (178, no_such_socket),
    (196, no_such_socket),
];

/// Offset of `__sk_buff.sk`.
const SKB_SK: u32 = 168;

fn cookie(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(run.world.values.socket_cookie)
}

fn uid(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(run.world.values.socket_uid.into())
}

fn netns_cookie(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(run.world.values.netns_cookie)
}

/// Reads the tuple as the kernel does, and finds nobody.
fn lookup(run: &mut Run<'_>, [_, tuple, len, ..]: [u64; 5]) -> Result<u64, Fault> {
    run.bytes(tuple, u64::from(len as u32))?;
    Ok(0)
}

/// Nothing here hands out references, so there is none to release.
fn release(_: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Err(Fault::arg("sk_release", 1, "no socket was looked up"))
}

/// The socket behind a packet's context is the only one whose kind is known: full, but no TCP, UDP or listening socket. A kernel object's
/// kind is not modelled.
fn known(run: &Run<'_>, sock: u64) -> Result<(), Fault> {
    let own = (run.ctx.family == CtxFamily::Skb).then(|| run.ctx.u64_at(SKB_SK));
    if sock == 0 || own == Some(sock) {
        Ok(())
    } else {
        Err(Fault::unsupported("conversion of a kernel socket object"))
    }
}

fn fullsock(run: &mut Run<'_>, [sock, ..]: [u64; 5]) -> Result<u64, Fault> {
    known(run, sock)?;
    Ok(sock)
}

fn no_such_socket(run: &mut Run<'_>, [sock, ..]: [u64; 5]) -> Result<u64, Fault> {
    known(run, sock)?;
    Ok(0)
}
