//! What a program attaches to: may it, and what follows for its context, helpers and return value. Only TRACING, LSM, EXT and STRUCT_OPS
//! programs have a target; for the others only the sleepable flag is judged here.

use crate::env::Verifier;
use crate::reg::BtfId;
use crate::reject::errno::*;
use crate::reject::{R, Reject};
use btf::{Btf, Kind};
use spec::{AttachType, ProgType};

const MAX_ARGS: usize = 12;
const MAX_ARG_SIZE: u32 = 16;

/// The attach target.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Hook (`file_open`), iterator target (`task`), kernel function, tracepoint, or `struct.member`; as `spec` is asked.
    pub name: String,
    /// Name that messages use: the kernel function, tracepoint typedef or member.
    pub func: String,
    /// Kernel prototype of the context's arguments.
    pub proto: Option<u32>,
}

/// Functions that sleepable or modifying programs may attach to although nothing registers them. Error injection lists are the
/// kernel's, not the BTF's: these are the ones every kernel has.
const ERROR_INJECTABLE_PREFIXES: [&str; 2] = ["__x64_sys_", "__ia32_sys_"];
const NATIVE_SYSCALL: &str = "__x64_sys_";
const SLEEP_DENIED: [&str; 3] = ["__filemap_add_folio", "should_fail_alloc_page", "should_failslab"];

/// Tracepoints that sleeping programs may attach to.
const FAULTABLE: [&str; 2] = ["sys_enter", "sys_exit"];

impl Verifier<'_> {
    pub fn check_attach(&mut self) -> R {
        let sleepable = self.is_sleepable();
        if self.prog_type == ProgType::Syscall {
            return if sleepable { Ok(()) } else { Err(Reject::SyscallNotSleepable) };
        }
        if sleepable && !spec::prog::may_be_sleepable(&self.prog_context(), self.profile.version) {
            return Err(Reject::TypeNotSleepable);
        }
        match self.prog_type {
            ProgType::StructOps => self.check_struct_ops(),
            ProgType::Tracing | ProgType::Lsm | ProgType::Ext => self.check_tracing_target(),
            _ => Ok(()),
        }
    }

    fn kernel_btf_or_unsupported(&self) -> R<std::sync::Arc<Btf>> {
        self.btf(BtfId::KERNEL).cloned().ok_or_else(|| Reject::unsupported("kernel BTF is missing"))
    }

    fn check_tracing_target(&mut self) -> R {
        let id = self.prog.attach_btf_id;
        if id == 0 {
            return Err(Reject::NoAttachBtfId);
        }
        let btf = self.kernel_btf_or_unsupported()?;
        let Some(ty) = btf.ty(id) else { return Err(Reject::AttachIdInvalid { id }) };
        let name = btf.name(id).to_owned();
        if self.prog_type == ProgType::Ext {
            return Err(Reject::ReplacesKernelFunction);
        }
        let attach = AttachType::from_raw(self.attach_type);
        match attach {
            Some(AttachType::TraceRawTp) => {
                if ty.kind() != Kind::Typedef {
                    return Err(Reject::AttachNotTypedef { id });
                }
                let Some(tracepoint) = name.strip_prefix("btf_trace_") else {
                    return Err(Reject::AttachWrongName { id, name });
                };
                if self.is_sleepable() && self.profile.changes.tracepoints_fault && !FAULTABLE.contains(&tracepoint) {
                    return Err(Reject::TracepointNotFaultable { name: tracepoint.to_owned() });
                }
                self.target.name = tracepoint.to_owned();
                self.target.proto = self.tracepoint_proto(&btf, id, tracepoint);
                self.target.func = name;
                return Ok(());
            }
            Some(AttachType::TraceIter) => {
                let proto = self.target_function(&btf, id, &name)?;
                let Some(target) = name.strip_prefix("bpf_iter_").filter(|n| spec::tracing::iterator(n).is_some())
                else {
                    return Err(Reject::Silent { errno: EINVAL });
                };
                self.target = Target { name: target.to_owned(), func: name.clone(), proto: Some(proto) };
            }
            Some(attach) if spec::prog::targets_function(attach, self.profile.version) => {
                let proto = self.target_function(&btf, id, &name)?;
                let short = match self.prog_type {
                    ProgType::Lsm => name.strip_prefix("bpf_lsm_").unwrap_or(&name),
                    _ => &name,
                };
                self.target = Target { name: short.to_owned(), func: name.clone(), proto: Some(proto) };
                self.check_function_target(&name)?;
            }
            _ => return Err(Reject::Silent { errno: EINVAL }),
        }
        if self.prog_type == ProgType::Lsm {
            return self.check_lsm_hook(id, &name);
        }
        if spec::prog::tracing_denied(&name, self.profile.version) {
            return Err(Reject::TracingDenied { name });
        }
        if matches!(attach, Some(AttachType::TraceFexit | AttachType::ModifyReturn | AttachType::TraceFsession))
            && spec::prog::never_returns(&name, self.profile.version)
        {
            return Err(Reject::TracesNoreturn { name });
        }
        Ok(())
    }

    /// Arguments as the tracepoint's own BPF function takes them (with names), else as the typedef says.
    fn tracepoint_proto(&self, btf: &Btf, typedef: u32, tracepoint: &str) -> Option<u32> {
        let named = btf.find_by_name_kind(&format!("__bpf_trace_{tracepoint}"), Kind::Func);
        if let Some(proto) = named.and_then(|f| btf.func_proto(f)) {
            return Some(proto);
        }
        let ptr = btf.ty(typedef)?.type_id()?;
        let proto = btf.ty(ptr)?.type_id()?;
        (btf.kind(proto) == Some(Kind::FuncProto)).then_some(proto)
    }

    fn target_function(&self, btf: &Btf, id: u32, name: &str) -> R<u32> {
        if btf.kind(id) != Some(Kind::Func) {
            return Err(Reject::AttachNotFunction { id });
        }
        let Some(proto) = btf.func_proto(id) else { return Err(Reject::Silent { errno: EINVAL }) };
        check_prototype(btf, name, proto, MAX_ARGS, self.profile.changes.struct_arguments)?;
        Ok(proto)
    }

    /// Sleepable programs and return-value changers need a function that expects them.
    fn check_function_target(&self, name: &str) -> R {
        let registered = spec::kfunc::fmod_ret_target(name, self.profile.version);
        let injectable = match self.profile.config.error_injection {
            true => ERROR_INJECTABLE_PREFIXES.iter().any(|p| name.starts_with(p)),
            false => self.profile.changes.syscalls_modifiable && name.starts_with(NATIVE_SYSCALL),
        };
        if self.is_sleepable() {
            let ok = match self.prog_type {
                ProgType::Lsm => {
                    spec::lsm::hook(name, self.profile.version).is_some_and(|h| h.sleeps(self.profile.version))
                }
                ProgType::Tracing => {
                    (injectable && !SLEEP_DENIED.contains(&name))
                        || registered.is_some_and(|k| k.flags.contains(spec::kfunc::Flags::SLEEPABLE))
                }
                _ => false,
            };
            if !ok {
                return Err(Reject::TargetNotSleepable { name: name.to_owned() });
            }
        } else if self.attach_type == AttachType::ModifyReturn.raw()
            && registered.is_none()
            && !injectable
            && !name.starts_with("security_")
        {
            return Err(Reject::NotModifiable { name: name.to_owned() });
        }
        Ok(())
    }

    fn check_lsm_hook(&self, id: u32, name: &str) -> R {
        if !spec::prog::is_gpl_compatible(&self.prog.license) {
            return Err(Reject::LsmNeedsGpl);
        }
        match name.starts_with("bpf_lsm_").then(|| spec::lsm::hook(name, self.profile.version)).flatten() {
            Some(h) if h.disabled => Err(Reject::LsmHookDisabled { id, name: name.to_owned() }),
            Some(_) => Ok(()),
            None => Err(Reject::AttachWrongName { id, name: name.to_owned() }),
        }
    }

    fn check_struct_ops(&mut self) -> R {
        if !spec::prog::is_gpl_compatible(&self.prog.license) {
            return Err(Reject::StructOpsNeedsGpl);
        }
        let id = self.prog.attach_btf_id;
        if id == 0 {
            return Err(Reject::Silent { errno: ENOTSUPP });
        }
        let btf = self.kernel_btf_or_unsupported()?;
        let name = btf.name(id).to_owned();
        if !spec::prog::struct_ops(&name) {
            return Err(Reject::NotStructOps { id });
        }
        let idx = self.prog.expected_attach_type;
        let Some(m) = btf.member(id, idx as usize) else {
            return Err(Reject::StructOpsMemberIdx { idx, name });
        };
        let member = btf.string(m.name_off).to_owned();
        let ptr = btf.skip_mods(m.type_id).and_then(|t| btf.ty(t)).filter(|t| t.kind() == Kind::Ptr);
        let proto = ptr.and_then(|p| p.type_id()).and_then(|p| btf.skip_mods(p));
        let Some(proto) = proto.filter(|p| btf.kind(*p) == Some(Kind::FuncProto)) else {
            return Err(Reject::StructOpsMember { member, idx, name });
        };
        match spec::prog::struct_ops_member(&name, &member, self.is_sleepable()) {
            Ok(()) => {}
            Err(errno) => return Err(Reject::StructOpsUnsupported { member, name, errno: errno as i32 }),
        }
        self.target = Target { name: format!("{name}.{member}"), func: member, proto: Some(proto) };
        Ok(())
    }
}

/// Can a trampoline pass these arguments, structs among them? Also asked of kfuncs.
pub fn check_prototype(btf: &Btf, name: &str, proto: u32, max: usize, structs: bool) -> R {
    let name = || name.to_owned();
    let params: Vec<_> = btf.params(proto).collect();
    if params.len() > max {
        return Err(Reject::TooManyArgs { name: name(), count: params.len() });
    }
    let ret = btf.ty(proto).and_then(|t| t.type_id()).unwrap_or(0);
    if ret != 0 && type_size(btf, ret).is_none_or(|(_, is_struct)| is_struct) {
        return Err(Reject::BadReturnType { name: name(), ty: kind_name(btf, ret) });
    }
    for (i, p) in params.iter().enumerate() {
        if i == params.len() - 1 && p.type_id == 0 {
            return Err(Reject::VariableArgs { name: name() });
        }
        match type_size(btf, p.type_id) {
            Some((0, _)) => return Err(Reject::VoidArg { name: name() }),
            Some((s, is_struct)) if s <= MAX_ARG_SIZE && (structs || !is_struct) => {}
            _ => return Err(Reject::BadArgType { name: name(), arg: i, ty: kind_name(btf, p.type_id) }),
        }
    }
    Ok(())
}

/// Size of an argument and whether it is a struct; void is 0, what cannot be passed None.
fn type_size(btf: &Btf, id: u32) -> Option<(u32, bool)> {
    if id == 0 {
        return Some((0, false));
    }
    let id = btf.skip_mods_and_typedefs(id)?;
    match btf.kind(id)? {
        Kind::Void => Some((0, false)),
        Kind::Ptr => Some((8, false)),
        Kind::Int | Kind::Enum | Kind::Enum64 => Some((btf.resolve_size(id)?, false)),
        Kind::Struct | Kind::Union => Some((btf.resolve_size(id)?, true)),
        _ => None,
    }
}

/// The kernel's word for a BTF kind.
pub fn kind_name(btf: &Btf, id: u32) -> &'static str {
    match btf.skip_mods_and_typedefs(id).and_then(|t| btf.kind(t)) {
        Some(k) => k.word(),
        None => "UNKNOWN",
    }
}
