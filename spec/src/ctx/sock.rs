//! Sockets as contexts and as registers (`bpf_sock`, `bpf_tcp_sock`), and the cgroup hooks around addresses and options.

use super::CtxReg::{Pkt, PktEnd};
use super::*;

/// `struct bpf_sock` as CGROUP_SOCK's context.
pub(super) fn cgroup_sock(prog: &ProgContext<'_>) -> Layout {
    let column = match prog.attach() {
        Some(AttachType::CgroupInet4PostBind) => 1,
        Some(AttachType::CgroupInet6PostBind) => 2,
        _ => 0,
    };
    bpf_sock(column)
}

pub(super) fn reg_sock() -> Layout {
    bpf_sock(3)
}

pub(super) fn reg_sock_common() -> Layout {
    bpf_sock(4)
}

fn bpf_sock(column: usize) -> Layout {
    Layout::new("bpf_sock", 80, Rows::Five(BPF_SOCK, column))
}

pub(super) fn reg_tcp_sock() -> Layout {
    Layout::new("bpf_tcp_sock", 112, Rows::One(TCP_SOCK))
}

/// `struct bpf_sock_addr`: the attach type says which family's addresses are there.
pub(super) fn sock_addr(prog: &ProgContext<'_>) -> Layout {
    use AttachType::*;
    let column = match prog.attach() {
        Some(CgroupUdp4Sendmsg) => 3,
        Some(CgroupUdp6Sendmsg) => 4,
        Some(
            CgroupInet4Bind | CgroupInet4Connect | CgroupUdp4Recvmsg | CgroupInet4Getpeername | CgroupInet4Getsockname,
        ) => 0,
        Some(
            CgroupInet6Bind | CgroupInet6Connect | CgroupUdp6Recvmsg | CgroupInet6Getpeername | CgroupInet6Getsockname,
        ) => 1,
        _ => 2,
    };
    Layout::new("bpf_sock_addr", 72, Rows::Five(SOCK_ADDR, column))
}

/// `struct bpf_sockopt`.
pub(super) fn sockopt(set: bool) -> Layout {
    Layout::new("bpf_sockopt", 40, Rows::Two(SOCKOPT, usize::from(set)))
}

/// An IPv6 address: written as words or as its aligned halves.
const V6: Access = access_of(Sizes::Aligned(15), Sizes::Aligned(4 | 8), CtxReg::Scalar);
/// A 64-bit counter whose upper half passes as a word.
const COUNTER: Access = access_of(Sizes::At(&[(8, 0), (4, 4)]), Sizes::No, CtxReg::Scalar);

/// `struct bpf_sock`.
#[rustfmt::skip]
static BPF_SOCK: &[Row<5>] = &[
    //  contexts SOCK_CREATE and SOCK_RELEASE, INET4_POST_BIND, INET6_POST_BIND; registers sock, sock_common
    row("bound_dev_if", 0, 4, [WORD_W, __    , __    , WORD  , WORD]),
    row("family", 4, 4, [PREFIX, PREFIX, PREFIX, PREFIX, PREFIX]),
    row("type", 8, 4, [PREFIX, PREFIX, PREFIX, PREFIX, __]),
    row("protocol", 12, 4, [PREFIX, PREFIX, PREFIX, PREFIX, __]),
    row("mark", 16, 4, [WORD_W, __    , __    , WORD  , __]),
    row("priority", 20, 4, [WORD_W, __    , __    , WORD  , __]),
    row("src_ip4", 24, 4, [__    , NARROW, __    , NARROW, NARROW]),
    row("src_ip6", 28, 16, [__    , __    , NARROW, NARROW, NARROW]),
    row("src_port", 44, 4, [__    , PREFIX, PREFIX, PREFIX, PREFIX]),
    row("dst_port", 48, 2, [PORT  , PORT  , PORT  , PORT  , PORT]),
    row("dst_ip4", 52, 4, [NARROW, NARROW, NARROW, NARROW, NARROW]),
    row("dst_ip6", 56, 16, [NARROW, NARROW, NARROW, NARROW, NARROW]),
    row("state", 72, 4, [PREFIX, PREFIX, PREFIX, PREFIX, PREFIX]),
    row("rx_queue_mapping", 76, 4, [PREFIX, PREFIX, PREFIX, PREFIX, PREFIX]),
];

/// `struct bpf_tcp_sock`.
#[rustfmt::skip]
static TCP_SOCK: &[Row<1>] = &[
    row("snd_cwnd", 0, 4, [WORD]),
    row("srtt_us", 4, 4, [WORD]),
    row("rtt_min", 8, 4, [WORD]),
    row("snd_ssthresh", 12, 4, [WORD]),
    row("rcv_nxt", 16, 4, [WORD]),
    row("snd_nxt", 20, 4, [WORD]),
    row("snd_una", 24, 4, [WORD]),
    row("mss_cache", 28, 4, [WORD]),
    row("ecn_flags", 32, 4, [WORD]),
    row("rate_delivered", 36, 4, [WORD]),
    row("rate_interval_us", 40, 4, [WORD]),
    row("packets_out", 44, 4, [WORD]),
    row("retrans_out", 48, 4, [WORD]),
    row("total_retrans", 52, 4, [WORD]),
    row("segs_in", 56, 4, [WORD]),
    row("data_segs_in", 60, 4, [WORD]),
    row("segs_out", 64, 4, [WORD]),
    row("data_segs_out", 68, 4, [WORD]),
    row("lost_out", 72, 4, [WORD]),
    row("sacked_out", 76, 4, [WORD]),
    row("bytes_received", 80, 8, [COUNTER]),
    row("bytes_acked", 88, 8, [COUNTER]),
    row("dsack_dups", 96, 4, [WORD]),
    row("delivered", 100, 4, [WORD]),
    row("delivered_ce", 104, 4, [WORD]),
    row("icsk_retransmits", 108, 4, [WORD]),
];

/// `struct bpf_sock_addr`.
#[rustfmt::skip]
static SOCK_ADDR: &[Row<5>] = &[
    //  IPv4, IPv6, UNIX, UDP4_SENDMSG, UDP6_SENDMSG
    row("user_family", 0, 4, [WORD      , WORD      , WORD      , WORD      , WORD]),
    row("user_ip4", 4, 4, [NARROW_W  , __        , __        , NARROW_W  , __]),
    row("user_ip6", 8, 16, [__        , V6        , __        , __        , V6]),
    row("user_port", 24, 4, [NARROW_W  , NARROW_W  , NARROW_W  , NARROW_W  , NARROW_W]),
    row("family", 28, 4, [WORD      , WORD      , WORD      , WORD      , WORD]),
    row("type", 32, 4, [WORD      , WORD      , WORD      , WORD      , WORD]),
    row("protocol", 36, 4, [WORD      , WORD      , WORD      , WORD      , WORD]),
    row("msg_src_ip4", 40, 4, [__        , __        , __        , NARROW_W  , __]),
    row("msg_src_ip6", 44, 16, [__        , __        , __        , __        , V6]),
    row("sk", 64, 8, [ptr8(SOCK), ptr8(SOCK), ptr8(SOCK), ptr8(SOCK), ptr8(SOCK)]),
];

/// `struct bpf_sockopt`: GETSOCKOPT, SETSOCKOPT.
#[rustfmt::skip]
static SOCKOPT: &[Row<2>] = &[
    row("sk", 0, 8, [ptr8(SOCK)  , ptr8(SOCK)]),
    row("optval", 8, 8, [ptr8(Pkt)   , ptr8(Pkt)]),
    row("optval_end", 16, 8, [ptr8(PktEnd), ptr8(PktEnd)]),
    row("level", 24, 4, [WORD        , WORD_W]),
    row("optname", 28, 4, [WORD        , WORD_W]),
    row("optlen", 32, 4, [WORD_W      , WORD_W]),
    row("retval", 36, 4, [WORD_W      , __]),
];
