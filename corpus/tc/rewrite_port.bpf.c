// SPDX-License-Identifier: MIT OR Apache-2.0
// Rewrites the destination port of UDP and mends the checksum through helpers, as for packets that are not linear in memory.
#include "packet.h"

#define PORT_OFFSET (sizeof(struct ethhdr) + sizeof(struct iphdr) + 2)
#define CHECK_OFFSET (sizeof(struct ethhdr) + sizeof(struct iphdr) + 6)

SEC("tc")
int rewrite_port(struct __sk_buff *skb)
{
	struct cursor c = CURSOR(skb);
	struct iphdr *ip = take_ipv4(&c);
	__be16 old, new = bpf_htons(8053);
	struct udphdr *udp;

	if (!ip || ip->protocol != IPPROTO_UDP)
		return TC_ACT_OK;
	udp = TAKE(&c, struct udphdr);
	if (!udp || udp->dest != bpf_htons(53))
		return TC_ACT_OK;
	old = udp->dest;
	if (bpf_l4_csum_replace(skb, CHECK_OFFSET, old, new, sizeof(new)))
		return TC_ACT_SHOT;
	if (bpf_skb_store_bytes(skb, PORT_OFFSET, &new, sizeof(new), 0))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
