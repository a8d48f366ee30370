// SPDX-License-Identifier: MIT OR Apache-2.0
// A map's value has the size that the map was declared with, not the size of the structure that the code has in mind.
#include "kernel.h"

struct session {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct session);
} sessions SEC(".maps");

SEC("xdp")
int good(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct session *s = bpf_map_lookup_elem(&sessions, &key);

	if (s)
		__sync_fetch_and_add(&s->bytes, ctx->data_end - ctx->data);
	return XDP_PASS;
}

SEC("xdp")
int bad(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct session *s = bpf_map_lookup_elem(&counters, &key);

	if (s)
		__sync_fetch_and_add(&s->bytes, ctx->data_end - ctx->data);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
