// SPDX-License-Identifier: MIT OR Apache-2.0
// What is left of a map's address when a loader does not fill it in: the number 0. Any tool that takes instructions out of an object
// without its relocations makes this.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

SEC("tc")
NAKED int good(struct __sk_buff *skb)
{
	asm volatile("r1 = 0;"
		     "*(u32 *)(r10 - 4) = r1;"
		     "r2 = r10;"
		     "r2 += -4;"
		     "r1 = %[table] ll;"
		     "call 1;" /* map_lookup_elem */
		     "r0 = 0;"
		     "exit;" ::[table] "i"(&table));
}

SEC("tc")
NAKED int bad(struct __sk_buff *skb)
{
	asm volatile("r1 = 0;"
		     "*(u32 *)(r10 - 4) = r1;"
		     "r2 = r10;"
		     "r2 += -4;"
		     "r1 = 0 ll;" /* the relocation is missing */
		     "call 1;"
		     "r0 = 0;"
		     "exit;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
