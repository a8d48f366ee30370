// SPDX-License-Identifier: MIT OR Apache-2.0
// fentry and fexit of the same function: arguments by type, at exit the result behind them.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

static __always_inline void count(__u32 slot)
{
	__u64 *n = bpf_map_lookup_elem(&seen, &slot);

	if (n)
		__sync_fetch_and_add(n, 1);
}

SEC("fentry/do_unlinkat")
int unlink_entry(__u64 *ctx)
{
	struct filename *name = (void *)ctx[1];

	if (name->name)
		count(0);
	return 0;
}

SEC("fexit/do_unlinkat")
int unlink_exit(__u64 *ctx)
{
	if ((int)ctx[2] == 0)
		count(1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
