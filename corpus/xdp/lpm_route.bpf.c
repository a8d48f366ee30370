// SPDX-License-Identifier: MIT OR Apache-2.0
// Routes by longest prefix: the most specific matching network decides.
#include "packet.h"

struct network {
	__u32 prefix;
	__be32 address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 256);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct network);
	__type(value, __u32);
} routes SEC(".maps");

SEC("xdp")
int lpm_route(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);
	struct iphdr *ip = take_ipv4(&c);
	struct network key = { .prefix = 32 };
	__u32 *action;

	if (!ip)
		return XDP_PASS;
	key.address = ip->daddr;
	action = bpf_map_lookup_elem(&routes, &key);
	if (!action)
		return XDP_DROP;
	return *action == XDP_TX ? XDP_TX : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
