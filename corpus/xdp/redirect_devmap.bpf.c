// SPDX-License-Identifier: MIT OR Apache-2.0
// Sends packets of one receive queue to a device from a device map; where there is none the packet passes.
#include "packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u32);
} devices SEC(".maps");

SEC("xdp")
int redirect_devmap(struct xdp_md *ctx)
{
	return bpf_redirect_map(&devices, ctx->rx_queue_index, XDP_PASS);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
