//! Helper functions by number. One file per family; this file is only the table. Rule: a helper that is not in the table is a fault that names it.

mod callback;
mod csum;
pub(crate) mod dynptr;
mod format;
mod lock;
mod maps;
mod output;
mod print;
mod probe;
mod redirect;
mod ringbuf;
mod room;
mod skb;
mod socket;
mod storage;
mod strings;
mod sysctl;
mod task;
mod trace;
mod xdp;

use std::sync::{Arc, OnceLock};

use spec::Errno;

use crate::fault::Fault;
use crate::map::{Map, MapResult};
use crate::run::Run;

/// A helper or kfunc: r1..r5 in, r0 out.
pub type HelperFn = fn(&mut Run<'_>, [u64; 5]) -> Result<u64, Fault>;

/// A helper that can be called.
#[derive(Clone, Copy, Debug)]
pub struct Helper {
    pub name: &'static str,
    pub function: HelperFn,
}

/// What a family contributes: helper numbers and functions.
pub(crate) type Family = &'static [(u32, HelperFn)];

const FAMILIES: [Family; 19] = [
    callback::FAMILY,
    csum::FAMILY,
    dynptr::FAMILY,
    lock::FAMILY,
    maps::FAMILY,
    output::FAMILY,
    print::FAMILY,
    probe::FAMILY,
    redirect::FAMILY,
    ringbuf::FAMILY,
    room::FAMILY,
    skb::FAMILY,
    socket::FAMILY,
    storage::FAMILY,
    strings::FAMILY,
    sysctl::FAMILY,
    task::FAMILY,
    trace::FAMILY,
    xdp::FAMILY,
];

fn table() -> &'static [Option<Helper>] {
    static TABLE: OnceLock<Vec<Option<Helper>>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = vec![None; spec::helper::COUNT as usize];
        for &(id, function) in FAMILIES.iter().copied().flatten() {
            if let (Some(place), Some(h)) = (table.get_mut(id as usize), spec::helper::by_id(id)) {
                *place = Some(Helper { name: h.name, function });
            }
        }
        table
    })
}

/// The helper with this number, if it is modelled.
pub fn by_id(id: u32) -> Option<Helper> {
    table().get(id as usize).copied().flatten()
}

/// Numbers and names of all modelled helpers.
pub fn modelled() -> impl Iterator<Item = (u32, &'static str)> {
    table().iter().enumerate().filter_map(|(id, h)| h.map(|h| (id as u32, h.name)))
}

/// A negative errno as a helper returns it.
#[inline]
pub(crate) fn errno(e: Errno) -> u64 {
    e.negative() as i64 as u64
}

/// 0 or a negative errno.
#[inline]
pub(crate) fn status(result: MapResult) -> u64 {
    result.map_or_else(errno, |()| 0)
}

/// The map that argument `arg` means; anything else is not something a verified program passes.
#[inline]
pub(crate) fn map_arg<'r>(run: &'r Run<'_>, helper: &'static str, arg: u8, handle: u64) -> Result<&'r Arc<Map>, Fault> {
    run.map(handle).ok_or_else(|| Fault::arg(helper, arg, format!("{handle:#x} is not a map")))
}

/// The context that argument 1 must be.
#[inline]
pub(crate) fn ctx_arg(run: &Run<'_>, helper: &'static str, value: u64) -> Result<(), Fault> {
    if value == run.ctx.addr() { Ok(()) } else { Err(Fault::arg(helper, 1, format!("{value:#x} is not the context"))) }
}

/// The entry slot of the callback in argument `arg`.
pub(crate) fn callback_arg(run: &Run<'_>, helper: &'static str, arg: u8, value: u64) -> Result<u32, Fault> {
    run.callback(value).ok_or_else(|| Fault::arg(helper, arg, format!("{value:#x} is not a function of the program")))
}

/// Words for a helper that is not modelled.
pub fn missing(id: u32) -> String {
    match spec::helper::by_id(id) {
        Some(h) => format!("helper bpf_{}#{id}", h.name),
        None => format!("helper #{id}, which no kernel has"),
    }
}

/// A legacy packet load (LD_ABS, LD_IND) from offset `off` of the packet, byte order converted. `None`: outside of the packet.
pub fn packet_load(run: &Run<'_>, context: u64, off: i32, size: u32) -> Option<u64> {
    const NET_OFF: i32 = -0x10_0000;
    const LL_OFF: i32 = -0x20_0000;
    if context != run.ctx.addr() {
        return None;
    }
    let packet = run.ctx.packet.as_ref()?;
    let base = match off {
        0.. => 0,
        NET_OFF.. => run.ctx.skb.network - NET_OFF,
        LL_OFF.. => run.ctx.skb.mac - LL_OFF,
        _ => return None,
    };
    // A negative place is in front of the packet's first byte, where the link-layer header may still be.
    let at = i64::from(base) + i64::from(off) + packet.data as i64;
    let at = usize::try_from(at).ok().filter(|at| at + size as usize <= packet.end)?;
    let bytes = packet.raw(at, size as usize)?;
    Some(bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}
