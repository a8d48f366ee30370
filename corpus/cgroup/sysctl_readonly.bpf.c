// SPDX-License-Identifier: MIT OR Apache-2.0
// Lets a control group read kernel settings and write none but those of net/ipv4.
#include "kernel.h"

SEC("cgroup/sysctl")
int sysctl_readonly(struct bpf_sysctl *ctx)
{
	char name[16] = {};

	if (!ctx->write)
		return 1;
	if (bpf_sysctl_get_name(ctx, name, sizeof(name), 0) < 0)
		return 0;
	return __builtin_memcmp(name, "net/ipv4/", 9) == 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
