// SPDX-License-Identifier: MIT OR Apache-2.0
// A socket filter with the packet loads of classic BPF: keeps TCP whole, cuts UDP to its headers, drops the rest.
#include "packet.h"

unsigned long long load_byte(void *skb, unsigned long long offset) asm("llvm.bpf.load.byte");
unsigned long long load_half(void *skb, unsigned long long offset) asm("llvm.bpf.load.half");

/* A negative offset counts from the network header, wherever the packet starts. */
#define FROM_NETWORK_HEADER -0x100000

SEC("socket")
int tcp_only(struct __sk_buff *skb)
{
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return 0;
	/* Not a first fragment: no ports. */
	if (load_half(skb, FROM_NETWORK_HEADER + 6) & 0x1fff)
		return 0;
	switch (load_byte(skb, FROM_NETWORK_HEADER + 9)) {
	case IPPROTO_TCP:
		return skb->len;
	case IPPROTO_UDP:
		return sizeof(struct iphdr) + sizeof(struct udphdr);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
