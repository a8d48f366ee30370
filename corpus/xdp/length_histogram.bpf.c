// SPDX-License-Identifier: MIT OR Apache-2.0
// A histogram of packet lengths by powers of two; the index is bounded by a mask, not by a comparison.
#include "packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[16]);
} lengths SEC(".maps");

SEC("xdp")
int length_histogram(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data, slot = 0, key = 0;
	__u64 *counts = bpf_map_lookup_elem(&lengths, &key);

	if (!counts)
		return XDP_ABORTED;
	for (int i = 0; i < 15; i++) {
		if (length > 1) {
			length >>= 1;
			slot++;
		}
	}
	counts[slot & 15]++;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
