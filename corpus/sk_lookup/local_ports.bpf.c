// SPDX-License-Identifier: MIT OR Apache-2.0
// Decides where a connection may go before a socket is looked up: only ports in a table get through.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u8);
} open_ports SEC(".maps");

SEC("sk_lookup")
int local_ports(struct bpf_sk_lookup *ctx)
{
	__u32 port = ctx->local_port;

	return bpf_map_lookup_elem(&open_ports, &port) ? SK_PASS : SK_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
