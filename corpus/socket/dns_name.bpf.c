// SPDX-License-Identifier: MIT OR Apache-2.0
// Copies the first label of a DNS question out of the packet by bpf_skb_load_bytes and counts by it.
#include "packet.h"

#define QUESTION (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr) + 12)

struct label {
	char text[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, struct label);
	__type(value, __u32);
} names SEC(".maps");

SEC("socket")
int dns_name(struct __sk_buff *skb)
{
	struct label label = {};
	__u32 one = 1, *count;
	__u8 length;

	if (bpf_skb_load_bytes(skb, QUESTION, &length, 1))
		return 0;
	if (length == 0 || length > sizeof(label.text))
		return 0;
	if (bpf_skb_load_bytes(skb, QUESTION + 1, label.text, length))
		return 0;
	count = bpf_map_lookup_elem(&names, &label);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&names, &label, &one, BPF_ANY);
	return skb->len;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
