//! Memory of a known size: is an offset with a fixed and a variable part inside it? Which memory it is, the callers know.

use crate::env::Verifier;
use crate::mem::{Access, Request};
use crate::reg::{Flags, Kind, Reg};
use crate::reject::{R, Reject};

/// Pointers never move further than this.
pub const MAX_OFF: u64 = 1 << 29;

/// How the "invalid access" line names the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    MapKey,
    MapValue,
    Memory,
    Context,
    /// Bytes of a packet that were proven to exist.
    Packet {
        id: u32,
    },
}

impl std::fmt::Display for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Region::MapKey => "map key, key_size",
            Region::MapValue => "map value, value_size",
            Region::Memory => "memory, mem_size",
            Region::Context => "context, ctx_size",
            Region::Packet { .. } => "packet",
        })
    }
}

fn inside(off: i64, size: u32, limit: u32, zero_allowed: bool) -> bool {
    off >= 0 && (size > 0 || zero_allowed) && (off as u64) + u64::from(size) <= u64::from(limit)
}

impl Verifier<'_> {
    pub fn check_region(&mut self, regno: u8, off: i32, size: u32, limit: u32, zero_allowed: bool) -> R {
        let reg = self.reg(regno);
        let what = match reg.ty.kind {
            Kind::MapKey if reg.ty.is(Kind::MapKey) => Region::MapKey,
            Kind::MapValue if reg.ty.is(Kind::MapValue) => Region::MapValue,
            Kind::Packet | Kind::PacketMeta => Region::Packet { id: reg.id },
            Kind::Ctx => Region::Context,
            _ => Region::Memory,
        };
        let line = |v: &mut Self, off: i64| {
            let off = off as i32;
            v.note(&match what {
                Region::Packet { id } => Reject::PacketLine { off, size, reg: regno, id, range: limit as i32 },
                _ => Reject::RegionLine { what, limit, off, size },
            });
        };
        let (smin, umax, off) = if self.profile.changes.offset_in_one {
            let whole = reg.offset();
            (whole.smin, whole.umax, off - reg.off)
        } else {
            (reg.val.smin, reg.val.umax, off)
        };
        let low = i64::from(off).checked_add(smin);
        if smin < 0 && (smin == i64::MIN || low.is_none_or(|l| i32::try_from(l).is_err() || l < 0)) {
            return Err(Reject::MinNegative { reg: regno });
        }
        let low = low.unwrap_or(i64::MAX);
        if !inside(low, size, limit, zero_allowed) {
            line(self, low);
            return Err(Reject::MinOutside { reg: regno });
        }
        if umax >= MAX_OFF {
            return Err(Reject::Unbounded { reg: regno });
        }
        let high = umax as i64 + i64::from(off);
        if !inside(high, size, limit, zero_allowed) {
            line(self, high);
            return Err(Reject::MaxOutside { reg: regno });
        }
        Ok(())
    }

    /// `mem` with all its flags.
    pub(super) fn mem_access(&mut self, q: &Request, reg: &Reg, off: i32) -> R {
        if reg.ty.maybe_null() {
            return Err(Reject::InvalidMemAccess { reg: q.base, ty: reg.ty });
        }
        if q.access == Access::Write && reg.ty.flags.has(Flags::RDONLY) {
            return Err(Reject::CannotWrite { reg: q.base, ty: reg.ty });
        }
        self.check_leak(q, "mem")?;
        // Untrusted memory has no bounds: reads of it cannot fault.
        if !reg.ty.flags.has(Flags::RDONLY | Flags::UNTRUSTED) {
            self.check_region(q.base, off, q.size, reg.mem_size(), false)?;
        }
        self.load_unknown(q);
        Ok(())
    }
}
