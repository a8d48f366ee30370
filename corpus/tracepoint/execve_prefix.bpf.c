// SPDX-License-Identifier: MIT OR Apache-2.0
// Flags programs that are started from /tmp/: the path is copied in and compared to a prefix, byte by byte, in a bounded loop.
#include "kernel.h"

const volatile char prefix[16] = "/tmp/";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, __u32);
	__type(value, char[32]);
} flagged SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_execve")
int execve_prefix(struct sys_enter_record *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	char path[32] = {};

	if (bpf_probe_read_user_str(path, sizeof(path), (void *)ctx->args[0]) < 0)
		return 0;
	for (int i = 0; i < sizeof(prefix) && prefix[i]; i++)
		if (path[i] != prefix[i])
			return 0;
	bpf_map_update_elem(&flagged, &pid, path, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
