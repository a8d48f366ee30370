// SPDX-License-Identifier: MIT OR Apache-2.0
// Counts kernel stacks that lead to a function.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 256);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 16 * sizeof(__u64));
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("kprobe/vfs_fsync")
int stack_count(struct pt_regs *ctx)
{
	long id = bpf_get_stackid(ctx, &stacks, 0);
	__u64 one = 1, *count;
	__u32 key;

	if (id < 0)
		return 0;
	key = id;
	count = bpf_map_lookup_elem(&counts, &key);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&counts, &key, &one, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
