// SPDX-License-Identifier: MIT OR Apache-2.0
// Reads a variable-length field of a record: the low half of its descriptor is an offset into the record itself.
#include "kernel.h"

struct event {
	__u32 pid;
	char filename[28];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct event);
} last SEC(".maps");

SEC("tracepoint/sched/sched_process_exec")
int exec_filename(struct sched_process_exec_record *ctx)
{
	struct event event = { .pid = ctx->pid };
	__u32 key = 0;

	bpf_probe_read_kernel_str(event.filename, sizeof(event.filename), (void *)ctx + (ctx->filename & 0xffff));
	bpf_map_update_elem(&last, &key, &event, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
