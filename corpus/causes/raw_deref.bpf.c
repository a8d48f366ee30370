// SPDX-License-Identifier: MIT OR Apache-2.0
// The first argument of a probed function is a kernel address in a register: to the verifier a number. A probe read follows it safely.
#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

__u32 last_mode;

SEC("kprobe/vfs_fsync")
int BPF_KPROBE(good, struct file *file)
{
	last_mode = BPF_CORE_READ(file, f_inode, i_mode);
	return 0;
}

SEC("kprobe/vfs_fsync")
int BPF_KPROBE(bad, struct file *file)
{
	last_mode = file->f_inode->i_mode;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
