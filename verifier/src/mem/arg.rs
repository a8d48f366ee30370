//! Memory that a call is given: by the kind of pointer, for a number of bytes that may come from another argument.

use crate::env::Verifier;
use crate::mem::stack::{Span, place};
use crate::mem::{Access, Request};
use crate::reg::{Flags, Kind, Reg, RegType};
use crate::reject::errno::EACCES;
use crate::reject::{R, Reject};
use crate::stack::Byte;

/// An output buffer that need not be initialised: remembered while the arguments are checked, overwritten after them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawMode {
    /// The argument is declared so.
    pub on: bool,
    pub regno: u8,
    /// Bytes to overwrite; 0 while none is remembered.
    pub size: u32,
}

impl Verifier<'_> {
    /// `size` bytes behind register `regno`.
    pub fn check_helper_mem_access(
        &mut self,
        regno: u8,
        size: u32,
        access: Access,
        zero_allowed: bool,
        raw: Option<&mut RawMode>,
    ) -> R {
        let reg = self.reg(regno);
        self.check_reg_mem(regno, &reg, size, access, zero_allowed, raw)?;
        if self.reg(regno).ty.is_pointer() {
            self.note_access(reg.ty);
        }
        Ok(())
    }

    fn check_reg_mem(
        &mut self,
        regno: u8,
        reg: &Reg,
        size: u32,
        access: Access,
        zero_allowed: bool,
        raw: Option<&mut RawMode>,
    ) -> R {
        let rdonly = reg.ty.flags.has(Flags::RDONLY);
        let writes = access == Access::Write;
        match reg.ty.kind {
            Kind::Packet | Kind::PacketMeta => self.check_packet_range(regno, reg, reg.off, size, zero_allowed),
            Kind::MapKey => {
                if writes {
                    return Err(Reject::CannotWrite { reg: regno, ty: reg.ty });
                }
                let limit = reg.map().map_or(0, |m| self.map(m).def.key_size);
                self.check_region(regno, reg.off, size, limit, false)
            }
            // A pointer that may be NULL gets here where NULL is an argument, too: its bounds count all the same.
            Kind::MapValue => {
                let Some(map) = reg.map() else { return Err(Reject::bug("map value without map")) };
                self.check_map_flags(map, reg.off, size, access)?;
                self.check_value_access(regno, reg.off, size, zero_allowed, true)
            }
            Kind::Mem => {
                if rdonly && writes {
                    return Err(Reject::CannotWrite { reg: regno, ty: reg.ty });
                }
                self.check_region(regno, reg.off, size, reg.mem_size(), zero_allowed)
            }
            Kind::Buf => {
                if rdonly && writes {
                    return Err(Reject::CannotWrite { reg: regno, ty: reg.ty });
                }
                let q = request(regno, size, access);
                self.check_buffer(&q, reg, reg.off, if rdonly { "rdonly" } else { "rdwr" })
            }
            Kind::Stack => self.check_stack_arg(regno, reg, size, access, zero_allowed, raw),
            Kind::Btf if self.profile.changes.trusted_pointers => {
                let access = if self.profile.changes.object_args_written { access } else { Access::Read };
                match self.btf_access(&request(regno, size, access)) {
                    Err(Reject::BtfReadOnly) => {
                        let name =
                            reg.btf().map(|(btf, id)| self.btf_type_name(btf, id).to_owned()).unwrap_or_default();
                        Err(Reject::BtfArgReadOnly { reg: regno, name, off: reg.off, size })
                    }
                    checked => checked,
                }
            }
            Kind::Ctx if self.ctx_is_memory_arg() => {
                if self.profile.changes.ctx_as_memory {
                    return self.check_region(regno, reg.off, size, super::ctx::SYSCALL_CTX, zero_allowed);
                }
                if size == 0 {
                    return if zero_allowed { Ok(()) } else { Err(Reject::Silent { errno: EACCES }) };
                }
                // The last byte stands for all of them.
                let q = Request { off: size as i32 - 1, size: 1, ..request(regno, 1, access) };
                self.check_access(q)
            }
            _ => {
                if zero_allowed && size == 0 && reg.is_null() {
                    return Ok(());
                }
                Err(Reject::NotMemory { reg: regno, ty: reg.ty })
            }
        }
    }

    /// The context may be handed over like any other memory.
    fn ctx_is_memory_arg(&self) -> bool {
        if self.profile.changes.ctx_as_memory {
            self.prog_type == spec::ProgType::Syscall
        } else {
            spec::prog::ctx_is_plain_memory(self.prog_type)
        }
    }

    /// The size argument `size_reg` and the memory in the register before it.
    pub fn check_mem_size_reg(
        &mut self,
        size_reg: u8,
        access: Access,
        zero_allowed: bool,
        mut raw: Option<&mut RawMode>,
    ) -> R {
        let size = self.reg(size_reg);
        if !size.val.var_off.is_const()
            && let Some(raw) = raw.as_deref_mut()
        {
            raw.on = false;
        }
        if size.val.smin < 0 {
            return Err(Reject::SizeNegative { reg: size_reg });
        }
        let changes = self.profile.changes;
        let unwritten = !size.val.var_off.is_const() && !changes.unknown_sizes_write;
        let access = match self.reg(size_reg - 1).ty.kind {
            Kind::MapValue if unwritten => Access::Read,
            _ => access,
        };
        if size.val.umin == 0 && !changes.zero_size_first {
            self.check_helper_mem_access(size_reg - 1, 0, access, zero_allowed, raw.as_deref_mut())?;
        }
        if size.val.umin == 0 && !zero_allowed && changes.zero_size_first {
            return Err(Reject::SizeZero { reg: size_reg, umin: size.val.umin, umax: size.val.umax });
        }
        if size.val.umax >= crate::mem::region::MAX_OFF {
            return Err(Reject::SizeUnbounded { reg: size_reg });
        }
        self.check_helper_mem_access(size_reg - 1, size.val.umax as u32, access, zero_allowed, raw)?;
        self.mark_precise(size_reg)
    }

    fn check_stack_arg(
        &mut self,
        regno: u8,
        reg: &Reg,
        size: u32,
        access: Access,
        zero_allowed: bool,
        raw: Option<&mut RawMode>,
    ) -> R {
        if size == 0 && !zero_allowed {
            return Err(Reject::ZeroSizedRead);
        }
        let span = self.stack_span(regno, reg, reg.off, size, access, true)?;
        let subprog = self.cur.frames[span.frame].subprog as usize;
        self.note_stack_access(subprog, span.min);
        let fixed = reg.val.var_off.is_const();
        if !fixed && !self.privs.bypass_v1 {
            return Err(Reject::VarStackUnprivileged {
                reg: regno,
                value: reg.val.var_off.value,
                mask: reg.val.var_off.mask,
            });
        }
        if let Some(raw) = raw
            && raw.on
        {
            if fixed {
                self.check_no_dynptr(span)?;
                *raw = RawMode { on: true, regno, size };
                return Ok(());
            }
            raw.on = false;
        }
        self.check_stack_initialised(regno, reg, span, size, access, true)
    }

    /// Output buffers must not cover a dynptr.
    fn check_no_dynptr(&self, span: Span) -> R {
        if !self.profile.changes.dynptr_ids {
            return Ok(());
        }
        for off in span.min..span.end {
            let (k, byte) = place(off);
            let slot = self.cur.frames[span.frame].stack.get(k);
            if slot.is_some_and(|s| s.bytes[byte] == Byte::Dynptr) {
                return Err(Reject::WritesDynptr { off });
            }
        }
        Ok(())
    }

    /// Every byte that may be read is initialised. What is (also) written becomes unknown.
    pub(super) fn check_stack_initialised(
        &mut self,
        regno: u8,
        reg: &Reg,
        span: Span,
        size: u32,
        access: Access,
        by_call: bool,
    ) -> R {
        let unknown = self.unknown();
        let (uninit, leaks) = (self.privs.uninit_stack, self.privs.ptr_leaks);
        let objects_stay = !self.profile.changes.read_objects_unknown;
        let writes = access == Access::Write || !self.profile.changes.reading_keeps_stack;
        for off in span.min..span.end {
            let (k, byte) = place(off);
            let slot = self.cur.frames[span.frame].stack.get_mut(k);
            let readable = slot.is_some_and(|slot| match slot.bytes[byte] {
                Byte::Misc => true,
                Byte::Zero => {
                    if writes {
                        slot.bytes[byte] = Byte::Misc;
                    }
                    true
                }
                Byte::Invalid | Byte::Poison if uninit => {
                    if writes {
                        slot.bytes[byte] = Byte::Misc;
                    }
                    true
                }
                _ if slot.is_full_spill() && objects_stay && slot.reg.ty == RegType::of(Kind::Btf) => true,
                _ if slot.is_spill() && (slot.reg.is_scalar() || leaks) => {
                    if writes {
                        slot.reg = unknown;
                        slot.bytes.iter_mut().filter(|b| b.is_stored()).for_each(|b| *b = Byte::Misc);
                    }
                    true
                }
                _ => false,
            });
            if !readable {
                let var = reg.val.var_off;
                let byte = (off - span.min) as u32;
                return Err(if var.is_const() {
                    Reject::UninitArg { reg: regno, off: span.min, byte, size, by_call }
                } else {
                    Reject::UninitArgVariable { reg: regno, value: var.value, mask: var.mask, byte, size, by_call }
                });
            }
            self.live_read(span.frame, k);
        }
        Ok(())
    }

    /// A call overwrote a stack buffer byte by byte with what nobody knows.
    pub fn mark_stack_written_by_helper(&mut self, regno: u8, size: u32) -> R {
        for i in 0..size {
            self.check_access(Request { off: i as i32, size: 1, ..request(regno, 1, Access::Write) })?;
        }
        Ok(())
    }
}

/// An access through a register without instruction offset and value.
fn request(base: u8, size: u32, access: Access) -> Request {
    Request { base, off: 0, size, access, value: None, strict: false, sign_extend: false }
}
