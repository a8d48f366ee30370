// SPDX-License-Identifier: MIT OR Apache-2.0
// Pushes a VLAN tag by helper: packet pointers are invalid afterwards and are read again.
#include "packet.h"

SEC("tc")
int push_vlan(struct __sk_buff *skb)
{
	struct ethhdr *eth;

	if (bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 42))
		return TC_ACT_SHOT;
	eth = (void *)(long)skb->data;
	if ((void *)(eth + 1) > (void *)(long)skb->data_end)
		return TC_ACT_SHOT;
	skb->mark = eth->h_source[5];
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
