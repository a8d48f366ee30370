// SPDX-License-Identifier: MIT OR Apache-2.0
// Picks a backend by a hash of the flow and rewrites the destination, with the IPv4 checksum brought up to date by bpf_csum_diff.
#include "packet.h"

#define BACKENDS 4

struct backend {
	__be32 address;
	__u8 mac[6];
	__u16 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BACKENDS);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

static __always_inline __u32 mix(__u32 h, __u32 v)
{
	h ^= v;
	h *= 0x9e3779b1;
	return h ^ (h >> 15);
}

SEC("xdp")
int load_balance(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);
	struct ethhdr *eth = c.at;
	struct iphdr *ip = take_ipv4(&c);
	struct udphdr *udp;
	struct backend *to;
	__be32 old;
	__u32 key;

	if (!ip || ip->protocol != IPPROTO_UDP)
		return XDP_PASS;
	udp = TAKE(&c, struct udphdr);
	if (!udp)
		return XDP_PASS;
	key = mix(mix(mix(7, ip->saddr), ip->daddr), udp->source << 16 | udp->dest) % BACKENDS;
	to = bpf_map_lookup_elem(&backends, &key);
	if (!to || !to->address)
		return XDP_PASS;
	old = ip->daddr;
	ip->daddr = to->address;
	ip->check = fold(bpf_csum_diff(&old, 4, &to->address, 4, (__u16)~ip->check));
	udp->check = 0;
	__builtin_memcpy(eth->h_dest, to->mac, 6);
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
