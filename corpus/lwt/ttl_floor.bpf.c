// SPDX-License-Identifier: MIT OR Apache-2.0
// On a route: drops what is about to die. The packet starts at its network header.
#include "packet.h"

#define BPF_OK 0
#define BPF_DROP 2

SEC("lwt_in")
int ttl_floor(struct __sk_buff *skb)
{
	struct cursor c = CURSOR(skb);
	struct iphdr *ip = TAKE(&c, struct iphdr);

	if (!ip || ip->version != 4)
		return BPF_OK;
	return ip->ttl < 2 ? BPF_DROP : BPF_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
