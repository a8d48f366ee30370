// SPDX-License-Identifier: MIT OR Apache-2.0
// A helper belongs to program types: an XDP program has no socket buffer to change.
#include "kernel.h"

SEC("tc")
int good(struct __sk_buff *skb)
{
	return bpf_skb_vlan_pop(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("xdp")
int bad(struct xdp_md *ctx)
{
	return bpf_skb_vlan_pop((void *)ctx) ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
