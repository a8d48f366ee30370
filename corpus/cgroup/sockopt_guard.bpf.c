// SPDX-License-Identifier: MIT OR Apache-2.0
// Reads an option's value within its bounds and refuses SO_MARK above 100.
#include "kernel.h"

#define SOL_SOCKET 1
#define SO_MARK 36

SEC("cgroup/setsockopt")
int sockopt_guard(struct bpf_sockopt *ctx)
{
	__u32 *value = ctx->optval;

	if (ctx->level != SOL_SOCKET || ctx->optname != SO_MARK)
		return 1;
	if ((void *)(value + 1) > ctx->optval_end)
		return 0;
	return *value <= 100;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
