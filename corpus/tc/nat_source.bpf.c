// SPDX-License-Identifier: MIT OR Apache-2.0
// Source NAT from a table: the address changes in the header and in both checksums (IPv4's and, over the pseudo header, UDP's).
#include "packet.h"

#define SOURCE_OFFSET (sizeof(struct ethhdr) + 12)
#define IP_CHECK_OFFSET (sizeof(struct ethhdr) + 10)
#define UDP_CHECK_OFFSET (sizeof(struct ethhdr) + sizeof(struct iphdr) + 6)

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __be32);
	__type(value, __be32);
} translations SEC(".maps");

SEC("tc")
int nat_source(struct __sk_buff *skb)
{
	struct cursor c = CURSOR(skb);
	struct iphdr *ip = take_ipv4(&c);
	__be32 old, *new;

	if (!ip || ip->protocol != IPPROTO_UDP)
		return TC_ACT_OK;
	old = ip->saddr;
	new = bpf_map_lookup_elem(&translations, &old);
	if (!new)
		return TC_ACT_OK;
	bpf_l4_csum_replace(skb, UDP_CHECK_OFFSET, old, *new, BPF_F_PSEUDO_HDR | 4);
	bpf_l3_csum_replace(skb, IP_CHECK_OFFSET, old, *new, 4);
	bpf_skb_store_bytes(skb, SOURCE_OFFSET, new, 4, 0);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
