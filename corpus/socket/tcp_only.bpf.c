// SPDX-License-Identifier: MIT OR Apache-2.0
// A socket filter with the packet loads of classic BPF: keeps TCP whole, cuts UDP to its headers, drops the rest.
#include "packet.h"

unsigned long long load_byte(void *skb, unsigned long long offset) asm("llvm.bpf.load.byte");
unsigned long long load_half(void *skb, unsigned long long offset) asm("llvm.bpf.load.half");

SEC("socket")
int tcp_only(struct __sk_buff *skb)
{
	if (load_half(skb, 12) != ETH_P_IP)
		return 0;
	switch (load_byte(skb, sizeof(struct ethhdr) + 9)) {
	case IPPROTO_TCP:
		return skb->len;
	case IPPROTO_UDP:
		return sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
