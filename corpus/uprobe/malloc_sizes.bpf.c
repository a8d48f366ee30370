// SPDX-License-Identifier: MIT OR Apache-2.0
// Sums what a process allocates, per thread; the argument comes straight from the registers.
#include "kernel.h"
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} allocated SEC(".maps");

SEC("uprobe//lib/x86_64-linux-gnu/libc.so.6:malloc")
int BPF_KPROBE(malloc_sizes, unsigned long size)
{
	__u32 thread = bpf_get_current_pid_tgid();
	__u64 first = size, *sum;

	if (size > 1 << 30)
		return 0;
	sum = bpf_map_lookup_elem(&allocated, &thread);
	if (sum)
		*sum += size;
	else
		bpf_map_update_elem(&allocated, &thread, &first, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
