// SPDX-License-Identifier: MIT OR Apache-2.0
// A function that calls itself. BPF has eight frames and no recursion; a loop with a bound says the same.
#include "kernel.h"

static __attribute__((noinline)) int count_down(volatile __u32 *left)
{
	int deeper;

	if (*left == 0)
		return 0;
	*left -= 1;
	deeper = count_down(left);
	asm volatile("" : "+r"(deeper)); /* else the compiler makes a loop of it */
	return deeper + 1;
}

SEC("tc")
int good(struct __sk_buff *skb)
{
	__u32 left = skb->len;
	int turns = 0;

	for (int i = 0; i < 32 && left; i++) {
		left /= 2;
		turns++;
	}
	return turns & 1;
}

SEC("tc")
int bad(struct __sk_buff *skb)
{
	volatile __u32 left = skb->len;

	return count_down(&left) & 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
