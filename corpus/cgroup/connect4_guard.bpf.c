// SPDX-License-Identifier: MIT OR Apache-2.0
// Refuses connections to port 25 and sends those to 10.0.0.1:80 to another port.
#include "kernel.h"

SEC("cgroup/connect4")
int connect4_guard(struct bpf_sock_addr *ctx)
{
	if (ctx->user_port == bpf_htons(25))
		return 0;
	if (ctx->user_ip4 == bpf_htonl(0x0a000001) && ctx->user_port == bpf_htons(80))
		ctx->user_port = bpf_htons(8080);
	return 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
