//! What a program type may do, apart from its context and helpers: privileges, attach types, return values, packet access,
//! sleeping, legacy packet loads, kfunc class, license.

use super::{AttachType, ProgContext, ProgType};
use crate::kfunc::Hooks;
use crate::lsm;
use crate::profile::Version;
use crate::span::Span;

/// Licenses that count as GPL-compatible.
pub const GPL_COMPATIBLE: [&str; 6] =
    ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];

pub fn is_gpl_compatible(license: &str) -> bool {
    GPL_COMPATIBLE.contains(&license)
}

/// Capabilities that loading a type needs (each: it or CAP_SYS_ADMIN).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadNeeds {
    pub bpf: bool,
    pub net_admin: bool,
    pub perfmon: bool,
}

pub fn load_needs(ty: ProgType) -> LoadNeeds {
    use ProgType::*;
    LoadNeeds {
        bpf: !matches!(ty, SocketFilter | CgroupSkb),
        net_admin: matches!(
            ty,
            SchedCls
                | SchedAct
                | Xdp
                | LwtIn
                | LwtOut
                | LwtXmit
                | LwtSeg6local
                | SkSkb
                | SkMsg
                | FlowDissector
                | CgroupDevice
                | CgroupSock
                | CgroupSockAddr
                | CgroupSockopt
                | CgroupSysctl
                | SockOps
                | Ext
                | Netfilter
        ),
        perfmon: matches!(
            ty,
            Kprobe | Tracepoint | PerfEvent | RawTracepoint | RawTracepointWritable | Tracing | Lsm | StructOps | Ext
        ),
    }
}

/// `expected_attach_type` as the kernel takes it: two types have a default for 0.
pub fn fixup_attach_type(ty: ProgType, attach: u32) -> u32 {
    match (ty, attach) {
        (ProgType::CgroupSock, 0) => AttachType::CgroupInetSockCreate.raw(),
        (ProgType::SkReuseport, 0) => AttachType::SkReuseportSelect.raw(),
        _ => attach,
    }
}

/// Whether a (fixed-up) `expected_attach_type` is accepted at load.
pub fn attach_type_valid(ty: ProgType, attach: u32, version: Version) -> bool {
    match ty {
        ProgType::CgroupSkb => matches!(attach, 0 | 1),
        ProgType::CgroupSock => matches!(attach, 2 | 12 | 13 | 34),
        ProgType::CgroupSockAddr => matches!(attach, 8..=11 | 14 | 15 | 19 | 20 | 29..=32 | 49..=53),
        ProgType::CgroupSockopt => matches!(attach, 21 | 22),
        ProgType::SkLookup => attach == AttachType::SkLookup.raw(),
        ProgType::SkReuseport => matches!(attach, 39 | 40),
        ProgType::Netfilter => attach == AttachType::Netfilter.raw(),
        ProgType::Syscall | ProgType::Ext => attach == 0,
        // Tracing many functions at once.
        _ => ty == ProgType::Tracing || !matches!(attach, 59..=61) || !since(7, 2).holds(version),
    }
}

/// Types that may give an `attach_btf_id`.
pub fn may_have_attach_btf_id(ty: ProgType) -> bool {
    matches!(ty, ProgType::Tracing | ProgType::Lsm | ProgType::StructOps | ProgType::Ext)
}

/// Whether BPF_F_SLEEPABLE is accepted (SYSCALL requires it).
pub fn may_be_sleepable(prog: &ProgContext<'_>, version: Version) -> bool {
    use AttachType::{ModifyReturn, TraceFentry, TraceFexit, TraceFsession, TraceIter, TraceRawTp};
    match prog.prog_type {
        ProgType::Tracing => {
            Span::ALWAYS.until(6, 12).holds(version)
                || matches!(prog.attach(), Some(TraceFentry | TraceFexit | ModifyReturn | TraceIter))
                || prog.attaches_as(TraceRawTp) && since(7, 2).holds(version)
                || prog.attaches_as(TraceFsession) && targets_function(TraceFsession, version)
        }
        ProgType::Kprobe => since(6, 1).holds(version),
        ProgType::Tracepoint | ProgType::RawTracepoint => since(7, 2).holds(version),
        ProgType::StructOps => since(6, 12).holds(version),
        ProgType::Syscall | ProgType::Lsm => true,
        _ => false,
    }
}

/// Whether TRACING and LSM programs with this attach type have a kernel function as their target. (Either type may be loaded with the
/// other's.)
pub fn targets_function(attach: AttachType, version: Version) -> bool {
    use AttachType::*;
    match attach {
        TraceFentry | TraceFexit | ModifyReturn | LsmMac => true,
        LsmCgroup => since(6, 1).holds(version),
        TraceFsession => since(7, 0).holds(version),
        _ => false,
    }
}

const fn since(major: u16, minor: u16) -> Span {
    Span::ALWAYS.since(major, minor)
}

/// LD_ABS and LD_IND.
pub fn may_ld_abs(ty: ProgType) -> bool {
    matches!(ty, ProgType::SocketFilter | ProgType::SchedCls | ProgType::SchedAct)
}

/// "tracing program types" of the map restrictions: not TRACING, not LSM.
pub fn is_tracing_type(ty: ProgType) -> bool {
    use ProgType::*;
    matches!(ty, Kprobe | Tracepoint | PerfEvent | RawTracepoint | RawTracepointWritable)
}

/// Whether a helper's memory argument may be a packet pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelperPacket {
    Never,
    /// If the prototype has `pkt_access`.
    IfHelperTakes,
    Always,
}

/// Direct packet access. Reads are never refused by type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketRules {
    pub write: bool,
    pub helper: HelperPacket,
}

pub fn packet_rules(ty: ProgType) -> PacketRules {
    use ProgType::*;
    match ty {
        SchedCls | SchedAct | Xdp | LwtXmit | SkSkb | SkMsg => {
            PacketRules { write: true, helper: HelperPacket::IfHelperTakes }
        }
        LwtIn | LwtOut | LwtSeg6local | SkReuseport | FlowDissector | CgroupSkb => {
            PacketRules { write: false, helper: HelperPacket::IfHelperTakes }
        }
        CgroupSockopt => PacketRules { write: true, helper: HelperPacket::Always },
        _ => PacketRules { write: false, helper: HelperPacket::Never },
    }
}

/// Whether what a program returns is known: the kernel refuses a TRACING program with an attach type of LSM when it returns.
pub fn may_return(prog: &ProgContext<'_>) -> bool {
    prog.prog_type != ProgType::Tracing || !matches!(prog.attach(), Some(AttachType::LsmMac | AttachType::LsmCgroup))
}

/// What R0 must be at the exit of the main program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnRule {
    /// R0 readable (and no pointer without CAP_PERFMON).
    Any,
    /// Not even looked at.
    Unchecked,
    /// A scalar inside these signed 64-bit bounds.
    Range(i64, i64),
    /// The same on the 32-bit value.
    Range32(i32, i32),
}

/// The return rule of everything but STRUCT_OPS (whose rule depends on the member's BTF: a `void` member is `Unchecked`, one that
/// returns a struct pointer is `Range(0, 0)` unless R0 is such a pointer, any other is `Any`, which is the answer here).
pub fn return_rule(prog: &ProgContext<'_>, version: Version) -> ReturnRule {
    use AttachType as A;
    use ReturnRule::{Any, Range};
    match prog.prog_type {
        ProgType::CgroupSockAddr => match prog.attach() {
            Some(
                A::CgroupUdp4Recvmsg
                | A::CgroupUdp6Recvmsg
                | A::CgroupUnixRecvmsg
                | A::CgroupInet4Getpeername
                | A::CgroupInet6Getpeername
                | A::CgroupUnixGetpeername
                | A::CgroupInet4Getsockname
                | A::CgroupInet6Getsockname
                | A::CgroupUnixGetsockname,
            ) => Range(1, 1),
            Some(A::CgroupInet4Bind | A::CgroupInet6Bind) if since(6, 1).holds(version) => Range(0, 3),
            _ => Range(0, 1),
        },
        ProgType::CgroupSkb if prog.attaches_as(A::CgroupInetEgress) => Range(0, 3),
        ProgType::CgroupSkb
        | ProgType::CgroupSock
        | ProgType::SockOps
        | ProgType::CgroupDevice
        | ProgType::CgroupSysctl
        | ProgType::CgroupSockopt
        | ProgType::SkLookup
        | ProgType::Netfilter => Range(0, 1),
        ProgType::Tracing => match prog.attach() {
            Some(A::TraceFentry | A::TraceFexit | A::TraceFsession) => Range(0, 0),
            Some(A::TraceIter) => Range(0, 1),
            _ => Any,
        },
        ProgType::Kprobe => match prog.attach() {
            Some(A::TraceKprobeSession) if since(6, 12).holds(version) => Range(0, 1),
            Some(A::TraceUprobeSession) if since(6, 13).holds(version) => Range(0, 1),
            _ => Any,
        },
        ProgType::Lsm => lsm_return_rule(prog, version),
        _ => Any,
    }
}

/// The values that bpf_set_retval may set, where kernels look at them; `None`: any number.
pub fn set_retval_range(prog: &ProgContext<'_>, version: Version) -> Option<(i64, i64)> {
    match prog.prog_type {
        ProgType::Lsm if lsm::hook(prog.target, version).is_some_and(|h| h.returns == lsm::Returns::Bool) => {
            Some((0, 1))
        }
        ProgType::CgroupSockopt if prog.attaches_as(AttachType::CgroupGetsockopt) => None,
        _ => Some((-4095, 0)),
    }
}

fn lsm_return_rule(prog: &ProgContext<'_>, version: Version) -> ReturnRule {
    let hook = lsm::hook(prog.target, version);
    let void = hook.is_some_and(|h| h.returns == lsm::Returns::Void);
    match (prog.attaches_as(AttachType::LsmCgroup), void) {
        (true, true) => ReturnRule::Range(1, 1),
        (true, false) => ReturnRule::Range(0, 1),
        (false, _) if !since(6, 12).holds(version) => ReturnRule::Any,
        (false, true) => ReturnRule::Unchecked,
        (false, false) => match hook.map(|h| h.returns) {
            Some(lsm::Returns::Bool) => ReturnRule::Range32(0, 1),
            _ => ReturnRule::Range32(-4095, 0),
        },
    }
}

/// The set of kfuncs that a type is offered besides the common ones; `Hooks::NONE` where there is no other.
pub fn kfunc_hooks(ty: ProgType) -> Hooks {
    use ProgType::*;
    match ty {
        Xdp => Hooks::XDP,
        SchedCls => Hooks::TC,
        SchedAct => Hooks::SCHED_ACT,
        StructOps => Hooks::STRUCT_OPS,
        Tracing | Tracepoint | PerfEvent | Lsm => Hooks::TRACING,
        Syscall => Hooks::SYSCALL,
        CgroupSkb | CgroupSock | CgroupDevice | CgroupSockAddr | CgroupSockopt | CgroupSysctl | SockOps => {
            Hooks::CGROUP
        }
        SkSkb => Hooks::SK_SKB,
        SocketFilter => Hooks::SOCKET_FILTER,
        LwtIn | LwtOut | LwtXmit | LwtSeg6local => Hooks::LWT,
        Netfilter => Hooks::NETFILTER,
        Kprobe => Hooks::KPROBE,
        RawTracepoint | RawTracepointWritable | SkMsg | SkReuseport | SkLookup | FlowDissector | LircMode2 | Ext => {
            Hooks::NONE
        }
    }
}

/// Types whose context accesses are not rewritten: where memory of n bytes is demanded (kfunc and global function arguments),
/// `ctx` passes as a one-byte access at n - 1.
pub fn ctx_is_plain_memory(ty: ProgType) -> bool {
    use ProgType::*;
    matches!(
        ty,
        Kprobe
            | Tracepoint
            | RawTracepoint
            | RawTracepointWritable
            | Tracing
            | Lsm
            | StructOps
            | Syscall
            | Netfilter
            | CgroupDevice
            | LircMode2
    )
}

/// Types that map_update_elem and map_delete_elem on a SOCKMAP or SOCKHASH are open to.
pub fn may_update_sockmap(prog: &ProgContext<'_>, delete: bool) -> bool {
    use ProgType::*;
    match prog.prog_type {
        Tracing => prog.attaches_as(AttachType::TraceIter),
        SockOps => delete,
        SocketFilter | SchedCls | SchedAct | Xdp | SkReuseport | FlowDissector | SkLookup => true,
        _ => false,
    }
}

/// Functions that TRACING programs may not attach to, and since when.
pub const TRACING_DENIED: [(&str, Span); 8] = [
    ("migrate_disable", Span::ALWAYS),
    ("migrate_enable", Span::ALWAYS),
    ("___migrate_enable", Span::ALWAYS),
    ("rcu_read_unlock_strict", since(6, 1)),
    ("preempt_count_add", since(6, 12)),
    ("preempt_count_sub", since(6, 12)),
    ("__rcu_read_lock", since(6, 12)),
    ("__rcu_read_unlock", since(6, 12)),
];

pub fn tracing_denied(function: &str, version: Version) -> bool {
    TRACING_DENIED.iter().any(|(name, span)| *name == function && span.holds(version))
}

/// Whether FEXIT and MODIFY_RETURN programs are refused because the function never returns.
pub fn never_returns(function: &str, version: Version) -> bool {
    since(6, 12).holds(version) && NORETURN.contains(&function)
}

/// Functions that never return.
pub const NORETURN: [&str; 12] = [
    "__x64_sys_exit",
    "__x64_sys_exit_group",
    "__ia32_sys_exit",
    "__ia32_sys_exit_group",
    "do_exit",
    "do_group_exit",
    "kthread_complete_and_exit",
    "kthread_exit",
    "make_task_dead",
    "__module_put_and_kthread_exit",
    "__kunit_abort",
    "kunit_try_catch_throw",
];

/// Where `d_path` may be called from when the program is neither an iterator nor a sleepable LSM hook.
pub const D_PATH_TARGETS: [&str; 9] = [
    "security_file_permission",
    "security_inode_getattr",
    "security_file_open",
    "security_path_truncate",
    "vfs_truncate",
    "vfs_fallocate",
    "dentry_open",
    "vfs_getattr",
    "filp_close",
];
