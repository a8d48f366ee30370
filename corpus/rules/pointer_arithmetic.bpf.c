// SPDX-License-Identifier: MIT OR Apache-2.0
// Pointers take bounded additions, nothing else: no multiplication, no 32-bit arithmetic, no unbounded offset.
#include "kernel.h"

SEC("tc")
NAKED int good(struct __sk_buff *skb)
{
	asm volatile("r2 = r10;"
		     "r2 += -8;"
		     "r3 = 1;"
		     "*(u64 *)(r2 + 0) = r3;"
		     "r0 = *(u64 *)(r10 - 8);"
		     "exit;");
}

SEC("tc")
NAKED int bad(struct __sk_buff *skb)
{
	asm volatile("r2 = r10;"
		     "r2 *= 2;"
		     "r0 = 0;"
		     "exit;");
}

SEC("tc")
NAKED int bad_narrow(struct __sk_buff *skb)
{
	asm volatile("w2 = w10;"
		     "w2 += -8;"
		     "r3 = 1;"
		     "*(u64 *)(r2 + 0) = r3;"
		     "r0 = 0;"
		     "exit;");
}

SEC("tc")
NAKED int bad_unbounded(struct __sk_buff *skb)
{
	asm volatile("r2 = *(u32 *)(r1 + 8);"
		     "r3 = r10;"
		     "r3 -= r2;"
		     "r0 = *(u8 *)(r3 - 1);"
		     "exit;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
