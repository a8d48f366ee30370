// SPDX-License-Identifier: MIT OR Apache-2.0
// Cuts packets to their first 64 bytes by bpf_xdp_adjust_tail.
#include "packet.h"

#define KEEP 64

SEC("xdp")
int truncate(struct xdp_md *ctx)
{
	int length = ctx->data_end - ctx->data;

	if (length <= KEEP)
		return XDP_PASS;
	if (bpf_xdp_adjust_tail(ctx, KEEP - length))
		return XDP_ABORTED;
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
