// SPDX-License-Identifier: MIT OR Apache-2.0
// A member that this kernel's structure does not have. The loader puts an impossible call in place of the access; the verifier stumbles
// over it only if a path reaches it, so asking first keeps the program loadable everywhere.
#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

struct task_struct___other {
	int pid;
	int colour;
} __attribute__((preserve_access_index));

__u32 last;

SEC("raw_tp/sched_switch")
int good(__u64 *ctx)
{
	struct task_struct___other *task = (void *)bpf_get_current_task();

	if (bpf_core_field_exists(task->colour))
		last = BPF_CORE_READ(task, colour);
	else
		last = BPF_CORE_READ(task, pid);
	return 0;
}

SEC("raw_tp/sched_switch")
int bad(__u64 *ctx)
{
	struct task_struct___other *task = (void *)bpf_get_current_task();

	last = BPF_CORE_READ(task, colour);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
