// SPDX-License-Identifier: MIT OR Apache-2.0
// Remembers the local port of every connection that a control group establishes, with the peer's address.
#include "kernel.h"

#define ACTIVE_ESTABLISHED 4

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __be32);
} established SEC(".maps");

SEC("sockops")
int sockops_ports(struct bpf_sock_ops *ctx)
{
	__u32 port, peer;

	if (ctx->op != ACTIVE_ESTABLISHED || ctx->family != AF_INET)
		return 1;
	port = ctx->local_port;
	peer = ctx->remote_ip4;
	bpf_map_update_elem(&established, &port, &peer, BPF_ANY);
	return 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
