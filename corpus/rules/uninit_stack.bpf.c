// SPDX-License-Identifier: MIT OR Apache-2.0
// What a helper reads must have been written: `bad` fills four of the eight bytes of a key.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u64);
	__type(value, __u64);
} table SEC(".maps");

SEC("cgroup_skb/ingress")
NAKED int good(struct __sk_buff *skb)
{
	asm volatile("r1 = 0;"
		     "*(u64 *)(r10 - 8) = r1;"
		     "r2 = r10;"
		     "r2 += -8;"
		     "r1 = %[table] ll;"
		     "call 1;" /* map_lookup_elem */
		     "r0 = 1;"
		     "exit;"
		     ::[table] "i"(&table));
}

/* Programs without CAP_PERFMON could leak kernel memory so; with it the stack may be read unwritten, the pointer offset may not. */
SEC("cgroup_skb/ingress")
NAKED int bad(struct __sk_buff *skb)
{
	asm volatile("r2 = r10;"
		     "r2 += -4;"
		     "r1 = 0;"
		     "*(u32 *)(r10 - 4) = r1;"
		     "r1 = %[table] ll;"
		     "call 1;"
		     "r0 = 1;"
		     "exit;"
		     ::[table] "i"(&table));
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
