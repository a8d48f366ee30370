//! Packet data and metadata: bytes are there as far as a comparison with the packet's end has shown.

use crate::env::Verifier;
use crate::mem::Request;
use crate::reg::Reg;
use crate::reject::errno::{EACCES, EINVAL};
use crate::reject::{R, Reject};

impl Verifier<'_> {
    pub(super) fn packet_insn(&mut self, q: &Request, reg: &Reg, off: i32) -> R {
        if q.access.writes() && !spec::prog::packet_rules(self.prog_type).write {
            return Err(Reject::PacketReadOnly);
        }
        self.check_leak(q, "packet")?;
        self.check_packet_range(q.base, reg, off, q.size, false)?;
        self.load_unknown(q);
        Ok(())
    }

    /// `size` bytes at `off` were proven to exist. Where a fixed offset is kept apart the range covers the variable part, else it counts
    /// from the start.
    pub(super) fn check_packet_range(&mut self, regno: u8, reg: &Reg, off: i32, size: u32, zero_allowed: bool) -> R {
        let one = self.profile.changes.offset_in_one;
        if !one && reg.val.smin < 0 {
            return Err(Reject::MinNegative { reg: regno });
        }
        let range = reg.range();
        if range < 0 {
            return Err(Reject::PacketOutside { reg: regno, errno: EINVAL });
        }
        if one {
            return self.check_region(regno, off, size, range as u32, zero_allowed);
        }
        let end = off as i64 + i64::from(size);
        if off < 0 || (size == 0 && !zero_allowed) || end > i64::from(range) {
            self.note(&Reject::PacketLine { off, size, reg: regno, id: reg.id, range });
            return Err(Reject::PacketOutside { reg: regno, errno: EACCES });
        }
        Ok(())
    }
}
