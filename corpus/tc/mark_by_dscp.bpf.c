// SPDX-License-Identifier: MIT OR Apache-2.0
// Reads the DSCP and writes mark, priority and the scratch words of the context.
#include "packet.h"

SEC("tc")
int mark_by_dscp(struct __sk_buff *skb)
{
	struct cursor c = CURSOR(skb);
	struct iphdr *ip = take_ipv4(&c);
	__u32 dscp;

	if (!ip)
		return TC_ACT_OK;
	dscp = ip->tos >> 2;
	skb->mark = dscp;
	skb->priority = dscp >= 46 ? 7 : 0;
	skb->cb[0] = skb->len;
	skb->tc_classid = dscp + 1;
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
