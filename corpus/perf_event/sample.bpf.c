// SPDX-License-Identifier: MIT OR Apache-2.0
// Counts samples in the kernel and in user space by the sampled instruction pointer.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} samples SEC(".maps");

SEC("perf_event")
int sample(struct bpf_perf_event_data *ctx)
{
	__u32 kernel = (long)ctx->regs.ip < 0;
	__u64 *count = bpf_map_lookup_elem(&samples, &kernel);

	if (count)
		__sync_fetch_and_add(count, ctx->sample_period);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
