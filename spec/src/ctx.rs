//! Program contexts, and the fields of socket-like registers: what may be read and written at which offset, and what a read yields.
//! One file per family of structs holds the rows; this one the lookup. Contexts typed by BTF (TRACING, LSM, STRUCT_OPS) are not
//! here: their rules need the kernel's BTF.

mod plain;
mod skb;
mod sock;
mod sockets;
mod xdp;

use crate::profile::{Caps, Version};
use crate::prog::{AttachType, ProgContext, ProgType};
use crate::span::Span;

/// From here on kprobe programs may write their registers.
const KPROBE_WRITES: Version = Version { major: 6, minor: 18, patch: 0 };

/// Which way a context is touched. ST and STX obey the same rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKind {
    Read,
    /// Sign-extending load.
    ReadSx,
    Write,
}

/// What a load of the field leaves in the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtxReg {
    Scalar,
    Pkt,
    PktEnd,
    PktMeta,
    FlowKeys,
    Sock {
        nullable: bool,
    },
    SockCommon {
        nullable: bool,
    },
    TpBuffer,
    /// Trusted BTF pointer to this vmlinux struct.
    TrustedPtr(&'static str),
}

/// An accepted access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtxAccess {
    pub reg: CtxReg,
    pub field: &'static str,
    pub field_off: u32,
    pub field_width: u32,
    /// Accepted here, but the rewrite after verification has no code for it.
    pub conversion_fails: bool,
}

/// A field as one program sees it. One without a name is padding that passes for a field until it is to be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    pub off: u32,
    pub width: u32,
    pub access: Access,
}

/// Which accesses of a field are accepted. A sign-extending load is accepted where a plain load of a scalar is, below 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub read: Sizes,
    pub write: Sizes,
    pub reg: CtxReg,
    /// This kind of access needs CAP_BPF at load.
    pub bpf_for: Option<AccessKind>,
}

/// Accepted sizes. Sets of sizes are the or of the sizes: 1|2|4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    No,
    /// These sizes, at context offsets that are multiples of the size, within the field.
    Aligned(u8),
    /// These sizes at these offsets in the field (the access may reach past the field's end).
    At(&'static [(u8, u8)]),
    /// These sizes anywhere within the struct.
    Anywhere(u8),
}

/// A context as one program sees it.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The UAPI struct; also what BTF arguments must point to (see [`named_struct`]).
    pub struct_name: &'static str,
    pub size: u32,
    rows: Rows,
    version: Version,
    /// Negative offsets are accepted as scalars: TRACEPOINT's lower bound is compared unsigned.
    negative_reads: bool,
}

/// The rows of a struct: one column of accesses per way of seeing it.
#[derive(Clone, Copy, Debug)]
enum Rows {
    One(&'static [Row<1>]),
    Two(&'static [Row<2>], usize),
    Five(&'static [Row<5>], usize),
    Six(&'static [Row<6>], usize),
}

#[derive(Debug)]
struct Row<const N: usize> {
    name: &'static str,
    off: u32,
    width: u32,
    access: [Access; N],
    span: Span,
}

impl<const N: usize> Row<N> {
    /// A field that came with this series, or that it changed.
    const fn since(mut self, major: u16, minor: u16) -> Row<N> {
        self.span = self.span.since(major, minor);
        self
    }

    /// A field as it was before this series.
    const fn until(mut self, major: u16, minor: u16) -> Row<N> {
        self.span = self.span.until(major, minor);
        self
    }
}

impl Rows {
    fn len(self) -> usize {
        match self {
            Rows::One(r) => r.len(),
            Rows::Two(r, _) => r.len(),
            Rows::Five(r, _) => r.len(),
            Rows::Six(r, _) => r.len(),
        }
    }

    /// The row's field, if the kernel of this version has it.
    fn get(self, i: usize, version: Version) -> Option<Field> {
        fn field<const N: usize>(row: &Row<N>, column: usize, version: Version) -> Option<Field> {
            let Row { name, off, width, access, span } = *row;
            span.holds(version).then(|| Field { name, off, width, access: access[column] })
        }
        match self {
            Rows::One(r) => field(&r[i], 0, version),
            Rows::Two(r, c) => field(&r[i], c, version),
            Rows::Five(r, c) => field(&r[i], c, version),
            Rows::Six(r, c) => field(&r[i], c, version),
        }
    }
}

impl Layout {
    const fn new(struct_name: &'static str, size: u32, rows: Rows) -> Layout {
        Layout { struct_name, size, rows, version: Version::REFERENCE, negative_reads: false }
    }

    /// The struct's fields by offset, inaccessible ones included; padding is not a field.
    pub fn fields(self) -> impl Iterator<Item = Field> {
        (0..self.rows.len()).filter_map(move |i| self.rows.get(i, self.version))
    }

    /// The field that this offset is in.
    pub fn field_at(self, off: u32) -> Option<Field> {
        self.fields().find(|f| (f.off..f.off + f.width).contains(&off))
    }

    /// The rule for an access through an unmodified context register.
    pub fn access(self, caps: Caps, off: i32, size: u32, kind: AccessKind) -> Option<CtxAccess> {
        if !matches!(size, 1 | 2 | 4 | 8) || (kind == AccessKind::ReadSx && size == 8) {
            return None;
        }
        if off < 0 {
            let accepted = self.negative_reads && kind != AccessKind::Write && off % size as i32 == 0;
            return accepted.then(|| CtxAccess::scalar("any", 0, 0));
        }
        let off = off as u32;
        let field = self.field_at(off)?;
        let Access { read, write, reg, bpf_for } = field.access;
        let sizes = if kind == AccessKind::Write { write } else { read };
        let accepted = match sizes {
            Sizes::No => false,
            Sizes::Aligned(set) => {
                u32::from(set) & size != 0 && off.is_multiple_of(size) && off + size <= field.off + field.width
            }
            Sizes::At(places) => places.iter().any(|&(s, at)| u32::from(s) == size && u32::from(at) == off - field.off),
            Sizes::Anywhere(set) => u32::from(set) & size != 0 && off + size <= self.size,
        };
        let extends_pointer = kind == AccessKind::ReadSx && reg != CtxReg::Scalar;
        let lacks_cap =
            !caps.has_bpf() && bpf_for.is_some_and(|k| (k == AccessKind::Write) == (kind == AccessKind::Write));
        if !accepted || extends_pointer || lacks_cap {
            return None;
        }
        let reg = if kind == AccessKind::Write { CtxReg::Scalar } else { reg };
        let found = CtxAccess::scalar(field.name, field.off, field.width);
        Some(CtxAccess { reg, conversion_fails: field.name.is_empty(), ..found })
    }
}

impl CtxAccess {
    const fn scalar(field: &'static str, field_off: u32, field_width: u32) -> CtxAccess {
        CtxAccess { reg: CtxReg::Scalar, field, field_off, field_width, conversion_fails: false }
    }
}

/// The context of this program on 6.18.44 (on other kernels: [`crate::Profile::ctx`]); `None` for types whose context is typed by
/// BTF, and for EXT (ask for its target).
pub fn layout(prog: &ProgContext<'_>) -> Option<Layout> {
    layout_of(prog, Version::REFERENCE, true)
}

/// The context on a kernel of this version, with or without CONFIG_KPROBES.
pub(crate) fn layout_of(prog: &ProgContext<'_>, version: Version, kprobes: bool) -> Option<Layout> {
    use ProgType::*;
    let layout = match prog.prog_type {
        SocketFilter => skb::layout(skb::SOCKET_FILTER),
        SchedCls | SchedAct => skb::layout(skb::SCHED),
        CgroupSkb => skb::layout(skb::CGROUP_SKB),
        LwtIn | LwtOut | LwtXmit | LwtSeg6local => skb::layout(skb::LWT),
        SkSkb => skb::layout(skb::SK_SKB),
        FlowDissector => skb::layout(skb::FLOW_DISSECTOR),
        Xdp => xdp::layout(prog.attaches_as(AttachType::XdpDevmap)),
        SkMsg => sockets::sk_msg(),
        SkReuseport => sockets::sk_reuseport(),
        SkLookup => sockets::sk_lookup(),
        SockOps => sockets::sock_ops(),
        CgroupSock => sock::cgroup_sock(prog),
        CgroupSockAddr => sock::sock_addr(prog),
        CgroupSockopt => sock::sockopt(prog.attaches_as(AttachType::CgroupSetsockopt)),
        CgroupDevice => plain::cgroup_device(),
        CgroupSysctl => plain::sysctl(),
        Netfilter => plain::netfilter(),
        PerfEvent => plain::perf_event(),
        Kprobe => plain::kprobe(kprobes && version >= KPROBE_WRITES),
        Tracepoint => plain::tracepoint(),
        RawTracepoint => plain::raw_tracepoint(),
        RawTracepointWritable => plain::raw_tracepoint_writable(),
        Syscall => plain::syscall(),
        LircMode2 => plain::lirc(),
        Tracing | StructOps | Lsm | Ext => return None,
    };
    Some(Layout { version, ..layout })
}

/// Whether the program may do this to its context on 6.18.44, and what comes of it. `None`: `invalid bpf_context access`.
pub fn access(prog: &ProgContext<'_>, caps: Caps, off: i32, size: u32, kind: AccessKind) -> Option<CtxAccess> {
    layout(prog)?.access(caps, off, size, kind)
}

/// Registers with named fields of their own. They are read only, except flow keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldReg {
    Sock,
    SockCommon,
    TcpSock,
    XdpSock,
    FlowKeys,
}

/// The fields behind such a register on a kernel of this version.
pub fn reg_layout(reg: FieldReg, version: Version) -> Layout {
    let layout = match reg {
        FieldReg::Sock => sock::reg_sock(),
        FieldReg::SockCommon => sock::reg_sock_common(),
        FieldReg::TcpSock => sock::reg_tcp_sock(),
        FieldReg::XdpSock => xdp::reg_xdp_sock(),
        FieldReg::FlowKeys => skb::reg_flow_keys(),
    };
    Layout { version, ..layout }
}

/// Whether such a register may be accessed so. `off` is absolute in the struct.
pub fn reg_access(reg: FieldReg, version: Version, off: i32, size: u32, kind: AccessKind) -> Option<CtxAccess> {
    let mut found = reg_layout(reg, version).access(Caps::ALL, off, size, kind)?;
    // The upper halves of the two 64-bit counters pass as 4-byte fields of their own.
    found.conversion_fails = reg == FieldReg::TcpSock && matches!((off, size), (84 | 92, 4));
    Some(found)
}

/// Names by which a BTF argument is recognised as the context: the UAPI struct and, where the kernel's own counts too, that.
/// Types without a named context yield nothing.
pub fn named_struct(ty: ProgType) -> &'static [&'static str] {
    use ProgType::*;
    match ty {
        SocketFilter | SchedCls | SchedAct | CgroupSkb | LwtIn | LwtOut | LwtXmit | LwtSeg6local | SkSkb
        | FlowDissector => &["__sk_buff", "sk_buff"],
        Xdp => &["xdp_md", "xdp_buff"],
        CgroupSock => &["bpf_sock"],
        CgroupSockAddr => &["bpf_sock_addr"],
        SockOps => &["bpf_sock_ops"],
        SkMsg => &["sk_msg_md"],
        PerfEvent => &["bpf_perf_event_data"],
        Kprobe => &["bpf_user_pt_regs_t", "pt_regs"],
        RawTracepoint | RawTracepointWritable => &["bpf_raw_tracepoint_args"],
        CgroupDevice => &["bpf_cgroup_dev_ctx"],
        CgroupSysctl => &["bpf_sysctl"],
        CgroupSockopt => &["bpf_sockopt"],
        SkReuseport => &["sk_reuseport_md"],
        SkLookup => &["bpf_sk_lookup"],
        Netfilter => &["bpf_nf_ctx"],
        LircMode2 => &["__u32"],
        Tracepoint | Tracing | StructOps | Lsm | Ext | Syscall => &[],
    }
}

const fn access_of(read: Sizes, write: Sizes, reg: CtxReg) -> Access {
    Access { read, write, reg, bpf_for: None }
}

/// Refused.
const __: Access = access_of(Sizes::No, Sizes::No, CtxReg::Scalar);
/// Any aligned part of a field of up to 4 bytes.
const NARROW: Access = access_of(Sizes::Aligned(1 | 2 | 4), Sizes::No, CtxReg::Scalar);
/// The same, written as a whole.
const NARROW_W: Access = access_of(Sizes::Aligned(1 | 2 | 4), Sizes::Aligned(4), CtxReg::Scalar);
/// Whole 4-byte words.
const WORD: Access = access_of(Sizes::Aligned(4), Sizes::No, CtxReg::Scalar);
const WORD_W: Access = access_of(Sizes::Aligned(4), Sizes::Aligned(4), CtxReg::Scalar);
/// Whole 8-byte words.
const QUAD: Access = access_of(Sizes::Aligned(8), Sizes::No, CtxReg::Scalar);
const QUAD_W: Access = access_of(Sizes::Aligned(8), Sizes::Aligned(8), CtxReg::Scalar);
/// Any aligned part.
const PART: Access = access_of(Sizes::Aligned(15), Sizes::No, CtxReg::Scalar);
const PART_W: Access = access_of(Sizes::Aligned(15), Sizes::Aligned(15), CtxReg::Scalar);
/// Narrow, at the field's own offset only.
const PREFIX: Access = access_of(Sizes::At(&[(1, 0), (2, 0), (4, 0)]), Sizes::No, CtxReg::Scalar);
/// A 2-byte port that may be read as 4 bytes, as it once was.
const PORT: Access = access_of(Sizes::At(&[(1, 0), (2, 0), (4, 0), (1, 1)]), Sizes::No, CtxReg::Scalar);

/// A pointer in a 4-byte field.
const fn ptr4(reg: CtxReg) -> Access {
    access_of(Sizes::Aligned(4), Sizes::No, reg)
}

/// A pointer in an 8-byte field.
const fn ptr8(reg: CtxReg) -> Access {
    access_of(Sizes::Aligned(8), Sizes::No, reg)
}

const fn row<const N: usize>(name: &'static str, off: u32, width: u32, access: [Access; N]) -> Row<N> {
    Row { name, off, width, access, span: Span::ALWAYS }
}

const SOCK: CtxReg = CtxReg::Sock { nullable: false };
const SOCK_OR_NULL: CtxReg = CtxReg::Sock { nullable: true };
const SOCK_COMMON_OR_NULL: CtxReg = CtxReg::SockCommon { nullable: true };

#[cfg(test)]
mod tests;
