// SPDX-License-Identifier: MIT OR Apache-2.0
// Copies the first label of a DNS question out of the packet by bpf_skb_load_bytes_relative and counts by it.
#include "packet.h"

#define QUESTION (sizeof(struct iphdr) + sizeof(struct udphdr) + 12)

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
	__u8 first;
	__u32 length;

	if (bpf_skb_load_bytes_relative(skb, QUESTION, &first, 1, BPF_HDR_START_NET))
		return 0;
	length = first;
	if (length == 0)
		return 0;
	/* Without this the compiler makes one comparison of the two, on another register than the one that is passed. */
	barrier_var(length);
	if (length > sizeof(label.text))
		return 0;
	if (bpf_skb_load_bytes_relative(skb, QUESTION + 1, label.text, length, BPF_HDR_START_NET))
		return 0;
	count = bpf_map_lookup_elem(&names, &label);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&names, &label, &one, BPF_ANY);
	return skb->len;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
