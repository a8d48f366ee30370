// SPDX-License-Identifier: MIT OR Apache-2.0
// A context has fields with offsets, widths and rights; everything else is out of bounds.
#include "kernel.h"

SEC("xdp")
NAKED int good(struct xdp_md *ctx)
{
	asm volatile("r0 = *(u32 *)(r1 + 16);" /* rx_queue_index */
		     "r0 &= 1;"
		     "exit;");
}

SEC("xdp")
NAKED int bad(struct xdp_md *ctx)
{
	asm volatile("r0 = *(u32 *)(r1 + 24);"
		     "exit;");
}

SEC("xdp")
NAKED int bad_write(struct xdp_md *ctx)
{
	asm volatile("r0 = 1;"
		     "*(u32 *)(r1 + 12) = r0;" /* ingress_ifindex */
		     "exit;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
