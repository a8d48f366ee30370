// SPDX-License-Identifier: MIT OR Apache-2.0
// Accounts bytes per IP protocol.
#include "packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} bytes SEC(".maps");

SEC("tc")
int byte_account(struct __sk_buff *skb)
{
	struct cursor c = CURSOR(skb);
	struct iphdr *ip = take_ipv4(&c);
	__u32 protocol;
	__u64 *sum;

	if (!ip)
		return TC_ACT_OK;
	protocol = ip->protocol;
	sum = bpf_map_lookup_elem(&bytes, &protocol);
	if (sum)
		__sync_fetch_and_add(sum, skb->len);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
