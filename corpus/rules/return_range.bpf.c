// SPDX-License-Identifier: MIT OR Apache-2.0
// Where the answer has a meaning its range is checked: a control group's filter says 0 or 1 (at egress up to 3).
#include "kernel.h"

SEC("cgroup_skb/ingress")
int good(struct __sk_buff *skb)
{
	return skb->len > 100;
}

SEC("cgroup_skb/ingress")
int bad(struct __sk_buff *skb)
{
	return skb->len > 100 ? 2 : 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
