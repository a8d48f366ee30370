// SPDX-License-Identifier: MIT OR Apache-2.0
// Reads members of the next task by CO-RE and probe reads: works whatever the layout of task_struct is.
#include "kernel.h"
#include <bpf/bpf_core_read.h>

struct record {
	int pid;
	int parent;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct record);
} last SEC(".maps");

SEC("raw_tp/sched_switch")
int task_switch_core(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *next = (void *)ctx->args[2];
	__u32 key = 0;
	struct record *record = bpf_map_lookup_elem(&last, &key);

	if (!record)
		return 0;
	record->pid = BPF_CORE_READ(next, pid);
	record->parent = BPF_CORE_READ(next, real_parent, tgid);
	bpf_core_read_str(record->comm, sizeof(record->comm), &next->comm);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
