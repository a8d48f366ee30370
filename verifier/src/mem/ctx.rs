//! The context: fields by program type (`spec::ctx`), or arguments typed by the kernel's BTF (`btf`).

use crate::env::Verifier;
use crate::mem::{Access, Request};
use crate::reg::{BtfId, Ext, Flags, Kind, Reg, RegType};
use crate::reject::{R, Reject};
use ::btf::Kind as BtfKind;
use spec::ProgType;
use spec::ctx::{AccessKind, CtxReg};

/// The context of a program that runs as a system call, at most.
pub(super) const SYSCALL_CTX: u32 = 65535;

/// What a context load leaves in its destination.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loaded {
    Scalar,
    /// A scalar in this signed 32-bit range.
    Range(i32, i32),
    Pointer(Reg),
}

impl Verifier<'_> {
    pub(super) fn ctx_access(&mut self, q: &Request, reg: &Reg) -> R {
        self.check_leak(q, "ctx")?;
        let changes = &self.profile.changes;
        if changes.ctx_as_memory && self.prog_type == ProgType::Syscall {
            self.check_region(q.base, q.off.wrapping_add(reg.off), q.size, SYSCALL_CTX, false)?;
            self.load_unknown(q);
            return Ok(());
        }
        let moves = changes.ctx_as_memory && spec::prog::ctx_is_plain_memory(self.prog_type);
        self.check_ptr_off_reg(reg, q.base, moves)?;
        let loaded = self.check_ctx_access(q.off.wrapping_add(reg.off), q.size, q.access, q.sign_extend)?;
        if q.access == Access::Write {
            return Ok(());
        }
        let Some(dst) = q.value else { return Ok(()) };
        match loaded {
            Loaded::Scalar => self.mark_unknown(dst),
            Loaded::Range(min, max) => {
                self.mark_unknown(dst);
                let rules = self.rules;
                let reg = self.reg_mut(dst);
                reg.val.narrow_signed32(min, max, &rules);
                self.check_reg_invariants(dst, "s32_range")?;
            }
            Loaded::Pointer(p) => {
                let mut p = p;
                if p.ty.maybe_null() {
                    p.id = self.new_id();
                }
                self.load_reg(q, p);
            }
        }
        Ok(())
    }

    /// Whether this program may touch its context there.
    pub(super) fn check_ctx_access(&mut self, off: i32, size: u32, access: Access, sign_extend: bool) -> R<Loaded> {
        let result = match self.prog_type {
            ProgType::Tracing | ProgType::Lsm | ProgType::StructOps | ProgType::Ext => {
                self.btf_ctx_access(off, size, access)?
            }
            _ => self.plain_ctx_access(off, size, access, sign_extend),
        };
        if let Some(loaded) = result {
            return Ok(loaded);
        }
        // The source line comes behind the message, so the message is printed here.
        self.note(&Reject::InvalidContext { off, size });
        self.print_source_line(self.insn_idx as u32, "; ", true);
        Err(Reject::InvalidContextDone { off, size })
    }

    /// Only what runs is converted: an access that speculation alone reaches is dead code by then.
    pub(super) fn note_conversion(&mut self, fails: bool) {
        self.late_ctx_failure |= fails && !self.cur.speculative;
    }

    fn plain_ctx_access(&mut self, off: i32, size: u32, access: Access, sign_extend: bool) -> Option<Loaded> {
        let kind = match access {
            Access::Write => AccessKind::Write,
            Access::Read if sign_extend => AccessKind::ReadSx,
            Access::Read => AccessKind::Read,
        };
        let found = self.profile.ctx(&self.prog_context())?.access(self.profile.caps, off, size, kind)?;
        self.note_conversion(found.conversion_fails);
        let null = |nullable: bool| if nullable { Flags::MAYBE_NULL } else { Flags::NONE };
        let plain = |kind: Kind, flags: Flags| Loaded::Pointer(Reg::pointer(RegType { kind, flags }));
        Some(match found.reg {
            CtxReg::Scalar => Loaded::Scalar,
            CtxReg::Pkt => Loaded::Pointer(Reg { ext: Ext::Range(0), ..Reg::pointer(RegType::of(Kind::Packet)) }),
            CtxReg::PktMeta => {
                Loaded::Pointer(Reg { ext: Ext::Range(0), ..Reg::pointer(RegType::of(Kind::PacketMeta)) })
            }
            CtxReg::PktEnd => plain(Kind::PacketEnd, Flags::NONE),
            CtxReg::FlowKeys => plain(Kind::FlowKeys, Flags::NONE),
            CtxReg::Sock { nullable } => plain(Kind::Sock, null(nullable)),
            CtxReg::SockCommon { nullable } => plain(Kind::SockCommon, null(nullable)),
            CtxReg::TpBuffer => plain(Kind::TpBuffer, Flags::NONE),
            CtxReg::TrustedPtr(name) => {
                let id = self.btf(BtfId::KERNEL).and_then(|b| b.find_by_name_kind(name, BtfKind::Struct))?;
                Loaded::Pointer(Reg {
                    ext: Ext::Btf { btf: BtfId::KERNEL, id },
                    ..Reg::pointer(RegType::of(Kind::Btf).with(Flags::TRUSTED))
                })
            }
        })
    }
}
