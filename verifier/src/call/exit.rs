//! Where a function ends: what must have been given back, and which values R0 may have.

use crate::env::Verifier;
use crate::pass::form;
use crate::reg::Kind;
use crate::reject::errno::{EINVAL, ENOTSUPP};
use crate::reject::{R, Reject};
use crate::value::{Scalar, Tnum};
use crate::walk::Flow;
use isa::Insn;
use spec::prog::ReturnRule;
use spec::{AttachType, ProgType};
use std::fmt;

/// Which end of which function messages speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    Program,
    Subprogram,
    Callback,
    AsyncCallback,
    SetRetval,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Context::Program => "At program exit",
            Context::Subprogram => "At subprogram exit",
            Context::Callback => "At callback return",
            Context::AsyncCallback => "At async callback return",
            Context::SetRetval => "At bpf_set_retval",
        })
    }
}

/// What is known about a value, as the message about a return range says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeText(pub i64, pub i64);

impl fmt::Display for RangeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > i64::MIN {
            write!(f, " smin={}", self.0)?;
        }
        if self.1 < i64::MAX {
            write!(f, " smax={}", self.1)?;
        }
        if self.0 == i64::MIN && self.1 == i64::MAX {
            f.write_str(" unknown scalar value")?;
        }
        Ok(())
    }
}

/// What is known of a value's bits, as older kernels say it; in full (`{:#}`) also where nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitsText(pub Tnum);

impl fmt::Display for BitsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tnum { value, mask } = self.0;
        match f.alternate() {
            true => write!(f, "({value:#x}; {mask:#x})"),
            false if self.0.is_unknown() => f.write_str("unknown scalar value"),
            false => write!(f, "value ({value:#x}; {mask:#x})"),
        }
    }
}

impl Verifier<'_> {
    pub fn check_exit(&mut self, insn: Insn) -> R<Flow> {
        form::fields(insn)?;
        let outermost = self.cur.frames.len() == 1;
        self.check_resources(false, outermost, crate::call::EXIT)?;
        if outermost {
            self.check_return_code(0)?;
            return Ok(Flow::End);
        }
        let to = self.prepare_func_exit()?;
        self.log.header_due = true;
        Ok(Flow::To(to))
    }

    /// R0 (or, for an exception that no callback takes, R1) is something that the function may return.
    pub fn check_return_code(&mut self, regno: u8) -> R {
        let frame = self.cur.frame();
        let sub = frame.subprog as usize;
        let (in_async, range) = (frame.in_async, frame.callback_ret);
        let is_main = sub == 0 || self.subprogs[sub].is_exception_callback;
        if is_main && !in_async && self.exit_needs_no_value(regno)? {
            return Ok(());
        }
        if !is_main && !in_async && self.subprogs[sub].returns_void {
            return Ok(());
        }
        self.check_reg_read(regno)?;
        if is_main && !in_async && !spec::prog::may_return(&self.prog_context()) {
            return Err(Reject::Silent { errno: ENOTSUPP });
        }
        if self.is_pointer(regno) && !self.privs.ptr_leaks {
            return Err(Reject::ReturnLeaks { reg: regno });
        }
        if in_async {
            return self.check_returned(regno, (range.0.into(), range.1.into()), false, Context::AsyncCallback);
        }
        if !is_main {
            let reg = self.reg(regno);
            return match reg.is_scalar() {
                true => Ok(()),
                false => Err(Reject::ReturnNoScalar {
                    context: Context::Subprogram,
                    what: "a scalar value",
                    reg: regno,
                    ty: reg.ty,
                }),
            };
        }
        match self.return_rule() {
            ReturnRule::Any | ReturnRule::Unchecked => Ok(()),
            ReturnRule::Range(min, max) => self.check_returned(regno, (min, max), false, Context::Program),
            ReturnRule::Range32(min, max) => {
                self.check_returned(regno, (min.into(), max.into()), true, Context::Program)
            }
        }
    }

    fn return_rule(&self) -> ReturnRule {
        match self.prog_type {
            // A member that returns a pointer may return NULL; the pointer itself was taken before.
            ProgType::StructOps if self.struct_ops_returns_pointer() => ReturnRule::Range(0, 0),
            _ => spec::prog::return_rule(&self.prog_context(), self.profile.version),
        }
    }

    /// Ends at which R0 is not looked at.
    fn exit_needs_no_value(&mut self, regno: u8) -> R<bool> {
        match self.prog_type {
            ProgType::Lsm if !self.attaches_as(AttachType::LsmCgroup) => {
                Ok(spec::prog::return_rule(&self.prog_context(), self.profile.version) == ReturnRule::Unchecked)
            }
            ProgType::StructOps => {
                if self.struct_ops_returns_void() {
                    return Ok(true);
                }
                let reg = self.reg(regno);
                if self.struct_ops_returns_pointer() && reg.ref_obj_id != 0 && self.is_struct_ops_result(&reg) {
                    self.check_ptr_off_reg(&reg, regno, false)?;
                    return Ok(true);
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// A scalar inside the range; the register becomes precise before it is judged.
    pub(super) fn check_returned(&mut self, regno: u8, range: (i64, i64), is_32bit: bool, context: Context) -> R {
        let reg = self.reg(regno);
        if reg.ty.kind != Kind::Scalar {
            return Err(Reject::ReturnNoScalar { context, what: "a known value", reg: regno, ty: reg.ty });
        }
        if self.profile.changes.return_by_bounds {
            self.mark_precise(regno)?;
        }
        let judged = self.check_result_range(regno, range, is_32bit, context);
        match judged {
            Err(r) if context == Context::Program && self.is_lsm_cgroup_void() => {
                self.note(&r);
                Err(Reject::LsmVoidNote)
            }
            other => other,
        }
    }

    pub(super) fn is_lsm_cgroup_void(&self) -> bool {
        self.prog_type == ProgType::Lsm
            && self.attaches_as(AttachType::LsmCgroup)
            && spec::lsm::hook(self.prog_context().target, self.profile.version)
                .is_some_and(|h| h.returns == spec::lsm::Returns::Void)
    }

    pub(super) fn check_result_range(&self, regno: u8, range: (i64, i64), is_32bit: bool, context: Context) -> R {
        let val: Scalar = self.reg(regno).val;
        if !self.profile.changes.return_by_bounds {
            let allowed = Tnum::range(range.0 as u64, range.1 as u64);
            return match val.var_off.is_in(allowed) {
                true => Ok(()),
                false => Err(Reject::ReturnBits {
                    context,
                    reg: regno,
                    known: BitsText(val.var_off),
                    range: BitsText(allowed),
                }),
            };
        }
        let inside = match is_32bit {
            true => i64::from(val.s32_min) >= range.0 && i64::from(val.s32_max) <= range.1,
            false => val.smin >= range.0 && val.smax <= range.1,
        };
        if inside {
            return Ok(());
        }
        Err(Reject::ReturnRange {
            context,
            reg: regno,
            known: RangeText(val.smin, val.smax),
            min: range.0,
            max: range.1,
            errno: EINVAL,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::RangeText;

    #[test]
    fn only_bounds_that_say_something_are_named() {
        assert_eq!(RangeText(0, 1).to_string(), " smin=0 smax=1");
        assert_eq!(RangeText(i64::MIN, 7).to_string(), " smax=7");
        assert_eq!(RangeText(-4095, i64::MAX).to_string(), " smin=-4095");
        assert_eq!(RangeText(i64::MIN, i64::MAX).to_string(), " unknown scalar value");
    }
}
