// SPDX-License-Identifier: MIT OR Apache-2.0
// Looks at the first bytes of what a socket sends and drops a forbidden greeting.
#include "kernel.h"

SEC("sk_msg")
int deny_text(struct sk_msg_md *msg)
{
	const char *text = msg->data;

	if ((void *)(text + 4) > msg->data_end)
		return SK_PASS;
	return __builtin_memcmp(text, "HELO", 4) ? SK_PASS : SK_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
