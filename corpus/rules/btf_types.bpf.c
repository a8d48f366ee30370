// SPDX-License-Identifier: MIT OR Apache-2.0
// Kernel structures are typed by BTF: reading a member is fine; writing one, or reading past the structure, is not.
#include "kernel.h"

SEC("tp_btf/sched_switch")
int good(__u64 *ctx)
{
	struct task_struct *prev = (void *)ctx[1];

	return prev->pid == 0;
}

SEC("tp_btf/sched_switch")
int bad_write(__u64 *ctx)
{
	struct task_struct *prev = (void *)ctx[1];

	prev->pid = 0;
	return 0;
}

SEC("tp_btf/sched_switch")
NAKED int bad_offset(__u64 *ctx)
{
	asm volatile("r1 = *(u64 *)(r1 + 8);"
		     "r0 = *(u64 *)(r1 + 30000);"
		     "r0 = 0;"
		     "exit;");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
