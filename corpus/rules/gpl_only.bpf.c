// SPDX-License-Identifier: MIT OR Apache-2.0
// Some helpers want a GPL-compatible licence, which this object does not have; writing to the trace log is one of them.
#include "kernel.h"

SEC("tc")
int good(struct __sk_buff *skb)
{
	return bpf_get_prandom_u32() & 1;
}

SEC("tc")
int bad(struct __sk_buff *skb)
{
	static const char text[] = "packet";

	bpf_trace_printk(text, sizeof(text));
	return 0;
}

char LICENSE[] SEC("license") = "Proprietary";
