// SPDX-License-Identifier: MIT OR Apache-2.0
// Counts packets and bytes per CPU and lets everything pass.
#include "packet.h"

struct traffic {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct traffic);
} totals SEC(".maps");

SEC("xdp")
int pass_count(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct traffic *total = bpf_map_lookup_elem(&totals, &key);

	if (total) {
		total->packets++;
		total->bytes += ctx->data_end - ctx->data;
	}
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
