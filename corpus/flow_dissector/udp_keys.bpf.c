// SPDX-License-Identifier: MIT OR Apache-2.0
// Fills the flow keys of IPv4 UDP; everything else is left to the kernel.
#include "packet.h"

#define BPF_OK 0
#define BPF_DROP 2

SEC("flow_dissector")
int udp_keys(struct __sk_buff *skb)
{
	struct bpf_flow_keys *keys = skb->flow_keys;
	struct cursor c = CURSOR(skb);
	struct udphdr *udp;
	struct iphdr *ip;

	if (keys->n_proto != bpf_htons(ETH_P_IP) || !skip(&c, keys->thoff, 64))
		return BPF_DROP;
	ip = TAKE(&c, struct iphdr);
	if (!ip || ip->ihl != 5 || ip->protocol != IPPROTO_UDP)
		return BPF_DROP;
	udp = TAKE(&c, struct udphdr);
	if (!udp)
		return BPF_DROP;
	keys->addr_proto = ETH_P_IP;
	keys->ip_proto = ip->protocol;
	keys->ipv4_src = ip->saddr;
	keys->ipv4_dst = ip->daddr;
	keys->thoff += sizeof(*ip);
	keys->sport = udp->source;
	keys->dport = udp->dest;
	return BPF_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
