// SPDX-License-Identifier: MIT OR Apache-2.0
// Shifting by a register is defined for any amount (the amount is masked); shifting by a constant of 64 or more is not encodable.
#include "kernel.h"

SEC("tc")
NAKED int good(struct __sk_buff *skb)
{
	asm volatile("r2 = *(u32 *)(r1 + 8);"
		     "r0 = 1;"
		     "r0 <<= r2;"
		     "r0 >>= 63;"
		     "exit;");
}

SEC("tc")
NAKED int bad(struct __sk_buff *skb)
{
	asm volatile("r0 = 1;"
		     "r0 <<= 64;"
		     "exit;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
