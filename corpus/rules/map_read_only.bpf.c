// SPDX-License-Identifier: MIT OR Apache-2.0
// A map that programs may only read.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, __u32);
} settings SEC(".maps");

SEC("tc")
int good(struct __sk_buff *skb)
{
	__u32 key = 0, *value = bpf_map_lookup_elem(&settings, &key);

	return value ? *value & 1 : 0;
}

SEC("tc")
int bad(struct __sk_buff *skb)
{
	__u32 key = 0, *value = bpf_map_lookup_elem(&settings, &key);

	if (value)
		*value = 1;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
