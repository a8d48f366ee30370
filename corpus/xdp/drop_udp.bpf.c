// SPDX-License-Identifier: MIT OR Apache-2.0
// Drops UDP to one port, which is a constant in .rodata that a loader may set before loading.
#include "packet.h"

const volatile __u16 port = 53;

SEC("xdp")
int drop_udp(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);
	struct iphdr *ip = take_ipv4(&c);
	struct udphdr *udp;

	if (!ip || ip->protocol != IPPROTO_UDP)
		return XDP_PASS;
	udp = TAKE(&c, struct udphdr);
	if (!udp)
		return XDP_PASS;
	return udp->dest == bpf_htons(port) ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
