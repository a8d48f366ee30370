// SPDX-License-Identifier: MIT OR Apache-2.0
// A lookup may find nothing: the pointer is used only after a test.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u32);
} table SEC(".maps");

SEC("tc")
int good(struct __sk_buff *skb)
{
	__u32 key = skb->mark, *value = bpf_map_lookup_elem(&table, &key);

	return value ? *value & 1 : 0;
}

SEC("tc")
int bad(struct __sk_buff *skb)
{
	__u32 key = skb->mark, *value = bpf_map_lookup_elem(&table, &key);

	return *value & 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
