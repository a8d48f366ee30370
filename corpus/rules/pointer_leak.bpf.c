// SPDX-License-Identifier: MIT OR Apache-2.0
// Kernel addresses must not get out: not as a return value, and not into the packet or the context.
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

SEC("tc")
NAKED int bad_context(struct __sk_buff *skb)
{
	asm volatile("*(u32 *)(r1 + 48) = r10;"
		     "r0 = 0;"
		     "exit;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
