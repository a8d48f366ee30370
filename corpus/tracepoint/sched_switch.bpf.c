// SPDX-License-Identifier: MIT OR Apache-2.0
// Counts how often each command is switched to, keyed by the name in the tracepoint's record.
#include "kernel.h"

struct comm {
	char text[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct comm);
	__type(value, __u64);
} switches SEC(".maps");

SEC("tracepoint/sched/sched_switch")
int sched_switch(struct sched_switch_record *ctx)
{
	struct comm comm;
	__u64 one = 1, *count;

	__builtin_memcpy(comm.text, ctx->next_comm, sizeof(comm.text));
	count = bpf_map_lookup_elem(&switches, &comm);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&switches, &comm, &one, BPF_NOEXIST);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
