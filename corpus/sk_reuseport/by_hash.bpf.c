// SPDX-License-Identifier: MIT OR Apache-2.0
// Spreads connections over the sockets of a reuseport group by the packet's hash.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");

SEC("sk_reuseport")
int by_hash(struct sk_reuseport_md *ctx)
{
	__u32 slot = ctx->hash & 3;

	return bpf_sk_select_reuseport(ctx, &sockets, &slot, 0) ? SK_DROP : SK_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
