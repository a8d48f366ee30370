//! Memory that a kfunc reads and writes: of the size of its C type, or of the size that the next argument says.

use super::KfuncCall;
use super::param::{Class, Param, is_scalar, is_scalar_struct};
use crate::env::Verifier;
use crate::mem::Access;
use crate::reject::errno::EINVAL;
use crate::reject::{R, Reject};
use btf::{Btf, Kind};

impl Verifier<'_> {
    /// Only numbers, structs of numbers and (with a size) void can be handed over as plain memory.
    pub(super) fn check_memory_type(&mut self, i: usize, class: Class, btf: &Btf, pointee: u32) -> R {
        let kind = btf.kind(pointee).unwrap_or(Kind::Void);
        if is_scalar(btf, pointee) || (class == Class::MemSize && kind == Kind::Void) {
            return Ok(());
        }
        match is_scalar_struct(btf, pointee, 0) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(()) => self.note(&Reject::KfuncNesting),
        }
        Err(Reject::KfuncMemoryType {
            arg: i,
            kind: kind.word(),
            name: btf.name(pointee).to_owned(),
            or_void: if class == Class::MemSize { "void, " } else { "" },
        })
    }

    pub(super) fn check_memory(&mut self, i: usize, pointee: u32, btf: &Btf) -> R {
        match btf.resolve_size(pointee) {
            Some(size) => self.check_memory_arg(i as u8 + 1, size),
            None => {
                let kind = btf.kind(pointee).unwrap_or(Kind::Void).word();
                Err(Reject::ArgSize { arg: i, kind, name: btf.name(pointee).to_owned(), error: -EINVAL })
            }
        }
    }

    pub(super) fn check_memory_size(&mut self, i: usize, param: &Param, call: &mut KfuncCall) -> R {
        let regno = i as u8 + 1;
        if !(self.reg(regno).is_null() && (param.ends("__opt") || param.ends("__nullable"))) {
            self.check_buffer_and_size(regno).map_err(|r| {
                if matches!(r, Reject::Unsupported { .. }) {
                    return r;
                }
                self.note(&r);
                Reject::KfuncMemoryPair { arg: i, size: i + 1, errno: r.errno() }
            })?;
        }
        if call.params[i + 1].ends("__szk") {
            let Some(size) = self.reg(regno + 1).const_value() else {
                return Err(Reject::KfuncNotConstant { reg: regno + 1 });
            };
            call.constant = Some(size);
        }
        Ok(())
    }

    fn check_buffer_and_size(&mut self, regno: u8) -> R {
        let saved = self.reg(regno);
        *self.reg_mut(regno) = self.non_null(&saved);
        let checked = self
            .check_mem_size_reg(regno + 1, Access::Read, true, None)
            .and_then(|()| self.check_mem_size_reg(regno + 1, Access::Write, true, None));
        *self.reg_mut(regno) = saved;
        checked
    }
}
