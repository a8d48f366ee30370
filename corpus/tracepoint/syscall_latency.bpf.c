// SPDX-License-Identifier: MIT OR Apache-2.0
// Measures system calls: the time of entry waits in a hash map, the exit adds to a histogram by powers of two of microseconds.
#include "kernel.h"

#define SLOTS 16

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u64);
	__type(value, __u64);
} entered SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} histogram SEC(".maps");

static __always_inline __u32 log2(__u64 v)
{
	__u32 r = 0;

	for (int i = 0; i < SLOTS - 1; i++) {
		v >>= 1;
		if (v)
			r++;
	}
	return r;
}

SEC("tracepoint/raw_syscalls/sys_enter")
int enter(struct sys_enter_record *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns();

	bpf_map_update_elem(&entered, &thread, &now, BPF_ANY);
	return 0;
}

SEC("tracepoint/raw_syscalls/sys_exit")
int leave(struct sys_exit_record *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns(), *start, *count;
	__u32 slot;

	start = bpf_map_lookup_elem(&entered, &thread);
	if (!start)
		return 0;
	slot = log2((now - *start) / 1000);
	bpf_map_delete_elem(&entered, &thread);
	count = bpf_map_lookup_elem(&histogram, &slot);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
