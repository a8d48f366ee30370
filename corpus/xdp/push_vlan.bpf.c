// SPDX-License-Identifier: MIT OR Apache-2.0
// Grows the packet at the front and writes a VLAN tag: all packet pointers must be taken again afterwards.
#include "packet.h"

SEC("xdp")
int push_vlan(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx), d;
	struct ethhdr *eth = TAKE(&c, struct ethhdr), saved;
	struct vlanhdr *tag;

	if (!eth)
		return XDP_DROP;
	saved = *eth;
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*tag)))
		return XDP_ABORTED;
	d.at = (void *)(long)ctx->data;
	d.end = (void *)(long)ctx->data_end;
	eth = TAKE(&d, struct ethhdr);
	tag = TAKE(&d, struct vlanhdr);
	if (!eth || !tag)
		return XDP_ABORTED;
	tag->proto = saved.h_proto;
	tag->tci = bpf_htons(42);
	saved.h_proto = bpf_htons(ETH_P_8021Q);
	*eth = saved;
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
