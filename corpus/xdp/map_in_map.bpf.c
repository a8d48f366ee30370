// SPDX-License-Identifier: MIT OR Apache-2.0
// A table per interface: the outer map's element is itself a map.
#include "packet.h"

struct table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct table);
} tables SEC(".maps") = {
	.values = { [0] = &first, [1] = &second },
};

SEC("xdp")
int map_in_map(struct xdp_md *ctx)
{
	__u32 interface = ctx->rx_queue_index, length = (ctx->data_end - ctx->data) >> 9;
	void *table = bpf_map_lookup_elem(&tables, &interface);
	__u64 *count;

	if (!table)
		return XDP_PASS;
	count = bpf_map_lookup_elem(table, &length);
	if (!count)
		return XDP_DROP;
	__sync_fetch_and_add(count, 1);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
