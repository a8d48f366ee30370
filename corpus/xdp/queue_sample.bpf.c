// SPDX-License-Identifier: MIT OR Apache-2.0
// Puts the first bytes of every packet into a queue map; user space pops them. A full queue makes the push fail, not the packet.
#include "packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 2);
	__type(value, __u64);
} samples SEC(".maps");

SEC("xdp")
int queue_sample(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);
	__u64 *head = take(&c, 8), sample;

	if (!head)
		return XDP_DROP;
	sample = *head;
	return bpf_map_push_elem(&samples, &sample, BPF_ANY) ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
