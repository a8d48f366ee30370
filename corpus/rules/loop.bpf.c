// SPDX-License-Identifier: MIT OR Apache-2.0
// A loop must end: `good` counts to a bound, `bad` waits for a value that nothing in the loop changes.
#include "kernel.h"

SEC("tc")
int good(struct __sk_buff *skb)
{
	__u32 sum = 0;

	for (__u32 i = 0; i < 100; i++)
		sum += i ^ skb->mark;
	return sum & 1;
}

SEC("tc")
NAKED int bad(struct __sk_buff *skb)
{
	asm volatile("r0 = *(u32 *)(r1 + 8);"
		     "wait: if r0 != 0 goto wait;"
		     "exit;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
