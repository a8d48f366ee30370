// SPDX-License-Identifier: MIT OR Apache-2.0
// A global function is judged alone, for every caller at once: its pointer argument may be NULL, whatever this caller passes.
#include "kernel.h"

struct pair {
	__u32 a, b;
};

__attribute__((noinline)) int sum_checked(struct pair *p)
{
	if (!p)
		return 0;
	return p->a + p->b;
}

__attribute__((noinline)) int sum_trusting(struct pair *p)
{
	return p->a + p->b;
}

SEC("tc")
int good(struct __sk_buff *skb)
{
	struct pair p = { skb->len, skb->mark };

	return sum_checked(&p) & 1;
}

SEC("tc")
int bad(struct __sk_buff *skb)
{
	struct pair p = { skb->len, skb->mark };

	return sum_trusting(&p) & 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
