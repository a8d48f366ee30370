// SPDX-License-Identifier: MIT OR Apache-2.0
// Refuses raw sockets and gives every other one a mark.
#include "kernel.h"

#define SOCK_RAW 3

SEC("cgroup/sock_create")
int sock_create_guard(struct bpf_sock *sock)
{
	if (sock->type == SOCK_RAW)
		return 0;
	sock->mark = 7;
	return 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
