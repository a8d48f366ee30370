// SPDX-License-Identifier: MIT OR Apache-2.0
// Denies users other than root to open files called "secret".
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} denied SEC(".maps");

SEC("lsm/file_open")
int file_open_guard(__u64 *ctx)
{
	struct file *file = (void *)ctx[0];
	__u32 uid = bpf_get_current_uid_gid(), key = 0;
	char name[8] = {};
	__u64 *count;

	if (uid == 0)
		return 0;
	bpf_probe_read_kernel_str(name, sizeof(name), file->f_path.dentry->d_name.name);
	if (__builtin_memcmp(name, "secret", 7))
		return 0;
	count = bpf_map_lookup_elem(&denied, &key);
	if (count)
		__sync_fetch_and_add(count, 1);
	return -EPERM;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
