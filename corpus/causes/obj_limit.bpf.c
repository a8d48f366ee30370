// SPDX-License-Identifier: MIT OR Apache-2.0
// A program may use 64 maps. The limit is the kernel's and counts what this program refers to, not what the object declares.
#include "kernel.h"

/* One type for all of them: what a map is like stands in the type of its variable. */
struct one_counter {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
};
#define MAP(name) struct one_counter name SEC(".maps")
#define FOUR(do, n) do(n##0); do(n##1); do(n##2); do(n##3)
#define SIXTEEN(do, n) FOUR(do, n##0); FOUR(do, n##1); FOUR(do, n##2); FOUR(do, n##3)
#define SIXTY_FOUR(do) SIXTEEN(do, m0); SIXTEEN(do, m1); SIXTEEN(do, m2); SIXTEEN(do, m3)
/* Naming a map is enough: its address is loaded, nothing is done with it. */
#define USE(name) asm volatile("" ::"r"(&name))

SIXTY_FOUR(MAP);
MAP(one_more);

SEC("tc")
int good(struct __sk_buff *skb)
{
	SIXTY_FOUR(USE);
	return 0;
}

SEC("tc")
int bad(struct __sk_buff *skb)
{
	SIXTY_FOUR(USE);
	USE(one_more);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
