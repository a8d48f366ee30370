// SPDX-License-Identifier: MIT OR Apache-2.0
// The verifier walks at most a million instructions: `good` needs many, `bad` too many. Both loops do end.
#include "kernel.h"

SEC("tc")
NAKED int good(struct __sk_buff *skb)
{
	asm volatile("r0 = 0;"
		     "again: r0 += 1;"
		     "if r0 < 50000 goto again;"
		     "r0 = 0;"
		     "exit;");
}

SEC("tc")
NAKED int bad(struct __sk_buff *skb)
{
	asm volatile("r0 = 0;"
		     "more: r0 += 1;"
		     "if r0 < 600000 goto more;"
		     "r0 = 0;"
		     "exit;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
