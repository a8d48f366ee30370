// SPDX-License-Identifier: MIT OR Apache-2.0
// Drops packets above a length: reads the packet through its kernel structure.
#include "kernel.h"

#define NF_DROP 0
#define NF_ACCEPT 1

SEC("netfilter")
int drop_long(struct bpf_nf_ctx *ctx)
{
	return ctx->skb->len > 1000 ? NF_DROP : NF_ACCEPT;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
