// SPDX-License-Identifier: MIT OR Apache-2.0
// Three programs that hand a packet on by tail calls; what one learnt travels in a per-CPU map.
#include "packet.h"

enum { STAGE_IP, STAGE_UDP, STAGES };

int stage_ip(struct xdp_md *ctx);
int stage_udp(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, STAGES);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} stages SEC(".maps") = {
	.values = { [STAGE_IP] = (void *)&stage_ip, [STAGE_UDP] = (void *)&stage_udp },
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} visited SEC(".maps");

static __always_inline void visit(__u32 stage)
{
	__u32 key = 0, *seen = bpf_map_lookup_elem(&visited, &key);

	if (seen)
		*seen |= 1 << stage;
}

SEC("xdp")
int entry(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);
	struct ethhdr *eth = TAKE(&c, struct ethhdr);

	visit(8);
	if (eth && eth->h_proto == bpf_htons(ETH_P_IP))
		bpf_tail_call(ctx, &stages, STAGE_IP);
	return XDP_PASS;
}

SEC("xdp")
int stage_ip(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);
	struct iphdr *ip = take_ipv4(&c);

	visit(STAGE_IP);
	if (ip && ip->protocol == IPPROTO_UDP)
		bpf_tail_call(ctx, &stages, STAGE_UDP);
	return XDP_PASS;
}

SEC("xdp")
int stage_udp(struct xdp_md *ctx)
{
	visit(STAGE_UDP);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
