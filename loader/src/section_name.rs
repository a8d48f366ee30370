//! What a section name says about the program in it: type, attach type, load flags, attach target. The names are libbpf 1.7's.

use spec::profile::Takes;
use spec::prog::flags;
use spec::{AttachType as A, ProgType as P};

/// How the rest of a name follows its first part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// Only the name itself.
    None,
    /// The name, or the name with `/something`.
    Optional,
}

/// What is looked up in the kernel's BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    None,
    /// A function or typedef: prefix, and whether it is the typedef of a tracepoint.
    Btf {
        prefix: &'static str,
        typedef: bool,
    },
    /// A function of another program, known only when attaching.
    Program,
    /// A member of a kernel struct, known from the map that refers to the program.
    StructOps,
}

pub(crate) struct Def {
    name: &'static str,
    tail: Tail,
    pub prog_type: P,
    attach_type: u32,
    pub flags: u32,
    pub target: Target,
}

/// A name read.
pub(crate) struct SectionName<'a> {
    pub def: &'static Def,
    /// What stands behind the first `/` of the name; empty without one.
    pub rest: &'a str,
}

const FUNC: Target = Target::Btf { prefix: "", typedef: false };
const RAW_TP: Target = Target::Btf { prefix: "btf_trace_", typedef: true };
const LSM: Target = Target::Btf { prefix: "bpf_lsm_", typedef: false };
const ITER: Target = Target::Btf { prefix: "bpf_iter_", typedef: false };

const fn exact(name: &'static str, prog_type: P, attach_type: u32) -> Def {
    Def { name, tail: Tail::None, prog_type, attach_type, flags: 0, target: Target::None }
}

const fn at(name: &'static str, prog_type: P, attach_type: A) -> Def {
    exact(name, prog_type, attach_type.raw())
}

const fn open(name: &'static str, prog_type: P, attach_type: u32) -> Def {
    Def { tail: Tail::Optional, ..exact(name, prog_type, attach_type) }
}

const fn sleepable(name: &'static str, prog_type: P, attach_type: u32) -> Def {
    Def { flags: flags::SLEEPABLE, ..open(name, prog_type, attach_type) }
}

const fn btf(name: &'static str, prog_type: P, attach_type: A, target: Target) -> Def {
    Def { target, ..open(name, prog_type, attach_type.raw()) }
}

const fn btf_s(name: &'static str, prog_type: P, attach_type: A, target: Target) -> Def {
    Def { flags: flags::SLEEPABLE, ..btf(name, prog_type, attach_type, target) }
}

const fn frags(name: &'static str, attach_type: A) -> Def {
    Def { flags: flags::XDP_HAS_FRAGS, ..at(name, P::Xdp, attach_type) }
}

/// BPF_TRACE_FSESSION: known to libbpf 1.7, not yet to 6.18.
const FSESSION: u32 = 58;
const UPROBE_MULTI: u32 = A::TraceUprobeMulti.raw();
const UPROBE_SESSION: u32 = A::TraceUprobeSession.raw();

/// The first match counts.
#[rustfmt::skip]
static DEFS: &[Def] = &[
    exact("socket", P::SocketFilter, 0),
    at("sk_reuseport/migrate", P::SkReuseport, A::SkReuseportSelectOrMigrate),
    at("sk_reuseport", P::SkReuseport, A::SkReuseportSelect),
    open("kprobe", P::Kprobe, 0),
    open("uprobe", P::Kprobe, 0),
    sleepable("uprobe.s", P::Kprobe, 0),
    open("kretprobe", P::Kprobe, 0),
    open("uretprobe", P::Kprobe, 0),
    sleepable("uretprobe.s", P::Kprobe, 0),
    open("kprobe.multi", P::Kprobe, A::TraceKprobeMulti.raw()),
    open("kretprobe.multi", P::Kprobe, A::TraceKprobeMulti.raw()),
    open("kprobe.session", P::Kprobe, A::TraceKprobeSession.raw()),
    open("uprobe.multi", P::Kprobe, UPROBE_MULTI),
    open("uretprobe.multi", P::Kprobe, UPROBE_MULTI),
    open("uprobe.session", P::Kprobe, UPROBE_SESSION),
    sleepable("uprobe.multi.s", P::Kprobe, UPROBE_MULTI),
    sleepable("uretprobe.multi.s", P::Kprobe, UPROBE_MULTI),
    sleepable("uprobe.session.s", P::Kprobe, UPROBE_SESSION),
    open("ksyscall", P::Kprobe, 0),
    open("kretsyscall", P::Kprobe, 0),
    open("usdt", P::Kprobe, UPROBE_MULTI),
    sleepable("usdt.s", P::Kprobe, UPROBE_MULTI),
    at("tc/ingress", P::SchedCls, A::TcxIngress),
    at("tc/egress", P::SchedCls, A::TcxEgress),
    at("tcx/ingress", P::SchedCls, A::TcxIngress),
    at("tcx/egress", P::SchedCls, A::TcxEgress),
    exact("tc", P::SchedCls, 0),
    exact("classifier", P::SchedCls, 0),
    exact("action", P::SchedAct, 0),
    at("netkit/primary", P::SchedCls, A::NetkitPrimary),
    at("netkit/peer", P::SchedCls, A::NetkitPeer),
    open("tracepoint", P::Tracepoint, 0),
    open("tp", P::Tracepoint, 0),
    open("raw_tracepoint", P::RawTracepoint, 0),
    open("raw_tp", P::RawTracepoint, 0),
    open("raw_tracepoint.w", P::RawTracepointWritable, 0),
    open("raw_tp.w", P::RawTracepointWritable, 0),
    btf("tp_btf", P::Tracing, A::TraceRawTp, RAW_TP),
    btf("fentry", P::Tracing, A::TraceFentry, FUNC),
    btf("fmod_ret", P::Tracing, A::ModifyReturn, FUNC),
    btf("fexit", P::Tracing, A::TraceFexit, FUNC),
    btf_s("fentry.s", P::Tracing, A::TraceFentry, FUNC),
    btf_s("fmod_ret.s", P::Tracing, A::ModifyReturn, FUNC),
    btf_s("fexit.s", P::Tracing, A::TraceFexit, FUNC),
    Def { target: FUNC, ..open("fsession", P::Tracing, FSESSION) },
    Def { target: FUNC, ..sleepable("fsession.s", P::Tracing, FSESSION) },
    Def { target: Target::Program, ..open("freplace", P::Ext, 0) },
    btf("lsm", P::Lsm, A::LsmMac, LSM),
    btf_s("lsm.s", P::Lsm, A::LsmMac, LSM),
    btf("lsm_cgroup", P::Lsm, A::LsmCgroup, LSM),
    btf("iter", P::Tracing, A::TraceIter, ITER),
    btf_s("iter.s", P::Tracing, A::TraceIter, ITER),
    Def { flags: flags::SLEEPABLE, ..exact("syscall", P::Syscall, 0) },
    frags("xdp.frags/devmap", A::XdpDevmap),
    at("xdp/devmap", P::Xdp, A::XdpDevmap),
    frags("xdp.frags/cpumap", A::XdpCpumap),
    at("xdp/cpumap", P::Xdp, A::XdpCpumap),
    frags("xdp.frags", A::Xdp),
    at("xdp", P::Xdp, A::Xdp),
    exact("perf_event", P::PerfEvent, 0),
    exact("lwt_in", P::LwtIn, 0),
    exact("lwt_out", P::LwtOut, 0),
    exact("lwt_xmit", P::LwtXmit, 0),
    exact("lwt_seg6local", P::LwtSeg6local, 0),
    at("sockops", P::SockOps, A::CgroupSockOps),
    at("sk_skb/stream_parser", P::SkSkb, A::SkSkbStreamParser),
    at("sk_skb/stream_verdict", P::SkSkb, A::SkSkbStreamVerdict),
    at("sk_skb/verdict", P::SkSkb, A::SkSkbVerdict),
    exact("sk_skb", P::SkSkb, 0),
    at("sk_msg", P::SkMsg, A::SkMsgVerdict),
    at("lirc_mode2", P::LircMode2, A::LircMode2),
    at("flow_dissector", P::FlowDissector, A::FlowDissector),
    at("cgroup_skb/ingress", P::CgroupSkb, A::CgroupInetIngress),
    at("cgroup_skb/egress", P::CgroupSkb, A::CgroupInetEgress),
    exact("cgroup/skb", P::CgroupSkb, 0),
    at("cgroup/sock_create", P::CgroupSock, A::CgroupInetSockCreate),
    at("cgroup/sock_release", P::CgroupSock, A::CgroupInetSockRelease),
    at("cgroup/sock", P::CgroupSock, A::CgroupInetSockCreate),
    at("cgroup/post_bind4", P::CgroupSock, A::CgroupInet4PostBind),
    at("cgroup/post_bind6", P::CgroupSock, A::CgroupInet6PostBind),
    at("cgroup/bind4", P::CgroupSockAddr, A::CgroupInet4Bind),
    at("cgroup/bind6", P::CgroupSockAddr, A::CgroupInet6Bind),
    at("cgroup/connect4", P::CgroupSockAddr, A::CgroupInet4Connect),
    at("cgroup/connect6", P::CgroupSockAddr, A::CgroupInet6Connect),
    at("cgroup/connect_unix", P::CgroupSockAddr, A::CgroupUnixConnect),
    at("cgroup/sendmsg4", P::CgroupSockAddr, A::CgroupUdp4Sendmsg),
    at("cgroup/sendmsg6", P::CgroupSockAddr, A::CgroupUdp6Sendmsg),
    at("cgroup/sendmsg_unix", P::CgroupSockAddr, A::CgroupUnixSendmsg),
    at("cgroup/recvmsg4", P::CgroupSockAddr, A::CgroupUdp4Recvmsg),
    at("cgroup/recvmsg6", P::CgroupSockAddr, A::CgroupUdp6Recvmsg),
    at("cgroup/recvmsg_unix", P::CgroupSockAddr, A::CgroupUnixRecvmsg),
    at("cgroup/getpeername4", P::CgroupSockAddr, A::CgroupInet4Getpeername),
    at("cgroup/getpeername6", P::CgroupSockAddr, A::CgroupInet6Getpeername),
    at("cgroup/getpeername_unix", P::CgroupSockAddr, A::CgroupUnixGetpeername),
    at("cgroup/getsockname4", P::CgroupSockAddr, A::CgroupInet4Getsockname),
    at("cgroup/getsockname6", P::CgroupSockAddr, A::CgroupInet6Getsockname),
    at("cgroup/getsockname_unix", P::CgroupSockAddr, A::CgroupUnixGetsockname),
    at("cgroup/sysctl", P::CgroupSysctl, A::CgroupSysctl),
    at("cgroup/getsockopt", P::CgroupSockopt, A::CgroupGetsockopt),
    at("cgroup/setsockopt", P::CgroupSockopt, A::CgroupSetsockopt),
    at("cgroup/dev", P::CgroupDevice, A::CgroupDevice),
    Def { target: Target::StructOps, ..open("struct_ops", P::StructOps, 0) },
    Def { target: Target::StructOps, ..sleepable("struct_ops.s", P::StructOps, 0) },
    at("sk_lookup", P::SkLookup, A::SkLookup),
    at("netfilter", P::Netfilter, A::Netfilter),
];

/// What a section name says, for callers that have a name but no object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionKind {
    pub prog_type: u32,
    pub expected_attach_type: u32,
    pub flags: u32,
    pub attach_to: String,
}

/// Reads a section name (with or without the leading `?`); `None` when it names no program type.
pub fn section_kind(name: &str) -> Option<SectionKind> {
    let name = read(name.strip_prefix('?').unwrap_or(name))?;
    Some(SectionKind {
        prog_type: name.def.prog_type.raw(),
        expected_attach_type: name.def.attach_type,
        flags: name.def.flags,
        attach_to: name.rest.to_owned(),
    })
}

impl Def {
    /// usdt programs attach by uprobe.multi where the kernel has it.
    pub fn attach_type(&self, takes: Takes) -> u32 {
        if self.name.starts_with("usdt") && !takes.uprobe_multi { 0 } else { self.attach_type }
    }

    fn fits(&self, name: &str) -> bool {
        match name.strip_prefix(self.name) {
            Some("") => true,
            Some(rest) => self.tail == Tail::Optional && rest.starts_with('/'),
            None => false,
        }
    }
}

/// Reads a section name (without the leading `?`) as libbpf does.
pub(crate) fn read(name: &str) -> Option<SectionName<'_>> {
    DEFS.iter().find(|d| d.fits(name)).map(|def| with_rest(def, name))
}

/// Reads a section name that may also only start with a known one (`xdp_drop`, `classifier/ingress`), as cilium/ebpf does, and as
/// libbpf did before 1.0.
pub(crate) fn read_loosely(name: &str) -> Option<SectionName<'_>> {
    let name = name.strip_prefix('?').unwrap_or(name);
    let started = DEFS.iter().filter(|d| name.starts_with(d.name)).max_by_key(|d| d.name.len());
    read(name).or_else(|| started.map(|def| with_rest(def, name)))
}

fn with_rest<'a>(def: &'static Def, name: &'a str) -> SectionName<'a> {
    SectionName { def, rest: name.split_once('/').map_or("", |(_, rest)| rest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(name: &str) -> Option<(P, u32, u32, &str)> {
        read(name).map(|s| (s.def.prog_type, s.def.attach_type, s.def.flags, s.rest))
    }

    #[test]
    fn names_mean_what_libbpf_says() {
        assert_eq!(all("xdp"), Some((P::Xdp, 37, 0, "")));
        assert_eq!(all("xdp.frags/devmap"), Some((P::Xdp, 33, 32, "devmap")));
        assert_eq!(all("xdp/other"), None);
        assert_eq!(all("xdp_drop"), None);
        assert_eq!(read_loosely("xdp_drop").map(|s| s.def.prog_type), Some(P::Xdp));
        assert_eq!(read_loosely("?classifier/in").map(|s| (s.def.prog_type, s.rest)), Some((P::SchedCls, "in")));
        assert!(read_loosely("library").is_none());
        assert_eq!(all("lsm.s/file_open"), Some((P::Lsm, 27, 16, "file_open")));
        assert_eq!(all("tp_btf/sched_switch"), Some((P::Tracing, 23, 0, "sched_switch")));
        assert_eq!(all("kprobe.multi/vfs_*"), Some((P::Kprobe, 42, 0, "vfs_*")));
        assert_eq!(all("kprobex"), None);
        assert_eq!(all("tracepoint/syscalls/sys_enter_open"), Some((P::Tracepoint, 0, 0, "syscalls/sys_enter_open")));
        assert_eq!(all("struct_ops.s/init"), Some((P::StructOps, 0, 16, "init")));
    }
}
