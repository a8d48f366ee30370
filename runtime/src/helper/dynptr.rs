//! Dynptrs: 16 bytes on the program's stack that describe memory or a packet: address, then size with kind and read-only bits, then offset, as in
//! the kernel.

use spec::Errno;

use super::{Family, errno};
use crate::ctx::Family as CtxFamily;
use crate::fault::Fault;
use crate::memory::Bytes;
use crate::run::Run;

pub const FAMILY: Family = &[(197, from_mem), (201, read), (202, write), (203, data)];

/// Largest dynptr.
pub const MAX_SIZE: u32 = (1 << 24) - 1;
const READ_ONLY: u32 = 1 << 31;
const KIND_SHIFT: u32 = 28;

/// What a dynptr describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Local = 1,
    Ringbuf = 2,
    Skb = 3,
    Xdp = 4,
}

/// A null dynptr.
pub const NULL: [u8; 16] = [0; 16];

/// A dynptr in memory, taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Dynptr {
    pub data: u64,
    pub size: u32,
    pub offset: u32,
    pub read_only: bool,
    pub sort: Sort,
}

impl Dynptr {
    pub fn bytes(self) -> [u8; 16] {
        let mut out = [0; 16];
        let size = self.size | (self.sort as u32) << KIND_SHIFT | if self.read_only { READ_ONLY } else { 0 };
        out[..8].copy_from_slice(&self.data.to_le_bytes());
        out[8..12].copy_from_slice(&size.to_le_bytes());
        out[12..].copy_from_slice(&self.offset.to_le_bytes());
        out
    }

    pub fn read(run: &mut Run<'_>, addr: u64) -> Result<Self, Fault> {
        let b = run.bytes(addr, 16)?;
        let word = |at: usize| u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
        let packed = word(8);
        let sort = match packed >> KIND_SHIFT & 7 {
            2 => Sort::Ringbuf,
            3 => Sort::Skb,
            4 => Sort::Xdp,
            _ => Sort::Local,
        };
        Ok(Self {
            data: u64::from(word(0)) | u64::from(word(4)) << 32,
            size: packed & MAX_SIZE,
            offset: word(12),
            read_only: packed & READ_ONLY != 0,
            sort,
        })
    }

    /// Whether `off..off+len` lies within.
    pub fn holds(&self, off: u64, len: u64) -> bool {
        off <= u64::from(self.size) && len <= u64::from(self.size) - off
    }

    fn is_packet(&self) -> bool {
        matches!(self.sort, Sort::Skb | Sort::Xdp)
    }

    /// Bytes of what it describes; the range was checked against the dynptr, not yet against a packet that may have shrunk.
    pub fn load(&self, run: &mut Run<'_>, off: u64, len: u64) -> Result<Option<Bytes>, Fault> {
        let at = u64::from(self.offset) + off;
        if self.is_packet() {
            return Ok(run.ctx.packet.as_ref().and_then(|p| p.bytes(at as usize, len as usize)));
        }
        run.bytes(self.data + at, len).map(Some)
    }
}

/// A dynptr over memory.
pub fn local(data: u64, size: u32, read_only: bool) -> [u8; 16] {
    Dynptr { data, size, offset: 0, read_only, sort: Sort::Local }.bytes()
}

/// A dynptr over a ring buffer record.
pub fn ringbuf(data: u64, size: u32) -> [u8; 16] {
    Dynptr { data, size, offset: 0, read_only: false, sort: Sort::Ringbuf }.bytes()
}

fn from_mem(run: &mut Run<'_>, [data, size, flags, to, _]: [u64; 5]) -> Result<u64, Fault> {
    let size = size as u32;
    let refused = if size > MAX_SIZE { Some(Errno::E2BIG) } else { (flags != 0).then_some(Errno::EINVAL) };
    if let Some(e) = refused {
        run.write(to, &NULL)?;
        return Ok(errno(e));
    }
    run.write(to, &local(data, size, false))?;
    Ok(0)
}

fn read(run: &mut Run<'_>, [to, len, src, off, flags]: [u64; 5]) -> Result<u64, Fault> {
    let d = Dynptr::read(run, src)?;
    if d.data == 0 || flags != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let (len, off) = (u64::from(len as u32), u64::from(off as u32));
    if !d.holds(off, len) {
        return Ok(errno(Errno::E2BIG));
    }
    match d.load(run, off, len)? {
        Some(bytes) => {
            run.write(to, &bytes)?;
            Ok(0)
        }
        None => {
            run.write(to, &vec![0; len as usize])?;
            Ok(errno(if d.sort == Sort::Skb { Errno::EFAULT } else { Errno::EINVAL }))
        }
    }
}

/// Writing to an skb dynptr is bpf_skb_store_bytes with its flags; the others take none.
fn write(run: &mut Run<'_>, [dst, off, src, len, flags]: [u64; 5]) -> Result<u64, Fault> {
    let d = Dynptr::read(run, dst)?;
    if d.data == 0 || d.read_only {
        return Ok(errno(Errno::EINVAL));
    }
    let (len, off) = (u64::from(len as u32), u64::from(off as u32));
    if !d.holds(off, len) {
        return Ok(errno(Errno::E2BIG));
    }
    if flags & !if d.sort == Sort::Skb { 3 } else { 0 } != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let bytes = run.bytes(src, len)?;
    if d.is_packet() {
        let at = u64::from(d.offset) + off;
        let done = run.ctx.packet.as_ref().is_some_and(|p| p.write(at as usize, &bytes));
        return Ok(if done { 0 } else { errno(if d.sort == Sort::Skb { Errno::EFAULT } else { Errno::EINVAL }) });
    }
    run.write(d.data + u64::from(d.offset) + off, &bytes)?;
    Ok(0)
}

/// A direct pointer; packets have none.
fn data(run: &mut Run<'_>, [dynptr, off, len, ..]: [u64; 5]) -> Result<u64, Fault> {
    let d = Dynptr::read(run, dynptr)?;
    let (off, len) = (u64::from(off as u32), u64::from(len as u32));
    if d.data == 0 || d.read_only || d.is_packet() || !d.holds(off, len) {
        return Ok(0);
    }
    Ok(d.data + u64::from(d.offset) + off)
}

/// A dynptr over the run's packet, for the kfuncs.
pub fn of_packet(run: &Run<'_>) -> Option<Dynptr> {
    let size = run.ctx.packet.as_ref()?.len() as u32;
    let sort = if run.ctx.family == CtxFamily::Xdp { Sort::Xdp } else { Sort::Skb };
    let read_only = !spec::prog::packet_rules(run.ctx.prog_type).write;
    Some(Dynptr { data: run.ctx.addr(), size, offset: 0, read_only, sort })
}
