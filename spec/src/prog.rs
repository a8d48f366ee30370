//! Program types, attach types and load flags by number and name, and the identity of a program that other tables are asked with.
//! What a type may do is in `prog::rules`; its context in `ctx`; its helpers in `helper`.

use crate::numbered::numbered;

mod rules;
mod struct_ops;

pub use rules::*;
pub use struct_ops::*;

numbered! {
    /// `enum bpf_prog_type` of 6.18.
    pub enum ProgType: "BPF_PROG_TYPE_" {
        SocketFilter = 1 "SOCKET_FILTER", Kprobe = 2 "KPROBE", SchedCls = 3 "SCHED_CLS", SchedAct = 4 "SCHED_ACT",
        Tracepoint = 5 "TRACEPOINT", Xdp = 6 "XDP", PerfEvent = 7 "PERF_EVENT", CgroupSkb = 8 "CGROUP_SKB",
        CgroupSock = 9 "CGROUP_SOCK", LwtIn = 10 "LWT_IN", LwtOut = 11 "LWT_OUT", LwtXmit = 12 "LWT_XMIT",
        SockOps = 13 "SOCK_OPS", SkSkb = 14 "SK_SKB", CgroupDevice = 15 "CGROUP_DEVICE", SkMsg = 16 "SK_MSG",
        RawTracepoint = 17 "RAW_TRACEPOINT", CgroupSockAddr = 18 "CGROUP_SOCK_ADDR", LwtSeg6local = 19 "LWT_SEG6LOCAL",
        LircMode2 = 20 "LIRC_MODE2", SkReuseport = 21 "SK_REUSEPORT", FlowDissector = 22 "FLOW_DISSECTOR",
        CgroupSysctl = 23 "CGROUP_SYSCTL", RawTracepointWritable = 24 "RAW_TRACEPOINT_WRITABLE",
        CgroupSockopt = 25 "CGROUP_SOCKOPT", Tracing = 26 "TRACING", StructOps = 27 "STRUCT_OPS", Ext = 28 "EXT",
        Lsm = 29 "LSM", SkLookup = 30 "SK_LOOKUP", Syscall = 31 "SYSCALL", Netfilter = 32 "NETFILTER",
    }
}

numbered! {
    /// `enum bpf_attach_type`. The load attribute itself is a plain number: most types accept unknown values, and
    /// STRUCT_OPS puts a member index there.
    pub enum AttachType: "BPF_" {
        CgroupInetIngress = 0 "CGROUP_INET_INGRESS", CgroupInetEgress = 1 "CGROUP_INET_EGRESS",
        CgroupInetSockCreate = 2 "CGROUP_INET_SOCK_CREATE", CgroupSockOps = 3 "CGROUP_SOCK_OPS",
        SkSkbStreamParser = 4 "SK_SKB_STREAM_PARSER", SkSkbStreamVerdict = 5 "SK_SKB_STREAM_VERDICT",
        CgroupDevice = 6 "CGROUP_DEVICE", SkMsgVerdict = 7 "SK_MSG_VERDICT", CgroupInet4Bind = 8 "CGROUP_INET4_BIND",
        CgroupInet6Bind = 9 "CGROUP_INET6_BIND", CgroupInet4Connect = 10 "CGROUP_INET4_CONNECT",
        CgroupInet6Connect = 11 "CGROUP_INET6_CONNECT", CgroupInet4PostBind = 12 "CGROUP_INET4_POST_BIND",
        CgroupInet6PostBind = 13 "CGROUP_INET6_POST_BIND", CgroupUdp4Sendmsg = 14 "CGROUP_UDP4_SENDMSG",
        CgroupUdp6Sendmsg = 15 "CGROUP_UDP6_SENDMSG", LircMode2 = 16 "LIRC_MODE2", FlowDissector = 17 "FLOW_DISSECTOR",
        CgroupSysctl = 18 "CGROUP_SYSCTL", CgroupUdp4Recvmsg = 19 "CGROUP_UDP4_RECVMSG",
        CgroupUdp6Recvmsg = 20 "CGROUP_UDP6_RECVMSG", CgroupGetsockopt = 21 "CGROUP_GETSOCKOPT",
        CgroupSetsockopt = 22 "CGROUP_SETSOCKOPT", TraceRawTp = 23 "TRACE_RAW_TP", TraceFentry = 24 "TRACE_FENTRY",
        TraceFexit = 25 "TRACE_FEXIT", ModifyReturn = 26 "MODIFY_RETURN", LsmMac = 27 "LSM_MAC", TraceIter = 28 "TRACE_ITER",
        CgroupInet4Getpeername = 29 "CGROUP_INET4_GETPEERNAME", CgroupInet6Getpeername = 30 "CGROUP_INET6_GETPEERNAME",
        CgroupInet4Getsockname = 31 "CGROUP_INET4_GETSOCKNAME", CgroupInet6Getsockname = 32 "CGROUP_INET6_GETSOCKNAME",
        XdpDevmap = 33 "XDP_DEVMAP", CgroupInetSockRelease = 34 "CGROUP_INET_SOCK_RELEASE", XdpCpumap = 35 "XDP_CPUMAP",
        SkLookup = 36 "SK_LOOKUP", Xdp = 37 "XDP", SkSkbVerdict = 38 "SK_SKB_VERDICT",
        SkReuseportSelect = 39 "SK_REUSEPORT_SELECT", SkReuseportSelectOrMigrate = 40 "SK_REUSEPORT_SELECT_OR_MIGRATE",
        PerfEvent = 41 "PERF_EVENT", TraceKprobeMulti = 42 "TRACE_KPROBE_MULTI", LsmCgroup = 43 "LSM_CGROUP",
        StructOps = 44 "STRUCT_OPS", Netfilter = 45 "NETFILTER", TcxIngress = 46 "TCX_INGRESS", TcxEgress = 47 "TCX_EGRESS",
        TraceUprobeMulti = 48 "TRACE_UPROBE_MULTI", CgroupUnixConnect = 49 "CGROUP_UNIX_CONNECT",
        CgroupUnixSendmsg = 50 "CGROUP_UNIX_SENDMSG", CgroupUnixRecvmsg = 51 "CGROUP_UNIX_RECVMSG",
        CgroupUnixGetpeername = 52 "CGROUP_UNIX_GETPEERNAME", CgroupUnixGetsockname = 53 "CGROUP_UNIX_GETSOCKNAME",
        NetkitPrimary = 54 "NETKIT_PRIMARY", NetkitPeer = 55 "NETKIT_PEER", TraceKprobeSession = 56 "TRACE_KPROBE_SESSION",
        TraceUprobeSession = 57 "TRACE_UPROBE_SESSION", TraceFsession = 58 "TRACE_FSESSION",
    }
}

/// `prog_flags` of `BPF_PROG_LOAD`.
pub mod flags {
    use crate::profile::Version;
    use crate::span::Span;

    pub const STRICT_ALIGNMENT: u32 = 1 << 0;
    pub const ANY_ALIGNMENT: u32 = 1 << 1;
    pub const TEST_RND_HI32: u32 = 1 << 2;
    pub const TEST_STATE_FREQ: u32 = 1 << 3;
    pub const SLEEPABLE: u32 = 1 << 4;
    pub const XDP_HAS_FRAGS: u32 = 1 << 5;
    pub const XDP_DEV_BOUND_ONLY: u32 = 1 << 6;
    pub const TEST_REG_INVARIANTS: u32 = 1 << 7;
    pub const TOKEN_FD: u32 = 1 << 16;

    /// Each flag and the kernels that have it; any other bit is EINVAL.
    const ALL: [(u32, Span); 9] = [
        (STRICT_ALIGNMENT, Span::ALWAYS),
        (ANY_ALIGNMENT, Span::ALWAYS),
        (TEST_RND_HI32, Span::ALWAYS),
        (TEST_STATE_FREQ, Span::ALWAYS),
        (SLEEPABLE, Span::ALWAYS),
        (XDP_HAS_FRAGS, Span::ALWAYS.since(5, 18)),
        (XDP_DEV_BOUND_ONLY, Span::ALWAYS.since(6, 3)),
        (TEST_REG_INVARIANTS, Span::ALWAYS.since(6, 8)),
        (TOKEN_FD, Span::ALWAYS.since(6, 9)),
    ];

    /// What a kernel of this version accepts.
    pub fn accepted(version: Version) -> u32 {
        ALL.iter().filter(|(_, span)| span.holds(version)).map(|(flag, _)| flag).sum()
    }
}

/// What the tables are asked with: which program this is, as far as any fact depends on it. An EXT program is asked about with
/// its target's type and attach type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgContext<'a> {
    pub prog_type: ProgType,
    /// `expected_attach_type` as given (after [`fixup_attach_type`]); for STRUCT_OPS a member index.
    pub attach_type: u32,
    /// BPF_F_SLEEPABLE.
    pub sleepable: bool,
    /// Where facts depend on the attach target: the LSM hook (`file_open`), the iterator target (`task`), the kernel function
    /// (`vfs_read`), or `struct.member` (`tcp_congestion_ops.release`). Empty when there is none.
    pub target: &'a str,
}

impl ProgContext<'_> {
    /// A program of this type with nothing else said.
    pub const fn of(prog_type: ProgType) -> ProgContext<'static> {
        ProgContext { prog_type, attach_type: 0, sleepable: false, target: "" }
    }

    /// The attach type, when the number is a known one and means an attach type.
    pub fn attach(&self) -> Option<AttachType> {
        if self.prog_type == ProgType::StructOps { None } else { AttachType::from_raw(self.attach_type) }
    }

    /// Whether the attach type is this one.
    pub fn attaches_as(&self, attach: AttachType) -> bool {
        self.attach() == Some(attach)
    }
}
