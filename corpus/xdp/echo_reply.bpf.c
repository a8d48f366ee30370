// SPDX-License-Identifier: MIT OR Apache-2.0
// Answers ICMP echo requests in place: addresses swapped, type changed, checksum updated incrementally.
#include "packet.h"

SEC("xdp")
int echo_reply(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);
	struct ethhdr *eth = c.at;
	struct iphdr *ip = take_ipv4(&c);
	struct icmphdr *icmp;
	__u8 mac[6];
	__be32 address;
	__u32 sum;

	if (!ip || ip->protocol != IPPROTO_ICMP)
		return XDP_PASS;
	icmp = TAKE(&c, struct icmphdr);
	if (!icmp || icmp->type != 8)
		return XDP_PASS;

	__builtin_memcpy(mac, eth->h_dest, 6);
	__builtin_memcpy(eth->h_dest, eth->h_source, 6);
	__builtin_memcpy(eth->h_source, mac, 6);
	address = ip->daddr;
	ip->daddr = ip->saddr;
	ip->saddr = address;

	icmp->type = 0;
	/* The word that held type and code went from 0x0800 to 0. */
	sum = (__u16)~icmp->checksum + (__u16)~bpf_htons(0x0800);
	icmp->checksum = fold(sum);
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
