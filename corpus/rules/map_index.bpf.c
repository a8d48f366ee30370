// SPDX-License-Identifier: MIT OR Apache-2.0
// An index into a map's value needs bounds on both sides; in `bad` it is signed and only its upper side is tested.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32[16]);
} table SEC(".maps");

SEC("tc")
int good(struct __sk_buff *skb)
{
	__u32 key = 0, *words = bpf_map_lookup_elem(&table, &key);

	return words ? words[skb->mark & 15] & 1 : 0;
}

SEC("tc")
int bad(struct __sk_buff *skb)
{
	__u32 key = 0, *words = bpf_map_lookup_elem(&table, &key);
	volatile __s32 index = skb->mark;
	__s32 i = index;

	if (!words || i > 15)
		return 0;
	return words[i] & 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
