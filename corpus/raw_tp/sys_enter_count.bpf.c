// SPDX-License-Identifier: MIT OR Apache-2.0
// Counts system calls by number; raw tracepoints give the call's number as second argument.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, __u64);
	__type(value, __u64);
} calls SEC(".maps");

SEC("raw_tp/sys_enter")
int sys_enter_count(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 number = ctx->args[1], one = 1, *count;

	count = bpf_map_lookup_elem(&calls, &number);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&calls, &number, &one, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
