// SPDX-License-Identifier: MIT OR Apache-2.0
// A helper that may move the packet makes every packet pointer from before it unusable.
#include "packet.h"

SEC("xdp")
int good(struct xdp_md *ctx)
{
	__u8 *data;

	if (bpf_xdp_adjust_head(ctx, 4))
		return XDP_DROP;
	data = (void *)(long)ctx->data;
	if (data + 1 > (__u8 *)(long)ctx->data_end)
		return XDP_DROP;
	return *data ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int bad(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	if (data + 1 > (__u8 *)(long)ctx->data_end)
		return XDP_DROP;
	if (bpf_xdp_adjust_head(ctx, 4))
		return XDP_DROP;
	return *data ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
