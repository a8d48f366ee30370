// SPDX-License-Identifier: MIT OR Apache-2.0
// A kprobe and its kretprobe: the name is kept at entry and counted at return only when the call succeeded.
#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

struct name {
	char text[32];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, struct name);
} pending SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct name);
	__type(value, __u32);
} removed SEC(".maps");

SEC("kprobe/do_unlinkat")
int BPF_KPROBE(unlink_enter, int dfd, struct filename *name)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct name copy = {};

	bpf_probe_read_kernel_str(copy.text, sizeof(copy.text), BPF_CORE_READ(name, name));
	bpf_map_update_elem(&pending, &thread, &copy, BPF_ANY);
	return 0;
}

SEC("kretprobe/do_unlinkat")
int BPF_KRETPROBE(unlink_return, long result)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct name *name = bpf_map_lookup_elem(&pending, &thread), copy;
	__u32 one = 1, *count;

	if (!name)
		return 0;
	copy = *name;
	bpf_map_delete_elem(&pending, &thread);
	if (result)
		return 0;
	count = bpf_map_lookup_elem(&removed, &copy);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&removed, &copy, &one, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
