// SPDX-License-Identifier: MIT OR Apache-2.0
// A dynptr is an opaque stack object: it is initialised by a helper, used through helpers and not overwritten in part.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

SEC("tc")
int good(struct __sk_buff *skb)
{
	struct bpf_dynptr record;
	__u32 length = skb->len;

	bpf_ringbuf_reserve_dynptr(&events, 16, 0, &record);
	bpf_dynptr_write(&record, 0, &length, sizeof(length), 0);
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("tc")
int bad(struct __sk_buff *skb)
{
	struct bpf_dynptr record;
	__u32 length = skb->len;

	bpf_ringbuf_reserve_dynptr(&events, 16, 0, &record);
	bpf_dynptr_write(&record, 0, &length, sizeof(length), 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
