// SPDX-License-Identifier: MIT OR Apache-2.0
// Parses what real traffic has: up to two VLAN tags, IPv4 options, IPv6 extension headers, TCP options. Reports what it found.
#include "packet.h"

#define MAX_TAGS 2
#define MAX_EXTENSIONS 4
#define MAX_OPTIONS 10

struct finding {
	__u16 ethertype;
	__u8 tags;
	__u8 protocol;
	__u16 dest;
	__u16 mss;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct finding);
} found SEC(".maps");

static __always_inline bool skip_tags(struct cursor *c, struct finding *f)
{
	for (int i = 0; i < MAX_TAGS; i++) {
		struct vlanhdr *tag;

		if (f->ethertype != ETH_P_8021Q && f->ethertype != ETH_P_8021AD)
			return true;
		tag = TAKE(c, struct vlanhdr);
		if (!tag)
			return false;
		f->ethertype = bpf_ntohs(tag->proto);
		f->tags++;
	}
	return true;
}

static __always_inline bool skip_ipv4(struct cursor *c, struct finding *f)
{
	struct iphdr *ip = TAKE(c, struct iphdr);

	if (!ip || ip->ihl < 5)
		return false;
	f->protocol = ip->protocol;
	return skip(c, (ip->ihl - 5) * 4, 40);
}

static __always_inline bool is_extension(__u8 header)
{
	return header == 0 || header == 43 || header == 60;
}

static __always_inline bool skip_ipv6(struct cursor *c, struct finding *f)
{
	struct ipv6hdr *ip = TAKE(c, struct ipv6hdr);

	if (!ip)
		return false;
	f->protocol = ip->nexthdr;
	for (int i = 0; i < MAX_EXTENSIONS && is_extension(f->protocol); i++) {
		struct ipv6_extension *ext = TAKE(c, struct ipv6_extension);

		if (!ext)
			return false;
		f->protocol = ext->nexthdr;
		if (!skip(c, ext->length * 8, 255 * 8))
			return false;
	}
	return true;
}

/* The maximum segment size among the TCP options, 0 when there is none. */
static __always_inline __u16 find_mss(struct cursor *c, __u32 left)
{
	for (int i = 0; i < MAX_OPTIONS && left; i++) {
		__u8 *kind = take(c, 1), *length;
		__u32 size = 1;

		if (!kind || *kind == 0)
			return 0;
		if (*kind != 1) {
			length = take(c, 1);
			if (!length || *length < 2 || *length > 40)
				return 0;
			size = *length;
			if (*kind == 2 && size == 4) {
				__be16 *mss = take(c, 2);

				return mss ? bpf_ntohs(*mss) : 0;
			}
			if (!skip(c, size - 2, 38))
				return 0;
		}
		if (left < size)
			return 0;
		left -= size;
	}
	return 0;
}

SEC("xdp")
int parse_deep(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);
	struct ethhdr *eth = TAKE(&c, struct ethhdr);
	struct finding f = {};
	__u32 key = 0;
	__u16 mss;

	if (!eth)
		return XDP_DROP;
	f.ethertype = bpf_ntohs(eth->h_proto);
	if (!skip_tags(&c, &f))
		return XDP_DROP;
	if (f.ethertype == ETH_P_IP) {
		if (!skip_ipv4(&c, &f))
			return XDP_DROP;
	} else if (f.ethertype == ETH_P_IPV6) {
		if (!skip_ipv6(&c, &f))
			return XDP_DROP;
	} else {
		return XDP_PASS;
	}
	if (f.protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = TAKE(&c, struct tcphdr);

		if (!tcp || tcp->doff < 5)
			return XDP_DROP;
		f.dest = bpf_ntohs(tcp->dest);
		mss = find_mss(&c, (tcp->doff - 5) * 4);
		/* Keeps the compiler from joining the stores to two members into one through a computed pointer. */
		barrier_var(mss);
		f.mss = mss;
	} else if (f.protocol == IPPROTO_UDP) {
		struct udphdr *udp = TAKE(&c, struct udphdr);

		if (!udp)
			return XDP_DROP;
		f.dest = bpf_ntohs(udp->dest);
	}
	bpf_map_update_elem(&found, &key, &f, BPF_ANY);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
