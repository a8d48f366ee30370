// SPDX-License-Identifier: MIT OR Apache-2.0
// What is acquired is released on every path: `bad` forgets a reserved record on one of them.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

SEC("tc")
int good(struct __sk_buff *skb)
{
	__u64 *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return 0;
	*event = skb->len;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("tc")
int bad(struct __sk_buff *skb)
{
	__u64 *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event || skb->mark == 7)
		return 0;
	*event = skb->len;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
