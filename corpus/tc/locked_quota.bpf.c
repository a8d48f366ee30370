// SPDX-License-Identifier: MIT OR Apache-2.0
// A byte quota whose two numbers change together under a spin lock.
#include "packet.h"

struct quota {
	struct bpf_spin_lock lock;
	__u32 packets;
	__u64 left;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct quota);
} quotas SEC(".maps");

SEC("tc")
int locked_quota(struct __sk_buff *skb)
{
	__u32 key = 0, length = skb->len;
	struct quota *quota = bpf_map_lookup_elem(&quotas, &key);
	int action = TC_ACT_SHOT;

	if (!quota)
		return TC_ACT_SHOT;
	bpf_spin_lock(&quota->lock);
	if (quota->left >= length) {
		quota->left -= length;
		quota->packets++;
		action = TC_ACT_OK;
	}
	bpf_spin_unlock(&quota->lock);
	return action;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
