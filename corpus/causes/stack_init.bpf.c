// SPDX-License-Identifier: MIT OR Apache-2.0
// A key with two bytes of padding, which nobody wrote. A loader without CAP_PERFMON may not hand them to a helper; with it, kernels since
// 6.3 (and the long-term kernels that took it over) look up whatever was there, and find it sometimes.
#include "kernel.h"

struct key {
	__u64 inode;
	__u32 mark;
	__u16 queue;
	/* two bytes of padding */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct key);
	__type(value, __u64);
} seen SEC(".maps");

SEC("tc")
int good(struct __sk_buff *skb)
{
	struct key k;

	__builtin_memset(&k, 0, sizeof(k));
	k.inode = skb->hash;
	k.mark = skb->mark;
	k.queue = skb->queue_mapping;
	return bpf_map_lookup_elem(&seen, &k) != NULL;
}

SEC("tc")
int bad(struct __sk_buff *skb)
{
	struct key k;

	k.inode = skb->hash;
	k.mark = skb->mark;
	k.queue = skb->queue_mapping;
	return bpf_map_lookup_elem(&seen, &k) != NULL;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
