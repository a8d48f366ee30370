// SPDX-License-Identifier: MIT OR Apache-2.0
// The source is right and the verifier refuses: the compiler proved that (ihl - 5) * 4 is at most 40, left the proof out of the code,
// and the verifier cannot find it again. `good` says it once more behind a barrier.
#include "packet.h"

static __always_inline struct ethhdr *take_ethernet(struct cursor *c)
{
	return TAKE(c, struct ethhdr);
}

SEC("xdp")
int good(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);
	struct iphdr *ip;
	struct udphdr *udp;

	if (!take_ethernet(&c))
		return XDP_DROP;
	ip = TAKE(&c, struct iphdr);
	if (!ip || ip->version != 4 || ip->ihl < 5 || !skip(&c, (ip->ihl - 5) * 4, 40))
		return XDP_DROP;
	udp = TAKE(&c, struct udphdr);
	return udp && udp->dest ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int bad(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);
	struct iphdr *ip;
	struct udphdr *udp;
	__u32 options;

	if (!take_ethernet(&c))
		return XDP_DROP;
	ip = TAKE(&c, struct iphdr);
	if (!ip || ip->version != 4 || ip->ihl < 5)
		return XDP_DROP;
	options = (ip->ihl - 5) * 4;
	if (c.at + options > c.end)
		return XDP_DROP;
	c.at += options;
	udp = TAKE(&c, struct udphdr);
	return udp && udp->dest ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
