// SPDX-License-Identifier: MIT OR Apache-2.0
// A BTF-typed tracepoint: kernel structures are read directly, the verifier knows their types.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, int);
	__type(value, __u64);
} preempted SEC(".maps");

SEC("tp_btf/sched_switch")
int task_switch_typed(__u64 *ctx)
{
	struct task_struct *prev = (void *)ctx[1];
	__u64 one = 1, *count;
	int parent;

	if (!ctx[0])
		return 0;
	parent = prev->real_parent->tgid;
	count = bpf_map_lookup_elem(&preempted, &parent);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&preempted, &parent, &one, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
