// SPDX-License-Identifier: MIT OR Apache-2.0
// A length in a map is checked, and then read again. Between the two reads anybody may change it, and the verifier knows that.
#include "kernel.h"

struct request {
	__u32 length;
	char text[60];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct request);
} requests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

SEC("tc")
int good(struct __sk_buff *skb)
{
	__u32 key = 0, length;
	volatile struct request *r = bpf_map_lookup_elem(&requests, &key);
	char line[60] = {};

	if (!r)
		return 0;
	length = r->length;
	if (length > sizeof(line))
		return 0;
	bpf_ringbuf_output(&events, line, length, 0);
	return 0;
}

SEC("tc")
int bad(struct __sk_buff *skb)
{
	__u32 key = 0;
	volatile struct request *r = bpf_map_lookup_elem(&requests, &key);
	char line[60] = {};

	if (!r || r->length > sizeof(line))
		return 0;
	bpf_ringbuf_output(&events, line, r->length, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
