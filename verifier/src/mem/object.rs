//! Sockets, flow keys, tracepoint buffers, iterator buffers, map objects: small kernel objects with rules of their own.

use crate::env::Verifier;
use crate::mem::{Access, Request};
use crate::reg::{Flags, Kind, Reg};
use crate::reject::errno::ENOTSUPP;
use crate::reject::{R, Reject};
use spec::ctx::{AccessKind, FieldReg};

/// Bytes of `struct bpf_flow_keys`.
const FLOW_KEYS_SIZE: i32 = 56;

impl Verifier<'_> {
    pub(super) fn sock_access(&mut self, q: &Request, reg: &Reg, off: i32) -> R {
        if q.access == Access::Write {
            return Err(Reject::CannotWrite { reg: q.base, ty: reg.ty });
        }
        if reg.val.smin < 0 {
            return Err(Reject::MinNegative { reg: q.base });
        }
        let fields = match reg.ty.kind {
            Kind::Sock => FieldReg::Sock,
            Kind::SockCommon => FieldReg::SockCommon,
            Kind::TcpSock => FieldReg::TcpSock,
            _ => FieldReg::XdpSock,
        };
        let Some(found) = spec::ctx::reg_access(fields, self.profile.version, off, q.size, AccessKind::Read) else {
            return Err(Reject::InvalidSockAccess { reg: q.base, ty: reg.ty, off, size: q.size });
        };
        self.note_conversion(found.conversion_fails);
        self.load_unknown(q);
        Ok(())
    }

    pub(super) fn flow_keys_access(&mut self, q: &Request, off: i32) -> R {
        self.check_leak(q, "flow keys")?;
        if off < 0 || i64::from(off) + i64::from(q.size) > i64::from(FLOW_KEYS_SIZE) {
            return Err(Reject::InvalidFlowKeys { off, size: q.size });
        }
        self.load_unknown(q);
        Ok(())
    }

    pub(super) fn tp_buffer_access(&mut self, q: &Request, reg: &Reg, off: i32) -> R {
        self.check_buffer(q, reg, off, "tracepoint")?;
        self.load_unknown(q);
        Ok(())
    }

    pub(super) fn buf_access(&mut self, q: &Request, reg: &Reg, off: i32) -> R {
        let rdonly = reg.ty.flags.has(Flags::RDONLY);
        if rdonly && q.access == Access::Write {
            return Err(Reject::CannotWrite { reg: q.base, ty: reg.ty });
        }
        self.check_buffer(q, reg, off, if rdonly { "rdonly" } else { "rdwr" })?;
        self.load_unknown(q);
        Ok(())
    }

    /// A buffer whose size is only known when the program is attached.
    pub(super) fn check_buffer(&mut self, q: &Request, reg: &Reg, off: i32, what: &'static str) -> R {
        if off < 0 {
            let (fixed, insn_off) = (reg.off, off - reg.off);
            return Err(Reject::InvalidBuffer { reg: q.base, what, off, size: q.size, fixed, insn_off });
        }
        let var = reg.val.var_off;
        if !var.is_const() || var.value != 0 {
            return Err(Reject::VariableBuffer { reg: q.base, off, value: var.value, mask: var.mask });
        }
        Ok(())
    }

    /// A field of the kernel's map object.
    pub(super) fn map_ptr_access(&mut self, q: &Request, reg: &Reg) -> R {
        let Some(map) = reg.map() else { return Err(Reject::bug("map pointer without map")) };
        let def = self.map(map).def.clone();
        let Some(name) = self.map(map).ty.and_then(spec::map::object_struct) else {
            return Err(Reject::MapPtrType { map_type: def.map_type, errno: ENOTSUPP });
        };
        if !self.privs.ptr_leaks {
            return Err(Reject::KernelStructPrivileged { name: name.to_owned() });
        }
        if q.off < 0 {
            return Err(Reject::MapPtrNegative { reg: q.base, name, off: q.off });
        }
        if q.access == Access::Write {
            return Err(Reject::MapPtrReadOnly { name });
        }
        self.map_object_field(q, name)
    }
}
