//! Pointer plus or minus scalar: which pointers may move, how far, and what the result points to.

use crate::alu::{alu_width, operator};
use crate::env::Verifier;
use crate::reg::{Ext, Flags, Kind, Reg, RegType};
use crate::reject::{R, Reject};
use crate::value::{Scalar, Width, alu};
use isa::Insn;
use isa::consts::*;
use spec::profile::Changes;

/// No offset of a pointer, and nothing added to one, reaches this.
const MAX_OFFSET: i64 = 1 << 29;

impl Verifier<'_> {
    /// `dst op= src` with one pointer `p` (in register `p_reg`) and one scalar `x`.
    pub(crate) fn pointer_arith(&mut self, insn: Insn, p_reg: u8, p: &Reg, x: &Reg) -> R {
        let op = insn.code & 0xf0;
        let dst = insn.dst;
        if is_impossible(&x.val) {
            self.mark_unknown(dst);
            return Ok(());
        }
        if alu_width(insn) == Width::W32 {
            if op == BPF_SUB && self.privs.ptr_leaks {
                self.mark_unknown(dst);
                return Ok(());
            }
            return Err(Reject::PointerArithmetic32 { reg: dst });
        }
        if p.ty.maybe_null() {
            return Err(Reject::PointerArithmeticMaybeNull { reg: dst, ty: p.ty });
        }
        if p.ty.kind == Kind::Mem && p.ty.flags.has(Flags::UNTRUSTED) {
            return Ok(());
        }
        if !may_move(p, x, op, &self.profile.changes) {
            return Err(Reject::PointerArithmeticOn { reg: dst, ty: p.ty });
        }
        check_offset(x, p.ty)?;
        self.check_pointer_offset(p)?;
        {
            let d = self.reg_mut(dst);
            (d.ty, d.id) = (p.ty, p.id);
            d.val.unbound32();
        }
        let sanitized = match op {
            BPF_ADD | BPF_SUB => self.sanitize_pointer(insn, p_reg, p, x)?,
            _ => None,
        };
        match op {
            BPF_ADD => self.pointer_plus(dst, p, x),
            BPF_SUB if p_reg != dst => return Err(Reject::PointerFromScalar { reg: dst }),
            BPF_SUB if p.ty.is(Kind::Stack) => return Err(Reject::StackPointerSub { reg: dst }),
            BPF_SUB => self.pointer_minus(dst, p, x),
            BPF_AND | BPF_OR | BPF_XOR => {
                return Err(Reject::PointerBitwise { reg: dst, op: operator(insn.code) });
            }
            _ => return Err(Reject::PointerOperator { reg: dst, op: operator(insn.code) }),
        }
        self.check_pointer_offset(&Reg { ty: p.ty, ..self.reg(dst) })?;
        let rules = self.rules;
        self.reg_mut(dst).val.sync(&rules);
        if !self.privs.bypass_v1 {
            self.check_moved_pointer(dst)?;
        }
        match sanitized {
            Some(first) => self.sanitize_moved(insn, p_reg, first),
            None => Ok(()),
        }
    }

    fn pointer_plus(&mut self, dst: u8, p: &Reg, x: &Reg) {
        let fixed = x.val.const_value().and_then(|_| (p.off as i64).checked_add(x.val.smin));
        if let Some(off) = self.fixed_part(p, fixed) {
            return self.set_fixed(dst, p, off);
        }
        let elsewhere = self.moves_to_new_place(p, x);
        let (from, off) = self.parts(p);
        let id = if elsewhere { self.new_id() } else { p.id };
        let d = self.reg_mut(dst);
        alu::displace_up(&from, &x.val, &mut d.val);
        d.off = off;
        d.id = id;
        d.ext = if elsewhere { Ext::None } else { p.ext };
    }

    fn pointer_minus(&mut self, dst: u8, p: &Reg, x: &Reg) {
        let fixed = x.val.const_value().and_then(|_| (p.off as i64).checked_sub(x.val.smin));
        if let Some(off) = self.fixed_part(p, fixed) {
            return self.set_fixed(dst, p, off);
        }
        let elsewhere = self.moves_to_new_place(p, x);
        let (from, off) = self.parts(p);
        let id = if elsewhere { self.new_id() } else { p.id };
        let d = self.reg_mut(dst);
        alu::displace_down(&from, &x.val, &mut d.val);
        d.off = off;
        d.id = id;
        // A packet pointer that moved towards the start keeps the bytes proven behind it.
        d.ext = if elsewhere && x.val.smin < 0 { Ext::None } else { p.ext };
    }

    /// The fixed part of the result, if the move changes only that.
    fn fixed_part(&self, p: &Reg, fixed: Option<i64>) -> Option<i32> {
        let apart = !self.profile.changes.offset_in_one || p.val.is_zero();
        fixed.filter(|_| apart).and_then(|off| i32::try_from(off).ok())
    }

    /// What moves by an unknown distance: the variable part; the fixed one stays.
    fn parts(&self, p: &Reg) -> (Scalar, i32) {
        if self.profile.changes.offset_in_one { (p.offset(), 0) } else { (p.val, p.off) }
    }

    /// A packet pointer moved by an unknown distance: what was proven about its like says nothing of it.
    fn moves_to_new_place(&self, p: &Reg, x: &Reg) -> bool {
        p.ty.is_packet() && !(self.profile.changes.offset_in_one && x.val.is_const())
    }

    fn check_pointer_offset(&self, p: &Reg) -> R {
        let (val, off) = self.parts(p);
        if self.profile.changes.offset_in_one && is_too_far(val.smin) {
            return Err(Reject::PointerOffset { ty: p.ty, off: val.smin });
        }
        check_offset(&Reg { val, off, ..*p }, p.ty)
    }

    /// The pointer with another fixed offset; its 32-bit bounds start from nothing, as after any move.
    fn set_fixed(&mut self, dst: u8, p: &Reg, off: i32) {
        let d = self.reg_mut(dst);
        d.val = p.val;
        d.val.unbound32();
        d.off = off;
        d.ext = p.ext;
    }
}

/// Contradictory numbers: the path cannot happen.
fn is_impossible(x: &Scalar) -> bool {
    x.is_const() && (x.smin != x.smax || x.umin != x.umax) || x.smin > x.smax || x.umin > x.umax
}

fn may_move(p: &Reg, x: &Reg, op: u8, changes: &Changes) -> bool {
    match p.ty.kind {
        Kind::Ctx
        | Kind::MapValue
        | Kind::MapKey
        | Kind::Stack
        | Kind::PacketMeta
        | Kind::Packet
        | Kind::TpBuffer
        | Kind::Btf
        | Kind::Mem
        | Kind::Buf
        | Kind::Func
        | Kind::DynptrPtr => true,
        Kind::FlowKeys if x.val.is_const() || !changes.flow_keys_fixed => true,
        Kind::FlowKeys | Kind::MapPtr => x.val.is_const() && x.val.smin == 0 && op == BPF_ADD,
        Kind::NotInit
        | Kind::Scalar
        | Kind::PacketEnd
        | Kind::Sock
        | Kind::SockCommon
        | Kind::TcpSock
        | Kind::XdpSock
        | Kind::Arena => false,
    }
}

fn is_too_far(v: i64) -> bool {
    v >= MAX_OFFSET || v <= -MAX_OFFSET
}

/// Offsets stay small enough that sums of them cannot overflow. `ty` is the pointer's, whichever operand is looked at.
fn check_offset(r: &Reg, ty: RegType) -> R {
    if let Some(value) = r.val.const_value().map(|v| v as i64).filter(|v| is_too_far(*v)) {
        return Err(Reject::PointerMathConst { ty, value });
    }
    if is_too_far(r.off.into()) {
        return Err(Reject::PointerOffset { ty, off: r.off.into() });
    }
    if r.val.smin == i64::MIN {
        return Err(Reject::PointerMathUnbounded { ty });
    }
    if is_too_far(r.val.smin) {
        return Err(Reject::PointerValueOutOfBounds { ty, value: r.val.smin });
    }
    Ok(())
}
