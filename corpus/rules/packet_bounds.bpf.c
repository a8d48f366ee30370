// SPDX-License-Identifier: MIT OR Apache-2.0
// A packet is touched only behind a comparison with its end; in `bad` the comparison covers one byte too few.
#include "packet.h"

SEC("xdp")
int good(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	if (data + 14 > (__u8 *)(long)ctx->data_end)
		return XDP_DROP;
	return data[13] ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int bad(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	if (data + 13 > (__u8 *)(long)ctx->data_end)
		return XDP_DROP;
	return data[13] ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
