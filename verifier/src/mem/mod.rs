//! Loads and stores: operands, alignment, which rule applies to which pointer, what a load leaves behind. Each kind of pointer has a file of
//! its own; memory handed to helpers and kfuncs is in `arg`.

mod arg;
mod atomic;
mod btf;
mod btf_ctx;
mod ctx;
mod ld;
mod map_value;
mod object;
mod packet;
mod region;
mod stack;

pub use arg::RawMode;
pub use region::Region;

use crate::env::Verifier;
use crate::pass::form;
use crate::reg::{Flags, Kind, Reg, RegType};
use crate::reject::{R, Reject, TnumText};
use crate::value::Tnum;
use isa::Insn;
use isa::consts::*;

/// Direction of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

impl Access {
    pub const fn writes(self) -> bool {
        matches!(self, Access::Write)
    }
    /// As stack messages say it.
    pub const fn stack_words(self) -> &'static str {
        match self {
            Access::Read => " read from",
            Access::Write => " write to",
        }
    }
}

/// Where the result of a load goes, or what a store writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub base: u8,
    /// Offset in the instruction.
    pub off: i32,
    pub size: u32,
    pub access: Access,
    /// Load: destination. Store: the register stored. None: an immediate, or no value at all.
    pub value: Option<u8>,
    /// Aligned even where the architecture does not need it.
    pub strict: bool,
    pub sign_extend: bool,
}

impl Request {
    /// What a load or store instruction asks for.
    pub(super) fn of(insn: Insn, base: u8, access: Access, value: Option<u8>) -> Request {
        let (off, size) = (insn.off.into(), access_size(insn.code));
        Request { base, off, size, access, value, strict: false, sign_extend: false }
    }
    pub(super) fn strict(self) -> Request {
        Request { strict: true, ..self }
    }
}

/// Bytes of a load or store opcode.
pub fn access_size(code: u8) -> u32 {
    match code & 0x18 {
        BPF_W => 4,
        BPF_H => 2,
        BPF_B => 1,
        _ => 8,
    }
}

/// Packets are taken to start here, as on machines that need alignment.
const NET_IP_ALIGN: i64 = 2;

impl Verifier<'_> {
    pub fn check_ldx(&mut self, insn: Insn) -> R {
        self.check_reg_read(insn.src)?;
        self.check_reg_write(insn.dst)?;
        let base = self.reg(insn.src).ty;
        let load = Request::of(insn, insn.src, Access::Read, Some(insn.dst));
        self.check_access(Request { sign_extend: mode(insn.code) == BPF_MEMSX, ..load })?;
        self.same_insn_type(base, true)?;
        self.check_reg_invariants(insn.dst, "ldx")
    }

    pub fn check_stx(&mut self, insn: Insn) -> R {
        form::fields(insn)?;
        self.check_store_reg(insn, false)
    }

    /// A store of a register, plain or as store-release.
    fn check_store_reg(&mut self, insn: Insn, strict: bool) -> R {
        self.check_reg_read(insn.src)?;
        self.check_reg_read(insn.dst)?;
        let base = self.reg(insn.dst).ty;
        let store = Request::of(insn, insn.dst, Access::Write, Some(insn.src));
        self.check_access(Request { strict, ..store })?;
        self.same_insn_type(base, false)
    }

    pub fn check_st(&mut self, insn: Insn) -> R {
        form::fields(insn)?;
        self.check_reg_read(insn.dst)?;
        let base = self.reg(insn.dst).ty;
        if base.kind == Kind::Ctx && !self.profile.changes.ctx_takes_immediates {
            return Err(Reject::CtxImmediate { reg: insn.dst, ty: base });
        }
        self.check_access(Request::of(insn, insn.dst, Access::Write, None))?;
        self.same_insn_type(base, false)
    }

    /// An access that is not a whole instruction: of dynptr and iterator slots, of helpers.
    #[expect(clippy::too_many_arguments, reason = "the parts of a request, for callers that have no instruction")]
    pub fn check_mem_access(
        &mut self,
        base: u8,
        off: i32,
        size: u32,
        access: Access,
        value: Option<u8>,
        strict: bool,
        sign_extend: bool,
    ) -> R {
        self.check_access(Request { base, off, size, access, value, strict, sign_extend })
    }

    /// The decision: alignment, the rule of the pointer's kind, and what is known of a loaded value.
    pub fn check_access(&mut self, q: Request) -> R {
        let reg = self.reg(q.base);
        self.check_alignment(&reg, q.off, q.size, q.strict)?;
        let off = q.off.wrapping_add(reg.off);
        match reg.ty.kind {
            Kind::MapKey if reg.ty.is(Kind::MapKey) => self.map_key_access(&q, &reg, off)?,
            Kind::MapValue if reg.ty.is(Kind::MapValue) => self.map_value_access(&q, &reg, off)?,
            Kind::Mem => self.mem_access(&q, &reg, off)?,
            Kind::Ctx => self.ctx_access(&q, &reg)?,
            Kind::Stack => self.stack_access(&q, &reg, off)?,
            Kind::Packet | Kind::PacketMeta if reg.ty.is_packet() => self.packet_insn(&q, &reg, off)?,
            Kind::FlowKeys => self.flow_keys_access(&q, off)?,
            _ if reg.ty.is_sock_like() => self.sock_access(&q, &reg, off)?,
            Kind::TpBuffer => self.tp_buffer_access(&q, &reg, off)?,
            Kind::Btf if !reg.ty.maybe_null() => self.btf_access(&q)?,
            Kind::MapPtr => self.map_ptr_access(&q, &reg)?,
            Kind::Buf if !reg.ty.maybe_null() => self.buf_access(&q, &reg, off)?,
            Kind::Arena => self.load_unknown(&q),
            _ => return Err(Reject::InvalidMemAccess { reg: q.base, ty: reg.ty }),
        }
        self.note_access(reg.ty);
        if q.access == Access::Read
            && q.size < 8
            && let Some(dst) = q.value
            && self.reg(dst).is_scalar()
        {
            let rules = self.rules;
            let val = &mut self.reg_mut(dst).val;
            if q.sign_extend {
                val.sign_extend64(q.size);
            } else {
                val.coerce(q.size, &rules);
            }
        }
        Ok(())
    }

    /// The destination of a load becomes an unknown number.
    fn load_unknown(&mut self, q: &Request) {
        if let (Access::Read, Some(dst)) = (q.access, q.value) {
            self.mark_unknown(dst);
        }
    }

    /// The destination of a load becomes this pointer.
    fn load_reg(&mut self, q: &Request, reg: Reg) {
        if let (Access::Read, Some(dst)) = (q.access, q.value) {
            let mut reg = Reg { precise: !self.privs.bpf, ..reg };
            if !self.profile.changes.trusted_pointers {
                reg.ty = reg.ty.without(Flags::TRUSTED);
            }
            *self.reg_mut(dst) = reg;
        }
    }

    /// A store of a pointer by a program that may not leak it.
    fn check_leak(&self, q: &Request, into: &'static str) -> R {
        match q.value {
            Some(v) if q.access.writes() && !self.privs.ptr_leaks && self.is_pointer(v) => {
                Err(Reject::LeaksAddr { reg: v, into })
            }
            _ => Ok(()),
        }
    }

    pub fn check_alignment(&self, reg: &Reg, off: i32, size: u32, strict_once: bool) -> R {
        if size == 1 {
            return Ok(());
        }
        let strict = strict_once || self.strict_alignment;
        let (what, strict, base) = match reg.ty.kind {
            Kind::Packet | Kind::PacketMeta => ("packet ", strict, NET_IP_ALIGN),
            Kind::Arena => return Ok(()),
            Kind::Stack => ("stack ", true, 0),
            Kind::FlowKeys => ("flow keys ", strict, 0),
            Kind::MapKey if reg.ty.is(Kind::MapKey) => ("key ", strict, 0),
            Kind::MapValue if reg.ty.is(Kind::MapValue) => ("value ", strict, 0),
            Kind::Ctx => ("context ", strict, 0),
            Kind::Sock if reg.ty.is(Kind::Sock) => ("sock ", strict, 0),
            Kind::SockCommon if reg.ty.is(Kind::SockCommon) => ("sock_common ", strict, 0),
            Kind::TcpSock if reg.ty.is(Kind::TcpSock) => ("tcp_sock ", strict, 0),
            Kind::XdpSock if reg.ty.is(Kind::XdpSock) => ("xdp_sock ", strict, 0),
            _ => ("", strict, 0),
        };
        if !strict {
            return Ok(());
        }
        let fixed = base + i64::from(reg.off) + i64::from(off);
        if reg.val.var_off.add(Tnum::constant(fixed as u64)).is_aligned(u64::from(size)) {
            return Ok(());
        }
        let (var, fixed) = if self.profile.changes.offset_in_one {
            (TnumText(reg.offset().var_off), 0)
        } else {
            (TnumText(reg.val.var_off), reg.off)
        };
        Err(if what == "packet " {
            Reject::MisalignedPacket { base, var, fixed, off, size }
        } else {
            Reject::Misaligned { what, var, fixed, off, size }
        })
    }

    /// One instruction must not be used with pointers that are converted differently.
    fn same_insn_type(&mut self, ty: RegType, may_merge: bool) -> R {
        let converted = |t: RegType| {
            matches!(
                t.kind,
                Kind::Ctx | Kind::Sock | Kind::SockCommon | Kind::TcpSock | Kind::XdpSock | Kind::Btf | Kind::Arena
            )
        };
        let aux = &mut self.aux[self.insn_idx as usize];
        let Some(prev) = aux.ptr_type else {
            aux.ptr_type = Some(ty);
            return Ok(());
        };
        if prev == ty || !(converted(prev) || converted(ty)) {
            return Ok(());
        }
        let mergeable = |t: RegType| matches!(t.kind, Kind::Mem | Kind::Btf);
        if may_merge && mergeable(prev) && mergeable(ty) {
            let kind = if prev.kind == Kind::Mem || ty.kind == Kind::Mem { Kind::Mem } else { Kind::Btf };
            let mut merged = RegType::of(kind);
            for flag in [Flags::UNTRUSTED, Flags::RDONLY] {
                if prev.flags.has(flag) || ty.flags.has(flag) {
                    merged = merged.with(flag);
                }
            }
            aux.ptr_type = Some(merged);
            return Ok(());
        }
        Err(Reject::DifferentPointers)
    }

    /// "Unmodified pointer": no variable offset, no negative one, no fixed one unless allowed.
    pub fn check_ptr_off_reg(&self, reg: &Reg, regno: u8, fixed_ok: bool) -> R {
        let ty = reg.ty;
        if reg.off < 0 {
            return Err(Reject::NegativeOffset { reg: regno, ty, off: reg.off });
        }
        if !fixed_ok && reg.off != 0 {
            return Err(Reject::ModifiedPointer { reg: regno, ty, off: reg.off });
        }
        let var = reg.val.var_off;
        if !var.is_const() || var.value != 0 {
            return Err(Reject::VariableAccess { ty, value: var.value, mask: var.mask });
        }
        Ok(())
    }

    /// Packets may have moved: pointers into them and slices of packet dynptrs are gone.
    pub fn clear_all_pkt_pointers(&mut self) {
        self.invalidate_regs(|r| {
            r.ty.is_packet_any()
                || (r.ty.kind == Kind::Mem
                    && r.ty.flags.any(Flags::DYNPTR_SKB | Flags::DYNPTR_XDP | Flags::DYNPTR_SKB_META))
        });
    }
}
