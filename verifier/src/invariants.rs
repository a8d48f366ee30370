//! The check that a register's bits and bounds do not contradict each other, made after every instruction that computes
//! some. What counts as a contradiction is in `value`.

use crate::env::Verifier;
use crate::reject::{R, Reject};
use crate::value::{Scalar, Violation};

impl Verifier<'_> {
    /// Checks register `r` of the current frame; `context` names the event for the log.
    pub fn check_reg_invariants(&mut self, r: u8, context: &str) -> R {
        if !self.profile.changes.invariants_checked {
            return Ok(());
        }
        let mut val = self.reg(r).val;
        if let Some(v) = val.violation() {
            self.on_violation(v, &mut val, context)?;
            self.reg_mut(r).val = val;
        }
        Ok(())
    }

    /// The same for numbers that are not (or not yet) in the current path.
    pub fn check_scalar_invariants(&mut self, val: &mut Scalar, context: &str) -> R {
        match val.violation().filter(|_| self.profile.changes.invariants_checked) {
            Some(v) => self.on_violation(v, val, context),
            None => Ok(()),
        }
    }

    /// Refuses if the program asked for it (BPF_F_TEST_REG_INVARIANTS), else reports and forgets the bounds.
    #[cold]
    fn on_violation(&mut self, violation: Violation, val: &mut Scalar, context: &str) -> R {
        let text = format!(
            "REG INVARIANTS VIOLATION ({context}): {} u64=[{:#x}, {:#x}] s64=[{:#x}, {:#x}] u32=[{:#x}, {:#x}] s32=[{:#x}, {:#x}] var_off=({:#x}, {:#x})",
            violation.text(),
            val.umin,
            val.umax,
            val.smin,
            val.smax,
            val.u32_min,
            val.u32_max,
            val.s32_min,
            val.s32_max,
            val.var_off.value,
            val.var_off.mask,
        );
        let refusal = Reject::bug(text);
        if self.test_reg_invariants {
            return Err(refusal);
        }
        self.note(&refusal);
        val.unbound();
        Ok(())
    }
}
