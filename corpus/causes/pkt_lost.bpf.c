// SPDX-License-Identifier: MIT OR Apache-2.0
// The length is checked against the end of the packet, and the access goes through a register that was made anew from the same parts.
// A check belongs to the register that was compared; equal values are not enough.
#include "kernel.h"

SEC("xdp")
NAKED int good(struct xdp_md *ctx)
{
	asm volatile("r2 = *(u32 *)(r1 + 4);" /* data_end */
		     "r3 = *(u32 *)(r1 + 0);" /* data */
		     "r4 = *(u32 *)(r1 + 16);" /* rx_queue_index */
		     "r4 &= 31;"
		     "r3 += r4;" /* data + offset */
		     "r5 = r3;"
		     "r5 += 2;"
		     "if r5 > r2 goto 1f;"
		     "r0 = *(u16 *)(r3 + 0);" /* the pointer that was compared */
		     "1: r0 = 2;"
		     "exit;");
}

SEC("xdp")
NAKED int bad(struct xdp_md *ctx)
{
	asm volatile("r2 = *(u32 *)(r1 + 4);"
		     "r3 = *(u32 *)(r1 + 0);"
		     "r4 = *(u32 *)(r1 + 16);"
		     "r4 &= 31;"
		     "r6 = r3;"
		     "r6 += r4;" /* data + offset, once more */
		     "r3 += r4;"
		     "r3 += 2;"
		     "if r3 > r2 goto 1f;"
		     "r0 = *(u16 *)(r6 + 0);" /* not the one that was compared */
		     "1: r0 = 2;"
		     "exit;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
