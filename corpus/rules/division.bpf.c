// SPDX-License-Identifier: MIT OR Apache-2.0
// Dividing by a register that is 0 gives 0 (the remainder: the dividend); dividing by the constant 0 is refused.
#include "kernel.h"

SEC("tc")
NAKED int good(struct __sk_buff *skb)
{
	asm volatile("r2 = *(u32 *)(r1 + 8);"
		     "r0 = 7;"
		     "r0 /= r2;"
		     "r3 = 5;"
		     "r3 %%= r2;"
		     "r0 += r3;"
		     "exit;"
		     :);
}

SEC("tc")
NAKED int bad(struct __sk_buff *skb)
{
	asm volatile("r0 = 7;"
		     "r0 /= 0;"
		     "exit;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
