// SPDX-License-Identifier: MIT OR Apache-2.0
// Every instruction is reachable, and the last one ends the program or jumps.
#include "kernel.h"

SEC("tc")
NAKED int good(struct __sk_buff *skb)
{
	asm volatile("r0 = 0;"
		     "goto out;"
		     "out: exit;");
}

SEC("tc")
NAKED int bad(struct __sk_buff *skb)
{
	asm volatile("r0 = 0;"
		     "exit;"
		     "r0 = 1;"
		     "exit;");
}

SEC("tc")
NAKED int bad_fall_off(struct __sk_buff *skb)
{
	asm volatile("r0 = 0;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
