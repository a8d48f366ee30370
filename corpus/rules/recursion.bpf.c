// SPDX-License-Identifier: MIT OR Apache-2.0
// Functions may call functions, eight frames deep, but never in a circle.
#include "kernel.h"

static __attribute__((noinline)) int leaf(__u32 n)
{
	return n ^ bpf_get_prandom_u32();
}

static __attribute__((noinline)) int middle(__u32 n)
{
	return leaf(n + 1) + leaf(n + 2);
}

SEC("tc")
int good(struct __sk_buff *skb)
{
	return middle(skb->mark) & 1;
}

__attribute__((noinline)) int ping(__u32 n);

__attribute__((noinline)) int pong(__u32 n)
{
	return n ? ping(n - 1) + leaf(n) : 0;
}

__attribute__((noinline)) int ping(__u32 n)
{
	return n ? pong(n - 1) ^ leaf(n) : 1;
}

SEC("tc")
int bad(struct __sk_buff *skb)
{
	return ping(skb->mark) & 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
