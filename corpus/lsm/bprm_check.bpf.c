// SPDX-License-Identifier: MIT OR Apache-2.0
// Denies to run programs from /tmp/. A hook's earlier verdict is kept, whatever this one thinks.
#include "kernel.h"

SEC("lsm/bprm_check_security")
int bprm_check(__u64 *ctx)
{
	struct linux_binprm *bprm = (void *)ctx[0];
	int earlier = ctx[1];
	char path[8] = {};

	if (earlier)
		return earlier < 0 && earlier >= -4095 ? earlier : -EPERM;
	if (bpf_probe_read_kernel_str(path, sizeof(path), bprm->filename) < 0)
		return 0;
	return __builtin_memcmp(path, "/tmp/", 5) ? 0 : -EPERM;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
