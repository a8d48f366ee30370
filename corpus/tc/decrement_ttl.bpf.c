// SPDX-License-Identifier: MIT OR Apache-2.0
// Decrements the TTL by direct packet access and mends the checksum by hand; a packet that would die is dropped.
#include "packet.h"

SEC("tc")
int decrement_ttl(struct __sk_buff *skb)
{
	struct cursor c = CURSOR(skb);
	struct iphdr *ip = take_ipv4(&c);
	__u32 check;

	if (!ip)
		return TC_ACT_OK;
	if (ip->ttl <= 1)
		return TC_ACT_SHOT;
	check = ip->check + bpf_htons(0x0100);
	ip->check = check + (check >= 0xffff);
	ip->ttl--;
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
