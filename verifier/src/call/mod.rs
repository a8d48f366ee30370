//! Calls: helpers, subprograms, callbacks, kfuncs, the exit of functions, and what a program holds and must give back. This file
//! sorts call instructions and names what a message calls them; each kind of call has its own file.

mod args;
mod callback;
mod ctx_type;
mod dynptr;
mod early;
mod exit;
mod field;
mod format;
mod global;
mod helper;
mod lock;
mod maps;
mod prototype;
pub mod refs;
mod ret;
mod struct_ops;
mod subprog;

pub mod kfunc;

pub use args::TypeList;
pub use exit::{BitsText, Context as ExitContext, RangeText};
pub(crate) use field::{KptrField, field_name};
pub(crate) use kfunc::base_name;

use crate::env::Verifier;
use crate::pass::form;
use crate::reject::{R, Reject};
use crate::walk::Flow;
use isa::Insn;
use std::fmt;

/// Helpers that have rules of their own, by number.
pub mod id {
    pub const MAP_LOOKUP_ELEM: u32 = 1;
    pub const MAP_UPDATE_ELEM: u32 = 2;
    pub const MAP_DELETE_ELEM: u32 = 3;
    pub const TAIL_CALL: u32 = 12;
    pub const REDIRECT_MAP: u32 = 51;
    pub const GET_LOCAL_STORAGE: u32 = 81;
    pub const SK_RELEASE: u32 = 86;
    pub const MAP_PUSH_ELEM: u32 = 87;
    pub const MAP_POP_ELEM: u32 = 88;
    pub const MAP_PEEK_ELEM: u32 = 89;
    pub const SPIN_LOCK: u32 = 93;
    pub const SPIN_UNLOCK: u32 = 94;
    pub const PER_CPU_PTR: u32 = 153;
    pub const THIS_CPU_PTR: u32 = 154;
    pub const FOR_EACH_MAP_ELEM: u32 = 164;
    pub const SNPRINTF: u32 = 165;
    pub const TIMER_SET_CALLBACK: u32 = 170;
    pub const GET_FUNC_IP: u32 = 173;
    pub const FIND_VMA: u32 = 180;
    pub const LOOP: u32 = 181;
    pub const SET_RETVAL: u32 = 187;
    pub const KPTR_XCHG: u32 = 194;
    pub const MAP_LOOKUP_PERCPU_ELEM: u32 = 195;
    pub const DYNPTR_FROM_MEM: u32 = 197;
    pub const DYNPTR_WRITE: u32 = 202;
    pub const USER_RINGBUF_DRAIN: u32 = 209;
}

/// A helper as messages name it: `bpf_map_lookup_elem#1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelperName(pub i32);

impl fmt::Display for HelperName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::try_from(self.0).ok().and_then(spec::helper::log_name) {
            Some(name) => write!(f, "bpf_{name}#{}", self.0),
            None => write!(f, "unknown#{}", self.0),
        }
    }
}

/// What is reported as held at the wrong place.
pub(crate) const LD_ABS: &str = "BPF_LD_[ABS|IND]";
const TAIL_CALL: &str = "tail_call";
pub(crate) const EXIT: &str = "BPF_EXIT instruction in main prog";

/// `src_reg` of a call instruction: what kind of call it is.
const SRC_HELPER: u8 = 0;
const SRC_SUBPROG: u8 = 1;
const SRC_KFUNC: u8 = 2;

impl Verifier<'_> {
    pub fn check_call(&mut self, insn: Insn) -> R<Flow> {
        form::fields(insn)?;
        if insn.src == SRC_KFUNC && !self.profile.changes.kfunc_calls {
            return Err(Reject::CallReserved);
        }
        if self.cur.active_locks > 0 {
            let allowed = match insn.src {
                SRC_HELPER => insn.imm as u32 == id::SPIN_UNLOCK,
                SRC_KFUNC => insn.off == 0 && self.kfunc_allowed_under_lock(insn.imm as u32),
                _ => self.profile.changes.calls_under_lock,
            };
            if !allowed {
                return Err(Reject::CallUnderLock);
            }
        }
        let flow = match insn.src {
            SRC_SUBPROG => self.check_subprog_call(insn)?,
            SRC_KFUNC => self.check_kfunc_call(insn)?,
            _ => self.check_helper_call(insn)?,
        };
        self.log.scratch_reg(0);
        Ok(flow)
    }
}

#[cfg(test)]
mod tests {
    use super::HelperName;

    #[test]
    fn helpers_are_named_with_their_number() {
        assert_eq!(HelperName(1).to_string(), "bpf_map_lookup_elem#1");
        assert_eq!(HelperName(0).to_string(), "bpf_unspec#0");
        assert_eq!(HelperName(212).to_string(), "unknown#212");
        assert_eq!(HelperName(-5).to_string(), "unknown#-5");
    }
}
