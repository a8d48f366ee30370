//! Contexts of programs that watch or steer sockets: `bpf_sock_ops`, `sk_msg_md`, `sk_reuseport_md`, `bpf_sk_lookup`.

use super::CtxReg::{Pkt, PktEnd};
use super::*;

pub(super) fn sock_ops() -> Layout {
    Layout::new("bpf_sock_ops", 224, Rows::One(SOCK_OPS))
}

pub(super) fn sk_msg() -> Layout {
    Layout::new("sk_msg_md", 80, Rows::One(SK_MSG))
}

pub(super) fn sk_reuseport() -> Layout {
    Layout::new("sk_reuseport_md", 56, Rows::One(SK_REUSEPORT))
}

pub(super) fn sk_lookup() -> Layout {
    Layout::new("bpf_sk_lookup", 72, Rows::One(SK_LOOKUP))
}

/// `args` overlays `reply`, which is written as its first word.
const REPLY: Access = access_of(Sizes::Aligned(4), Sizes::At(&[(4, 0)]), CtxReg::Scalar);
/// Two bytes at either half, four at the start, never one.
const HALVES: Access = access_of(Sizes::At(&[(2, 0), (4, 0), (2, 2)]), Sizes::No, CtxReg::Scalar);
const PAIR: Access = access_of(Sizes::Aligned(1 | 2), Sizes::No, CtxReg::Scalar);

/// `struct bpf_sock_ops`.
#[rustfmt::skip]
static SOCK_OPS: &[Row<1>] = &[
    row("op", 0, 4, [WORD]),
    row("args", 4, 16, [REPLY]),
    row("family", 20, 4, [WORD]),
    row("remote_ip4", 24, 4, [WORD]),
    row("local_ip4", 28, 4, [WORD]),
    row("remote_ip6", 32, 16, [WORD]),
    row("local_ip6", 48, 16, [WORD]),
    row("remote_port", 64, 4, [WORD]),
    row("local_port", 68, 4, [WORD]),
    row("is_fullsock", 72, 4, [WORD]),
    row("snd_cwnd", 76, 4, [WORD]),
    row("srtt_us", 80, 4, [WORD]),
    row("bpf_sock_ops_cb_flags", 84, 4, [WORD]),
    row("state", 88, 4, [WORD]),
    row("rtt_min", 92, 4, [WORD]),
    row("snd_ssthresh", 96, 4, [WORD]),
    row("rcv_nxt", 100, 4, [WORD]),
    row("snd_nxt", 104, 4, [WORD]),
    row("snd_una", 108, 4, [WORD]),
    row("mss_cache", 112, 4, [WORD]),
    row("ecn_flags", 116, 4, [WORD]),
    row("rate_delivered", 120, 4, [WORD]),
    row("rate_interval_us", 124, 4, [WORD]),
    row("packets_out", 128, 4, [WORD]),
    row("retrans_out", 132, 4, [WORD]),
    row("total_retrans", 136, 4, [WORD]),
    row("segs_in", 140, 4, [WORD]),
    row("data_segs_in", 144, 4, [WORD]),
    row("segs_out", 148, 4, [WORD]),
    row("data_segs_out", 152, 4, [WORD]),
    row("lost_out", 156, 4, [WORD]),
    row("sacked_out", 160, 4, [WORD]),
    row("sk_txhash", 164, 4, [WORD_W]),
    row("bytes_received", 168, 8, [QUAD]),
    row("bytes_acked", 176, 8, [QUAD]),
    row("sk", 184, 8, [ptr8(SOCK_OR_NULL)]),
    row("skb_data", 192, 8, [ptr8(Pkt)]),
    row("skb_data_end", 200, 8, [ptr8(PktEnd)]),
    row("skb_len", 208, 4, [WORD]),
    row("skb_tcp_flags", 212, 4, [PREFIX]),
    row("skb_hwtstamp", 216, 8, [QUAD]).since(6, 12),
];

/// `struct sk_msg_md`.
#[rustfmt::skip]
static SK_MSG: &[Row<1>] = &[
    row("data", 0, 8, [ptr8(Pkt)]),
    row("data_end", 8, 8, [ptr8(PktEnd)]),
    row("family", 16, 4, [WORD]),
    row("remote_ip4", 20, 4, [WORD]),
    row("local_ip4", 24, 4, [WORD]),
    row("remote_ip6", 28, 16, [WORD]),
    row("local_ip6", 44, 16, [WORD]),
    row("remote_port", 60, 4, [WORD]),
    row("local_port", 64, 4, [WORD]),
    row("size", 68, 4, [WORD]),
    row("sk", 72, 8, [ptr8(SOCK)]),
];

/// `struct sk_reuseport_md`.
#[rustfmt::skip]
static SK_REUSEPORT: &[Row<1>] = &[
    row("data", 0, 8, [ptr8(Pkt)]),
    row("data_end", 8, 8, [ptr8(PktEnd)]),
    row("len", 16, 4, [NARROW]),
    row("eth_protocol", 20, 4, [HALVES]),
    row("ip_protocol", 24, 4, [NARROW]),
    row("bind_inany", 28, 4, [NARROW]),
    row("hash", 32, 4, [WORD]),
    row("sk", 40, 8, [ptr8(SOCK)]).since(6, 1),
    row("migrating_sk", 48, 8, [ptr8(SOCK_COMMON_OR_NULL)]).since(6, 1),
];

/// `struct bpf_sk_lookup`. Only here is padding readable.
#[rustfmt::skip]
static SK_LOOKUP: &[Row<1>] = &[
    row("sk", 0, 8, [ptr8(SOCK_OR_NULL)]),
    row("family", 8, 4, [NARROW]),
    row("protocol", 12, 4, [NARROW]),
    row("remote_ip4", 16, 4, [NARROW]),
    row("remote_ip6", 20, 16, [NARROW]),
    row("remote_port", 36, 2, [PORT]),
    row("padding", 38, 2, [PAIR]),
    row("local_ip4", 40, 4, [NARROW]),
    row("local_ip6", 44, 16, [NARROW]),
    row("local_port", 60, 4, [NARROW]),
    row("ingress_ifindex", 64, 4, [NARROW]).since(6, 1),
];
