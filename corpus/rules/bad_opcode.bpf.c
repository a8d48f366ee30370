// SPDX-License-Identifier: MIT OR Apache-2.0
// Bits that no instruction uses must be zero, and what they would encode must exist.
#include "kernel.h"

SEC("tc")
NAKED int good(struct __sk_buff *skb)
{
	asm volatile("r0 = 0;"
		     "exit;");
}

SEC("tc")
NAKED int bad(struct __sk_buff *skb)
{
	asm volatile(".byte 0x8f, 0, 0, 0, 0, 0, 0, 0;" /* negation has no register form */
		     "exit;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
