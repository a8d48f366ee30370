// SPDX-License-Identifier: MIT OR Apache-2.0
// Unwritten stack is refused only to loaders without CAP_PERFMON, so `good` may look up a key that nobody wrote. Reading beyond the
// frame is refused to everyone: the key of `bad` begins four bytes before the end.
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
	asm volatile("r2 = r10;"
		     "r2 += -8;"
		     "r1 = %[table] ll;"
		     "call 1;" /* map_lookup_elem */
		     "r0 = 1;"
		     "exit;"
		     ::[table] "i"(&table));
}

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
