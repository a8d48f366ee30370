// SPDX-License-Identifier: MIT OR Apache-2.0
// Accesses to the stack and the context are aligned to their size.
#include "kernel.h"

SEC("tc")
NAKED int good(struct __sk_buff *skb)
{
	asm volatile("r1 = 0;"
		     "*(u64 *)(r10 - 8) = r1;"
		     "r0 = *(u32 *)(r10 - 4);"
		     "exit;");
}

SEC("tc")
NAKED int bad(struct __sk_buff *skb)
{
	asm volatile("r1 = 0;"
		     "*(u64 *)(r10 - 12) = r1;"
		     "r0 = 0;"
		     "exit;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
