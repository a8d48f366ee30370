//! Comparisons of packet pointers with the end of the packet: bytes proven to exist, and pointers known to lie at or beyond
//! the end.

use super::Jump;
use crate::env::Verifier;
use crate::reg::{Ext, Kind, Reg, RegType};
use crate::state::State;
use crate::value::refine::Cmp;

/// No packet is longer.
const MAX_PACKET_OFF: u64 = 0xffff;

/// The outcome, for a pointer that an earlier comparison put at or beyond the end.
pub(super) fn decide(cmp: Cmp, dst: &Reg, src: &Reg) -> Option<bool> {
    let (pkt, cmp) = if src.ty.is(Kind::PacketEnd) {
        (dst, cmp)
    } else if dst.ty.is(Kind::PacketEnd) {
        (src, cmp.mirror())
    } else {
        return None;
    };
    match (pkt.range(), cmp) {
        (Ext::BEYOND_END, Cmp::Gt | Cmp::Ge) | (Ext::AT_END, Cmp::Ge) => Some(true),
        (Ext::BEYOND_END, Cmp::Lt | Cmp::Le) | (Ext::AT_END, Cmp::Lt) => Some(false),
        _ => None,
    }
}

/// The start of the packet, as loaded from the context.
fn is_unmodified_packet(r: &Reg) -> bool {
    r.ty.is(Kind::Packet) && r.id == 0 && r.off == 0 && r.val.is_zero()
}

fn is_bounded_by(p: &Reg, end: &Reg) -> bool {
    p.ty.is(Kind::Packet) && end.ty.is(Kind::PacketEnd) || p.ty.is(Kind::PacketMeta) && is_unmodified_packet(end)
}

impl Verifier<'_> {
    /// Applies a comparison with the end. False when the jump is none.
    pub(super) fn learn_packet_range(&mut self, jump: &Jump, queued: usize) -> bool {
        if !jump.is_wide() || !jump.reg_form() {
            return false;
        }
        let (p, number, cmp) = if is_bounded_by(&jump.dst, &jump.src) {
            (&jump.dst, jump.insn.dst, jump.cmp)
        } else if is_bounded_by(&jump.src, &jump.dst) {
            (&jump.src, jump.insn.src, jump.cmp.mirror())
        } else {
            return false;
        };
        let offset_in_one = self.profile.changes.offset_in_one;
        let target = &mut self.queue[queued].state;
        let here = &mut self.cur;
        // (side on which bytes are proven, other side, one byte more, pointer is past the end on the other side)
        let (inside, outside, open, end) = match cmp {
            Cmp::Gt => (here, target, false, Ext::BEYOND_END),
            Cmp::Ge => (here, target, true, Ext::AT_END),
            Cmp::Lt => (target, here, true, Ext::AT_END),
            Cmp::Le => (target, here, false, Ext::BEYOND_END),
            _ => return false,
        };
        prove_bytes(inside, p, open, offset_in_one);
        let past = &mut outside.frame_mut().regs[number as usize];
        if past.ty.is(Kind::Packet) {
            past.ext = Ext::Range(end);
        }
        true
    }
}

/// Up to `p` (one byte more if `open`) the packet exists: so it does for every pointer with the same origin.
fn prove_bytes(state: &mut State, p: &Reg, open: bool, offset_in_one: bool) {
    let (ty, id): (RegType, u32) = (p.ty, p.id);
    let whole = p.offset();
    let off = if offset_in_one { whole.smax } else { p.off.into() };
    if off < 0 || off == 0 && open {
        return;
    }
    if p.val.umax > MAX_PACKET_OFF || whole.umax > MAX_PACKET_OFF {
        return;
    }
    let proven = if offset_in_one { whole.umax as i32 } else { p.off } + open as i32;
    state.for_each_reg_mut(|reg| {
        if reg.ty == ty && reg.id == id {
            reg.ext = Ext::Range(reg.range().max(proven));
        }
    });
}
