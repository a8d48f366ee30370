// SPDX-License-Identifier: MIT OR Apache-2.0
// A frame has 512 bytes, and so have all frames of a call chain together.
#include "kernel.h"

SEC("tc")
NAKED int good(struct __sk_buff *skb)
{
	asm volatile("r1 = 0;"
		     "*(u64 *)(r10 - 512) = r1;"
		     "r0 = *(u64 *)(r10 - 512);"
		     "exit;");
}

SEC("tc")
NAKED int bad(struct __sk_buff *skb)
{
	asm volatile("r1 = 0;"
		     "*(u64 *)(r10 - 520) = r1;"
		     "r0 = 0;"
		     "exit;");
}

static __attribute__((noinline)) int inner(__u32 seed)
{
	volatile char buffer[300];

	buffer[seed & 255] = 1;
	buffer[299] = 2;
	return buffer[299];
}

SEC("tc")
int bad_combined(struct __sk_buff *skb)
{
	volatile char buffer[300];

	buffer[skb->mark & 255] = 1;
	buffer[299] = skb->mark;
	return inner(buffer[skb->len & 255] + buffer[299]) & 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
