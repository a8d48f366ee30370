// SPDX-License-Identifier: MIT OR Apache-2.0
// Denies IPv4 connections to ports in a table.
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u16);
	__type(value, __u8);
} ports SEC(".maps");

SEC("lsm/socket_connect")
int socket_connect(__u64 *ctx)
{
	struct sockaddr *address = (void *)ctx[1];
	struct sockaddr_in in = {};
	__u16 port;

	if (address->sa_family != AF_INET)
		return 0;
	if (bpf_probe_read_kernel(&in, sizeof(in), address))
		return -EPERM;
	port = bpf_ntohs(in.sin_port);
	return bpf_map_lookup_elem(&ports, &port) ? -EPERM : 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
