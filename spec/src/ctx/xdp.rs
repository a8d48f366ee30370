//! `xdp_md` and `bpf_xdp_sock`.

use super::CtxReg::{Pkt, PktEnd, PktMeta};
use super::*;

/// `struct xdp_md`; programs on a DEVMAP see where the packet goes.
pub(super) fn layout(devmap: bool) -> Layout {
    Layout::new("xdp_md", 24, Rows::Two(XDP_MD, usize::from(devmap)))
}

pub(super) fn reg_xdp_sock() -> Layout {
    Layout::new("bpf_xdp_sock", 4, Rows::One(XDP_SOCK))
}

/// Any attach type, then XDP_DEVMAP.
#[rustfmt::skip]
static XDP_MD: &[Row<2>] = &[
    row("data", 0, 4, [ptr4(Pkt)    , ptr4(Pkt)]),
    row("data_end", 4, 4, [ptr4(PktEnd) , ptr4(PktEnd)]),
    row("data_meta", 8, 4, [ptr4(PktMeta), ptr4(PktMeta)]),
    row("ingress_ifindex", 12, 4, [WORD         , WORD]),
    row("rx_queue_index", 16, 4, [WORD         , WORD]),
    row("egress_ifindex", 20, 4, [__           , WORD]),
];

static XDP_SOCK: &[Row<1>] = &[row("queue_id", 0, 4, [WORD])];
