//! Which C types a function's parameter may have to be the program's context.

use crate::reject::{R, Reject};
use btf::{Btf, Kind};
use spec::{AttachType, ProgContext, ProgType};

/// The context struct of a program type as programs see it, and as the kernel has it. `None` where it has no name of its own.
pub(crate) fn context_struct(ty: ProgType) -> Option<(&'static str, &'static str)> {
    use ProgType::*;
    Some(match ty {
        SocketFilter | SchedCls | SchedAct | CgroupSkb | LwtIn | LwtOut | LwtXmit | LwtSeg6local | SkSkb => {
            ("__sk_buff", "sk_buff")
        }
        FlowDissector => ("__sk_buff", "bpf_flow_dissector"),
        Xdp => ("xdp_md", "xdp_buff"),
        CgroupSock => ("bpf_sock", "sock"),
        CgroupSockAddr => ("bpf_sock_addr", "bpf_sock_addr_kern"),
        SockOps => ("bpf_sock_ops", "bpf_sock_ops_kern"),
        SkMsg => ("sk_msg_md", "sk_msg"),
        Kprobe => ("bpf_user_pt_regs_t", "pt_regs"),
        PerfEvent => ("bpf_perf_event_data", "bpf_perf_event_data_kern"),
        RawTracepoint | RawTracepointWritable => ("bpf_raw_tracepoint_args", "u64"),
        CgroupDevice => ("bpf_cgroup_dev_ctx", "bpf_cgroup_dev_ctx"),
        CgroupSysctl => ("bpf_sysctl", "bpf_sysctl_kern"),
        CgroupSockopt => ("bpf_sockopt", "bpf_sockopt_kern"),
        SkReuseport => ("sk_reuseport_md", "sk_reuseport_kern"),
        SkLookup => ("bpf_sk_lookup", "bpf_sk_lookup_kern"),
        Netfilter => ("bpf_nf_ctx", "bpf_nf_ctx"),
        Tracepoint | Tracing | StructOps | Ext | Lsm | Syscall | LircMode2 => return None,
    })
}

/// What the context is to the kernel, as its own table has it.
pub(crate) fn kernels_context(btf: &Btf, ty: ProgType) -> Option<u32> {
    let table = btf.find_by_name_kind("bpf_ctx_convert", Kind::Struct)?;
    Some(btf.find_member(table, &format!("BPF_PROG_TYPE_{}_kern", ty.name()))?.type_id)
}

/// Whether some programs have this as their context.
pub(crate) fn is_some_context(btf: &Btf, pointee: u32) -> bool {
    ProgType::ALL.iter().any(|&ty| is_context(btf, pointee, ty))
}

/// Kernel structs that stand for a context struct where kernel types are written.
fn projects(user: &str, name: &str) -> bool {
    matches!((user, name), ("__sk_buff", "sk_buff") | ("xdp_md", "xdp_buff"))
}

/// Whether `typedef` is among the qualifiers and typedefs in front of `id`.
fn has_typedef(btf: &Btf, mut id: u32, typedef: &str) -> bool {
    for _ in 0..btf::MAX_DEPTH {
        let Some(ty) = btf.ty(id) else { return false };
        let modifier = ty.kind().is_modifier() || ty.kind() == Kind::Typedef;
        if !modifier {
            return false;
        }
        if ty.kind() == Kind::Typedef && btf.name(id) == typedef {
            return true;
        }
        id = ty.type_id().unwrap_or(0);
    }
    false
}

/// A pointer to `pointee` is the context.
pub(crate) fn is_context(btf: &Btf, pointee: u32, prog: ProgType) -> bool {
    if prog == ProgType::Kprobe && has_typedef(btf, pointee, "bpf_user_pt_regs_t") {
        return true;
    }
    let Some((id, ty)) = btf.resolve(pointee) else { return false };
    let (Some((user, kern)), name) = (context_struct(prog), btf.name(id)) else { return false };
    ty.kind().is_struct_or_union()
        && (name == user || projects(user, name) || (prog == ProgType::Kprobe && name == kern))
}

/// The same where the struct has to have the program's name for it. `kprobe_names`: other names of the context of kprobes do, too.
pub(crate) fn is_named_context(btf: &Btf, pointee: u32, prog: ProgType, kprobe_names: bool) -> bool {
    if prog == ProgType::Kprobe && kprobe_names {
        return is_context(btf, pointee, prog);
    }
    let Some((id, ty)) = btf.resolve(pointee) else { return false };
    let name = btf.name(id);
    context_struct(prog).is_some_and(|(user, kern)| {
        ty.kind().is_struct_or_union() && (name == user || prog == ProgType::Kprobe && name == kern)
    })
}

/// The type of a parameter tagged `arg:ctx` (a pointer to `pointee`) may be the context of this program.
pub(crate) fn check_tagged(btf: &Btf, pointee: u32, prog: &ProgContext<'_>, arg: usize) -> R {
    use AttachType as A;
    let regs = matches!(prog.prog_type, ProgType::Kprobe | ProgType::PerfEvent);
    if regs && has_typedef(btf, pointee, "bpf_user_pt_regs_t") {
        return Ok(());
    }
    let Some((id, ty)) = btf.resolve(pointee) else { return Err(Reject::CtxArgVoid { arg }) };
    if ty.kind() == Kind::Void {
        return Ok(());
    }
    let name = btf.name(id);
    let is_struct = ty.kind() == Kind::Struct;
    let is_u64 = ty.kind() == Kind::Int && ty.size() == Some(8);
    let fits = match prog.prog_type {
        ProgType::Kprobe | ProgType::PerfEvent => is_struct && name == "pt_regs",
        ProgType::RawTracepoint | ProgType::RawTracepointWritable | ProgType::Lsm | ProgType::StructOps => is_u64,
        ProgType::Tracing => match prog.attach() {
            Some(A::TraceRawTp) => (is_struct && name == "bpf_raw_tracepoint_args") || is_u64,
            Some(A::TraceIter) => is_struct && name.starts_with("bpf_iter__"),
            Some(A::TraceFentry | A::TraceFexit | A::ModifyReturn) => is_u64,
            _ => false,
        },
        ProgType::Tracepoint | ProgType::Syscall | ProgType::Ext => true,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let Some((user, _)) = context_struct(prog.prog_type) else { return Err(Reject::CtxArgVoid { arg }) };
    if !ty.kind().is_struct_or_union() && prog.prog_type == ProgType::Kprobe {
        return Err(Reject::CtxArgVoid { arg });
    }
    if name == user { Ok(()) } else { Err(Reject::CtxArgName { arg, user }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_names_agree_with_the_kernels_own_table() {
        let profile = spec::Profile::default();
        let btf = profile.btf();
        let table = btf.find_by_name_kind("bpf_ctx_convert", Kind::Struct).expect("every kernel with BTF has it");
        let pointee = |member: &str| {
            let m = btf.find_member(table, member)?;
            btf.resolve(m.type_id).map(|(id, _)| btf.name(id).to_owned())
        };
        for ty in [ProgType::Xdp, ProgType::SchedCls, ProgType::SockOps, ProgType::SkLookup, ProgType::Netfilter] {
            let (user, kern) = context_struct(ty).expect("named context");
            assert_eq!(pointee(&format!("BPF_PROG_TYPE_{}_prog", ty.name())).as_deref(), Some(user), "{ty}");
            assert_eq!(pointee(&format!("BPF_PROG_TYPE_{}_kern", ty.name())).as_deref(), Some(kern), "{ty}");
        }
    }

    #[test]
    fn a_packet_context_has_two_names() {
        let profile = spec::Profile::default();
        let btf = profile.btf();
        let id = |name| btf.find_by_name_kind(name, Kind::Struct).expect("kernel struct");
        assert!(is_context(btf, id("xdp_md"), ProgType::Xdp) && is_context(btf, id("xdp_buff"), ProgType::Xdp));
        assert!(!is_context(btf, id("sk_buff"), ProgType::Xdp) && !is_context(btf, id("xdp_md"), ProgType::Syscall));
    }
}
