// SPDX-License-Identifier: MIT OR Apache-2.0
// Counts packets per IPv4 source in a hash map; a source not seen before is inserted.
#include "packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __be32);
	__type(value, __u64);
} sources SEC(".maps");

SEC("xdp")
int count_by_source(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);
	struct iphdr *ip = take_ipv4(&c);
	__u64 one = 1, *count;
	__be32 source;

	if (!ip)
		return XDP_PASS;
	source = ip->saddr;
	count = bpf_map_lookup_elem(&sources, &source);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&sources, &source, &one, BPF_NOEXIST);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
