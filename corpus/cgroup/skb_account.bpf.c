// SPDX-License-Identifier: MIT OR Apache-2.0
// Accounts the bytes that a control group sends, per address family, and refuses IPv6.
#include "packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} sent SEC(".maps");

SEC("cgroup_skb/egress")
int skb_account(struct __sk_buff *skb)
{
	__u32 protocol = bpf_ntohs(skb->protocol);
	__u64 length = skb->len, *sum = bpf_map_lookup_elem(&sent, &protocol);

	if (sum)
		__sync_fetch_and_add(sum, length);
	else
		bpf_map_update_elem(&sent, &protocol, &length, BPF_ANY);
	return protocol != ETH_P_IPV6;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
