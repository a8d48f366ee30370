// SPDX-License-Identifier: MIT OR Apache-2.0
// Records who connects where: reads the socket by CO-RE in a kprobe.
#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

struct peer {
	__be32 address;
	__be16 port;
	__u16 family;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct peer);
} peers SEC(".maps");

SEC("kprobe/tcp_connect")
int BPF_KPROBE(tcp_connect, struct sock *sk)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct peer peer = {};

	peer.family = BPF_CORE_READ(sk, __sk_common.skc_family);
	peer.port = BPF_CORE_READ(sk, __sk_common.skc_dport);
	peer.address = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	bpf_map_update_elem(&peers, &pid, &peer, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
