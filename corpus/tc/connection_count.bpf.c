// SPDX-License-Identifier: MIT OR Apache-2.0
// Counts connection attempts (SYN without ACK) per flow in an LRU map.
#include "packet.h"

struct flow {
	__be32 source;
	__be32 dest;
	__be16 source_port;
	__be16 dest_port;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct flow);
	__type(value, __u32);
} attempts SEC(".maps");

SEC("tc")
int connection_count(struct __sk_buff *skb)
{
	struct cursor c = CURSOR(skb);
	struct iphdr *ip = take_ipv4(&c);
	__u32 one = 1, *count;
	struct tcphdr *tcp;
	struct flow flow;

	if (!ip || ip->protocol != IPPROTO_TCP)
		return TC_ACT_OK;
	tcp = TAKE(&c, struct tcphdr);
	if (!tcp || !tcp->syn || tcp->ack)
		return TC_ACT_OK;
	flow.source = ip->saddr;
	flow.dest = ip->daddr;
	flow.source_port = tcp->source;
	flow.dest_port = tcp->dest;
	count = bpf_map_lookup_elem(&attempts, &flow);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&attempts, &flow, &one, BPF_ANY);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
