//! Arguments against a prototype, and the registers with which a function starts that is verified on its own.

use super::args::{BTF_POINTERS, TypeList};
use super::dynptr::DynptrUse;
use super::subprog::ends_call;
use crate::env::Verifier;
use crate::mem::Access;
use crate::reg::{BtfId, Ext, Flags, Kind, Reg, RegType};
use crate::reject::errno::EINVAL;
use crate::reject::{R, Reject};
use crate::state::State;
use crate::subprog::Arg;

impl Verifier<'_> {
    /// The caller's registers fit the prototype of `sub`.
    pub(super) fn match_arguments(&mut self, sub: usize) -> R {
        let args = self.subprogs[sub].args.clone().unwrap_or_default();
        for (i, arg) in args.into_iter().enumerate() {
            self.match_argument(i, arg)?;
        }
        Ok(())
    }

    fn match_argument(&mut self, i: usize, arg: Arg) -> R {
        let regno = i as u8 + 1;
        let reg = self.reg(regno);
        match arg {
            Arg::Scalar => match reg.is_scalar() {
                true => Ok(()),
                false => Err(Reject::ArgNoScalar { reg: regno }),
            },
            Arg::UntrustedMem | Arg::UntrustedBtf { .. } => Ok(()),
            Arg::Ctx => {
                self.check_arg_offset(regno, &reg, false, false)?;
                if reg.ty.kind == Kind::Ctx { Ok(()) } else { Err(Reject::ArgNoCtx { arg: i }) }
            }
            Arg::Mem { size, nullable } => {
                self.check_arg_offset(regno, &reg, false, false)?;
                if let Err(r) = self.check_memory_arg(regno, size) {
                    if matches!(r, Reject::Unsupported { .. }) {
                        return Err(r);
                    }
                    self.note(&r);
                    return Err(Reject::Silent { errno: EINVAL });
                }
                if !nullable && reg.ty.maybe_null() { Err(Reject::ArgNull { arg: i }) } else { Ok(()) }
            }
            Arg::Arena => match reg.ty.kind {
                Kind::Arena | Kind::Scalar => Ok(()),
                _ => Err(Reject::ArgNoArena { reg: regno }),
            },
            Arg::Dynptr => {
                self.check_arg_offset(regno, &reg, false, true)?;
                self.check_dynptr(regno, DynptrUse::Use { ty: None, rdonly: true })
            }
            Arg::TrustedBtf { id, nullable } => {
                if nullable && reg.is_null() {
                    return Ok(());
                }
                self.match_trusted(regno, &reg, id, nullable)?;
                self.check_arg_offset(regno, &reg, false, false)
            }
        }
    }

    fn match_trusted(&mut self, regno: u8, reg: &Reg, id: u32, nullable: bool) -> R {
        let ty = if nullable { reg.ty.without(Flags::MAYBE_NULL) } else { reg.ty };
        if !BTF_POINTERS.contains(&ty) {
            return Err(Reject::ArgType { reg: regno, ty: reg.ty, expected: TypeList(BTF_POINTERS) });
        }
        self.check_reg_points_to_id(regno, reg, id, false)
    }

    /// Memory of `size` bytes that the callee may read and write; NULL is fine and a pointer that may be NULL counts as one that is not.
    pub(super) fn check_memory_arg(&mut self, regno: u8, size: u32) -> R {
        let saved = self.reg(regno);
        if saved.is_null() {
            return Ok(());
        }
        *self.reg_mut(regno) = self.non_null(&saved);
        let checked = self
            .check_helper_mem_access(regno, size, Access::Read, true, None)
            .and_then(|()| self.check_helper_mem_access(regno, size, Access::Write, true, None));
        *self.reg_mut(regno) = saved;
        checked
    }

    /// The state in which the walk of a function begins.
    pub fn start_function(&mut self, sub: usize) -> R {
        let mut state = State::new(self.fresh_frame(-1, 0, sub));
        state.sleepable = self.is_sleepable();
        self.cur = state;
        if sub == 0 { self.start_main() } else { self.start_global(sub) }
    }

    fn start_main(&mut self) -> R {
        self.mark_pointer(1, RegType::of(Kind::Ctx));
        if !self.profile.changes.prototypes_read_once {
            return match self.match_registers(0, false) {
                Err(r) if ends_call(&r) => Err(r),
                Err(r) => {
                    self.note(&r);
                    Ok(())
                }
                Ok(()) => Ok(()),
            };
        }
        if !self.prog.func_info.bytes.is_empty() {
            let read = self.read_prototype(0);
            if let Err(r) = &read {
                self.note(r);
            }
            let ctx_only = self.subprogs[0].args.as_deref() == Some(&[Arg::Ctx]);
            self.subprogs[0].unreliable |= read.is_err() || !ctx_only;
        }
        self.acquire_context_references();
        Ok(())
    }

    fn start_global(&mut self, sub: usize) -> R {
        if !self.profile.changes.prototypes_read_once {
            let args = self.read_global_prototype(sub)?;
            // Pointers are numbered when the prototype is read, and again when they are put into registers.
            for _ in args.iter().filter(|a| matches!(a, Arg::Mem { .. })) {
                self.new_id();
            }
            self.set_initial_registers(args);
            return Ok(());
        }
        self.read_prototype(sub)?;
        let args = self.subprogs[sub].args.clone().unwrap_or_default();
        if self.subprogs[sub].is_exception_callback {
            self.cur.frame_mut().in_exception = true;
            if args != [Arg::Scalar] {
                return Err(Reject::ExceptionCallbackArgs);
            }
        }
        self.set_initial_registers(args);
        Ok(())
    }

    fn set_initial_registers(&mut self, args: Vec<Arg>) {
        for (i, arg) in args.into_iter().enumerate() {
            let reg = self.initial_register(arg);
            *self.reg_mut(i as u8 + 1) = reg;
        }
    }

    fn initial_register(&mut self, arg: Arg) -> Reg {
        let precise = !self.privs.bpf;
        let pointer = |ty, ext| Reg { precise, ext, ..Reg::pointer(ty) };
        let mem = |flags, size| pointer(RegType::of(Kind::Mem).with(flags), Ext::Mem { size, dynptr_id: 0 });
        let object = |flags, id| pointer(RegType::of(Kind::Btf).with(flags), Ext::Btf { btf: BtfId::KERNEL, id });
        match arg {
            Arg::Scalar | Arg::Arena => self.unknown(),
            Arg::Ctx => pointer(RegType::of(Kind::Ctx), Ext::None),
            Arg::Dynptr => self.const_dynptr(),
            Arg::Mem { size, nullable: false } => mem(Flags::NONE, size),
            Arg::Mem { size, nullable: true } => Reg { id: self.new_id(), ..mem(Flags::MAYBE_NULL, size) },
            Arg::UntrustedMem => mem(Flags::RDONLY | Flags::UNTRUSTED, 0),
            Arg::UntrustedBtf { id } => Reg { id: self.new_id(), ..object(Flags::UNTRUSTED, id) },
            Arg::TrustedBtf { id, nullable } => {
                let flags = if nullable { Flags::TRUSTED | Flags::MAYBE_NULL } else { Flags::TRUSTED };
                Reg { id: self.new_id(), ..object(flags, id) }
            }
        }
    }
}
