/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Packet headers and a cursor over a packet. The cursor keeps "checked before touched" in one place: `take` hands out a header only
 * when all of it lies before the packet's end.
 */
#pragma once
#include "kernel.h"

#define ETH_P_IP 0x0800
#define ETH_P_ARP 0x0806
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88a8
#define ETH_P_IPV6 0x86dd
#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17

struct ethhdr {
	__u8 h_dest[6];
	__u8 h_source[6];
	__be16 h_proto;
} __attribute__((packed));

struct vlanhdr {
	__be16 tci;
	__be16 proto;
};

struct iphdr {
	__u8 ihl : 4;
	__u8 version : 4;
	__u8 tos;
	__be16 tot_len;
	__be16 id;
	__be16 frag_off;
	__u8 ttl;
	__u8 protocol;
	__sum16 check;
	__be32 saddr;
	__be32 daddr;
};

struct ipv6hdr {
	__be32 flow;
	__be16 payload_len;
	__u8 nexthdr;
	__u8 hop_limit;
	__u8 saddr[16];
	__u8 daddr[16];
};

struct ipv6_extension {
	__u8 nexthdr;
	__u8 length; /* in units of 8 bytes, the first not counted */
	__u8 rest[6];
};

struct udphdr {
	__be16 source;
	__be16 dest;
	__be16 len;
	__sum16 check;
};

struct tcphdr {
	__be16 source;
	__be16 dest;
	__be32 seq;
	__be32 ack_seq;
	__u16 res : 4;
	__u16 doff : 4;
	__u16 fin : 1;
	__u16 syn : 1;
	__u16 rst : 1;
	__u16 psh : 1;
	__u16 ack : 1;
	__u16 urg : 1;
	__u16 ece : 1;
	__u16 cwr : 1;
	__be16 window;
	__sum16 check;
	__be16 urg_ptr;
};

struct icmphdr {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be16 id;
	__be16 sequence;
};

struct cursor {
	void *at;
	void *end;
};

#define CURSOR(ctx) { .at = (void *)(long)(ctx)->data, .end = (void *)(long)(ctx)->data_end }

/* The next `size` bytes, or NULL when the packet ends before. `size` is a constant at every call. */
static __always_inline void *take(struct cursor *c, unsigned long size)
{
	void *header = c->at;

	if (header + size > c->end)
		return NULL;
	/* A packet is nowhere near address 0: lets the compiler drop the test for it. */
	if (!header)
		__builtin_unreachable();
	c->at = header + size;
	return header;
}

/* Moves on by a number of bytes that is known only at run time, at most `max`. The barrier keeps the compiler from leaving out the
 * comparison that it can prove itself and the verifier cannot. */
static __always_inline bool skip(struct cursor *c, __u32 bytes, __u32 max)
{
	barrier_var(bytes);
	if (bytes > max || c->at + bytes > c->end)
		return false;
	c->at += bytes;
	return true;
}

#define TAKE(cursor, type) ((type *)take((cursor), sizeof(type)))

/* The IPv4 header of an Ethernet packet without options, or NULL. */
static __always_inline struct iphdr *take_ipv4(struct cursor *c)
{
	struct ethhdr *eth = TAKE(c, struct ethhdr);
	struct iphdr *ip;

	if (!eth || eth->h_proto != bpf_htons(ETH_P_IP))
		return NULL;
	ip = TAKE(c, struct iphdr);
	if (!ip || ip->ihl != 5)
		return NULL;
	return ip;
}

/* Folds a 32-bit one's complement sum to the checksum of 16 bits. */
static __always_inline __sum16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__sum16)~sum;
}
