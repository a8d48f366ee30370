//! Atomic instructions: read-modify-write, load-acquire, store-release.

use crate::env::Verifier;
use crate::mem::{Access, Request, access_size};
use crate::reg::{Kind, RegType};
use crate::reject::{R, Reject};
use isa::Insn;
use isa::consts::*;

const PLAIN: [i32; 4] = [BPF_ADD as i32, BPF_OR as i32, BPF_AND as i32, BPF_XOR as i32];

impl Verifier<'_> {
    pub fn check_atomic(&mut self, insn: Insn) -> R {
        match insn.imm {
            BPF_LOAD_ACQ => self.check_load_acquire(insn),
            BPF_STORE_REL => {
                self.check_store_reg(insn, true)?;
                self.check_atomic_base(insn.dst, self.reg(insn.dst).ty, "stores into", insn)
            }
            BPF_XCHG | BPF_CMPXCHG => self.check_rmw(insn),
            imm if PLAIN.contains(&(imm & !BPF_FETCH)) => self.check_rmw(insn),
            imm => Err(Reject::AtomicOpcode { imm: imm as u32 }),
        }
    }

    fn check_load_acquire(&mut self, insn: Insn) -> R {
        self.check_reg_read(insn.src)?;
        self.check_reg_write(insn.dst)?;
        let base = self.reg(insn.src).ty;
        self.check_access(Request::of(insn, insn.src, Access::Read, Some(insn.dst)).strict())?;
        self.same_insn_type(base, false)?;
        self.check_reg_invariants(insn.dst, "atomic_load")?;
        // The base is looked at after the load: a load into its own base register passes.
        self.check_atomic_base(insn.src, self.reg(insn.src).ty, "loads from", insn)
    }

    fn check_atomic_base(&self, regno: u8, ty: RegType, what: &'static str, insn: Insn) -> R {
        let refused = match ty.kind {
            Kind::Ctx | Kind::FlowKeys => true,
            Kind::Packet | Kind::PacketMeta => ty.is_packet(),
            Kind::Arena => {
                let fetching_logic = matches!(insn.imm & !BPF_FETCH, x if x != BPF_ADD as i32 && PLAIN.contains(&x));
                insn.imm & BPF_FETCH != 0 && fetching_logic
            }
            _ => ty.is_sock_like(),
        };
        if refused { Err(Reject::AtomicBase { reg: regno, what, ty }) } else { Ok(()) }
    }

    fn check_rmw(&mut self, insn: Insn) -> R {
        if access_size(insn.code) < 4 {
            return Err(Reject::AtomicSize);
        }
        self.check_reg_read(insn.src)?;
        self.check_reg_read(insn.dst)?;
        let leaks = |v: &Self, r: u8| !v.privs.ptr_leaks && v.is_pointer(r);
        if insn.imm == BPF_CMPXCHG {
            self.check_reg_read(REG_0)?;
            if leaks(self, REG_0) {
                return Err(Reject::LeaksAddr { reg: REG_0, into: "mem" });
            }
        }
        if leaks(self, insn.src) {
            return Err(Reject::LeaksAddr { reg: insn.src, into: "mem" });
        }
        self.check_atomic_base(insn.dst, self.reg(insn.dst).ty, "stores into", insn)?;
        let result = (insn.imm & BPF_FETCH != 0).then_some(if insn.imm == BPF_CMPXCHG { REG_0 } else { insn.src });
        if let Some(r) = result {
            self.check_reg_write(r)?;
            self.mark_unknown(r);
        }
        let access = |access, value| Request::of(insn, insn.dst, access, value).strict();
        self.check_access(access(Access::Read, None))?;
        if result.is_some() {
            self.check_access(access(Access::Read, result))?;
        }
        let base = self.reg(insn.dst).ty;
        if base.kind == Kind::Arena {
            self.same_insn_type(base, false)?;
        }
        self.check_access(access(Access::Write, None))
    }
}
