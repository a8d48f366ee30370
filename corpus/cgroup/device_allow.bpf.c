// SPDX-License-Identifier: MIT OR Apache-2.0
// Allows a control group /dev/null, /dev/zero and /dev/urandom, nothing else.
#include "kernel.h"

SEC("cgroup/dev")
int device_allow(struct bpf_cgroup_dev_ctx *ctx)
{
	__u32 kind = ctx->access_type & 0xffff;

	if (kind != 2 || ctx->major != 1)
		return 0;
	return ctx->minor == 3 || ctx->minor == 5 || ctx->minor == 9;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
