// SPDX-License-Identifier: MIT OR Apache-2.0
// Writes one line per task: called by the kernel for each, and once more with no task at the end.
#include "kernel.h"

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	static const char format[] = "%d %s\n";
	struct task_struct *task = ctx->task;
	__u64 args[2];

	if (!task)
		return 0;
	args[0] = task->tgid;
	args[1] = (__u64)task->comm;
	bpf_seq_printf(ctx->meta->seq, format, sizeof(format), args, sizeof(args));
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
