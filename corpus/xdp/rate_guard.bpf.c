// SPDX-License-Identifier: MIT OR Apache-2.0
// A guard against floods: each source may send `limit` packets per second; what is above is dropped.
#include "packet.h"

const volatile __u64 limit = 3;
#define WINDOW 1000000000ULL

struct window {
	__u64 start;
	__u64 packets;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __be32);
	__type(value, struct window);
} windows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

static __always_inline int count(__u32 dropped)
{
	__u64 *n = bpf_map_lookup_elem(&verdicts, &dropped);

	if (n)
		__sync_fetch_and_add(n, 1);
	return dropped ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int rate_guard(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);
	struct iphdr *ip = take_ipv4(&c);
	struct window fresh = { .packets = 1 }, *w;
	__u64 now;
	__be32 source;

	if (!ip)
		return XDP_PASS;
	source = ip->saddr;
	now = bpf_ktime_get_ns();
	w = bpf_map_lookup_elem(&windows, &source);
	if (!w) {
		fresh.start = now;
		bpf_map_update_elem(&windows, &source, &fresh, BPF_ANY);
		return count(0);
	}
	if (now - w->start > WINDOW) {
		w->start = now;
		w->packets = 0;
	}
	w->packets++;
	return count(w->packets > limit);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
