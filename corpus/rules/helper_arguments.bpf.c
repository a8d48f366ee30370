// SPDX-License-Identifier: MIT OR Apache-2.0
// A helper's arguments have kinds: here a map, a key in readable memory, and a size that is known to be in range.
#include "kernel.h"

SEC("tc")
int good(struct __sk_buff *skb)
{
	char buffer[16] = {};

	bpf_skb_load_bytes(skb, 0, buffer, (skb->mark & 7) + 1);
	return buffer[0] & 1;
}

SEC("tc")
int bad_size(struct __sk_buff *skb)
{
	char buffer[16] = {};

	bpf_skb_load_bytes(skb, 0, buffer, skb->mark & 31);
	return buffer[0] & 1;
}

SEC("tc")
NAKED int bad_kind(struct __sk_buff *skb)
{
	asm volatile("r2 = r10;"
		     "r2 += -8;"
		     "r3 = 0;"
		     "*(u64 *)(r10 - 8) = r3;"
		     "call 1;" /* map_lookup_elem, with the context for a map */
		     "r0 = 0;"
		     "exit;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
