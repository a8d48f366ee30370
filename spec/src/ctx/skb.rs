//! `__sk_buff` as the six kinds of packet programs see it, and `bpf_flow_keys`.

use super::CtxReg::{FlowKeys, Pkt, PktEnd, PktMeta};
use super::*;

pub(super) const SOCKET_FILTER: usize = 0;
pub(super) const SCHED: usize = 1;
pub(super) const CGROUP_SKB: usize = 2;
pub(super) const LWT: usize = 3;
pub(super) const SK_SKB: usize = 4;
pub(super) const FLOW_DISSECTOR: usize = 5;

pub(super) fn layout(column: usize) -> Layout {
    Layout::new("__sk_buff", 192, Rows::Six(SK_BUFF, column))
}

/// `struct bpf_flow_keys`: plain memory, no rule but its size.
pub(super) fn reg_flow_keys() -> Layout {
    Layout::new("bpf_flow_keys", 56, Rows::One(FLOW_KEYS))
}

const PKT: Access = ptr4(Pkt);
const PKT_END: Access = ptr4(PktEnd);
const PKT_META: Access = ptr4(PktMeta);
const BYTE: Access = access_of(Sizes::Aligned(1), Sizes::No, CtxReg::Scalar);
/// CGROUP_SKB programs may be loaded without CAP_BPF, and then do not get these.
const PKT_BPF: Access = Access { bpf_for: Some(AccessKind::Read), ..PKT };
const PKT_END_BPF: Access = Access { bpf_for: Some(AccessKind::Read), ..PKT_END };
const QUAD_W_BPF: Access = Access { bpf_for: Some(AccessKind::Write), ..QUAD_W };

/// `struct __sk_buff`, one column per way of seeing it.
#[rustfmt::skip]
static SK_BUFF: &[Row<6>] = &[
    //  field              SOCKET_FILTER, SCHED, CGROUP_SKB, LWT, SK_SKB, FLOW_DISSECTOR
    row("len", 0, 4, [NARROW                   , NARROW                   , NARROW                   , NARROW                   , NARROW                   , __]),
    row("pkt_type", 4, 4, [NARROW                   , NARROW                   , NARROW                   , NARROW                   , NARROW                   , __]),
    row("mark", 8, 4, [NARROW                   , NARROW_W                 , NARROW_W                 , NARROW_W                 , __                       , __]),
    row("queue_mapping", 12, 4, [NARROW                   , NARROW_W                 , NARROW                   , NARROW                   , NARROW                   , __]),
    row("protocol", 16, 4, [NARROW                   , NARROW                   , NARROW                   , NARROW                   , NARROW                   , __]),
    row("vlan_present", 20, 4, [NARROW                   , NARROW                   , NARROW                   , NARROW                   , NARROW                   , __]),
    row("vlan_tci", 24, 4, [NARROW                   , NARROW                   , NARROW                   , NARROW                   , NARROW                   , __]),
    row("vlan_proto", 28, 4, [NARROW                   , NARROW                   , NARROW                   , NARROW                   , NARROW                   , __]),
    row("priority", 32, 4, [NARROW                   , NARROW_W                 , NARROW_W                 , NARROW_W                 , NARROW_W                 , __]),
    row("ingress_ifindex", 36, 4, [NARROW                   , NARROW                   , NARROW                   , NARROW                   , NARROW                   , __]),
    row("ifindex", 40, 4, [NARROW                   , NARROW                   , NARROW                   , NARROW                   , NARROW                   , __]),
    row("tc_index", 44, 4, [NARROW                   , NARROW_W                 , NARROW                   , NARROW                   , NARROW_W                 , __]),
    row("cb", 48, 20, [PART_W                   , PART_W                   , PART_W                   , PART_W                   , PART                     , __]),
    row("hash", 68, 4, [NARROW                   , NARROW                   , NARROW                   , NARROW                   , NARROW                   , __]),
    row("tc_classid", 72, 4, [__                       , NARROW_W                 , __                       , __                       , __                       , __]),
    row("data", 76, 4, [__                       , PKT                      , PKT_BPF                  , PKT                      , PKT                      , PKT]),
    row("data_end", 80, 4, [__                       , PKT_END                  , PKT_END_BPF              , PKT_END                  , PKT_END                  , PKT_END]),
    row("napi_id", 84, 4, [NARROW                   , NARROW                   , NARROW                   , NARROW                   , NARROW                   , __]),
    row("family", 88, 4, [__                       , __                       , NARROW                   , __                       , NARROW                   , __]),
    row("remote_ip4", 92, 4, [__                       , __                       , WORD                     , __                       , WORD                     , __]),
    row("local_ip4", 96, 4, [__                       , __                       , WORD                     , __                       , WORD                     , __]),
    row("remote_ip6", 100, 16, [__                       , __                       , WORD                     , __                       , WORD                     , __]),
    row("local_ip6", 116, 16, [__                       , __                       , WORD                     , __                       , WORD                     , __]),
    row("remote_port", 132, 4, [__                       , __                       , NARROW                   , __                       , NARROW                   , __]),
    row("local_port", 136, 4, [__                       , __                       , NARROW                   , __                       , NARROW                   , __]),
    row("data_meta", 140, 4, [__                       , PKT_META                 , __                       , __                       , __                       , __]),
    row("flow_keys", 144, 8, [__                       , __                       , __                       , __                       , __                       , ptr8(FlowKeys)]),
    row("tstamp", 152, 8, [__                       , QUAD_W                   , QUAD_W_BPF               , __                       , __                       , __]),
    row("wire_len", 160, 4, [__                       , NARROW                   , __                       , __                       , __                       , __]),
    row("gso_segs", 164, 4, [NARROW                   , NARROW                   , NARROW                   , NARROW                   , NARROW                   , __]),
    row("sk", 168, 8, [ptr8(SOCK_COMMON_OR_NULL), ptr8(SOCK_COMMON_OR_NULL), ptr8(SOCK_COMMON_OR_NULL), ptr8(SOCK_COMMON_OR_NULL), ptr8(SOCK_COMMON_OR_NULL), __]),
    row("gso_size", 176, 4, [NARROW                   , NARROW                   , NARROW                   , NARROW                   , NARROW                   , __]),
    row("", 180, 4, [NARROW                   , NARROW                   , NARROW                   , NARROW                   , NARROW                   , __]).until(6, 1),
    row("tstamp_type", 180, 1, [__                       , BYTE                     , __                       , __                       , __                       , __]).since(6, 1),
    row("hwtstamp", 184, 8, [__                       , QUAD                     , QUAD                     , __                       , __                       , __]).since(6, 1),
];

const RAW: Access = access_of(Sizes::Anywhere(15), Sizes::Anywhere(15), CtxReg::Scalar);

static FLOW_KEYS: &[Row<1>] = &[
    row("nhoff", 0, 2, [RAW]),
    row("thoff", 2, 2, [RAW]),
    row("addr_proto", 4, 2, [RAW]),
    row("is_frag", 6, 1, [RAW]),
    row("is_first_frag", 7, 1, [RAW]),
    row("is_encap", 8, 1, [RAW]),
    row("ip_proto", 9, 1, [RAW]),
    row("n_proto", 10, 2, [RAW]),
    row("sport", 12, 2, [RAW]),
    row("dport", 14, 2, [RAW]),
    row("addresses", 16, 32, [RAW]),
    row("flags", 48, 4, [RAW]),
    row("flow_label", 52, 4, [RAW]),
];
