// SPDX-License-Identifier: MIT OR Apache-2.0
// Sends the arguments that pass a filter through a ring buffer by bpf_ringbuf_output.
#include "kernel.h"

struct event {
	__u64 number;
	__u64 sum;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

SEC("raw_tp/sys_enter")
int filter_ringbuf(struct bpf_raw_tracepoint_args *ctx)
{
	struct event event = { .number = ctx->args[1], .sum = ctx->args[0] + ctx->args[1] };

	if (event.number < 100)
		return 0;
	return bpf_ringbuf_output(&events, &event, sizeof(event), 0) ? 0 : 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
