// SPDX-License-Identifier: MIT OR Apache-2.0
// mcpu: v4
// Verifies the IPv4 header checksum with instructions of ISA v4: byte swaps, sign-extending loads, signed division.
#include "packet.h"

volatile int signed_sum;

SEC("xdp")
int checksum_v4(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);
	struct iphdr *ip = take_ipv4(&c);
	__u32 sum = 0;
	__u16 *word = (void *)ip;
	int total = 0;

	if (!ip)
		return XDP_PASS;
	for (int i = 0; i < 10; i++) {
		sum += __builtin_bswap16(word[i]);
		total += (__s16)word[i];
	}
	signed_sum = total / -3 + total % 7;
	return fold(sum) == 0 ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
