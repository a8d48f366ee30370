// SPDX-License-Identifier: MIT OR Apache-2.0
// A kernel address is not an answer: pointers may be kept on the stack, not returned.
#include "kernel.h"

SEC("cgroup_skb/ingress")
NAKED int good(struct __sk_buff *skb)
{
	asm volatile("*(u64 *)(r10 - 8) = r1;"
		     "r2 = *(u64 *)(r10 - 8);"
		     "r0 = *(u32 *)(r2 + 0);"
		     "r0 &= 1;"
		     "exit;");
}

SEC("cgroup_skb/ingress")
NAKED int bad(struct __sk_buff *skb)
{
	asm volatile("r0 = r10;"
		     "exit;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
