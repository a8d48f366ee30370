// SPDX-License-Identifier: MIT OR Apache-2.0
// What `cargo bench -p bpfverdict-tests --bench run` measures: small bodies, each of which does one thing often enough to be timed.
// Compiled as the corpus is: clang-19 -O2 -g -Wall -Werror -target bpf -mcpu=v3 -I../../../corpus/include -ffile-compilation-dir=. -c
#include "kernel.h"
#include <bpf/bpf_helpers.h>

#define MAP(name, kind, entries, key_type, value_type)   \
	struct {                                             \
		__uint(type, kind);                              \
		__uint(max_entries, entries);                    \
		__type(key, key_type);                           \
		__type(value, value_type);                       \
	} name SEC(".maps")

MAP(array, BPF_MAP_TYPE_ARRAY, 128, __u32, __u64);
MAP(percpu, BPF_MAP_TYPE_PERCPU_ARRAY, 128, __u32, __u64);
MAP(hash, BPF_MAP_TYPE_HASH, 1024, __u32, __u64);
MAP(lru, BPF_MAP_TYPE_LRU_HASH, 1024, __u32, __u64);
MAP(lru_large, BPF_MAP_TYPE_LRU_HASH, 50000, __u32, __u64);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

__u64 counter;

/* Not a constant for the compiler or the verifier. */
#define SEED(ctx) ((ctx)->rx_queue_index)
/* Keeps a value in a register that the compiler knows nothing about. */
#define OPAQUE(x) asm volatile("" : "+r"(x))

SEC("xdp")
int empty(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int alu_loop(struct xdp_md *ctx)
{
	__u64 x = SEED(ctx);
	int i;

#pragma clang loop unroll(disable)
	for (i = 0; i < 100000; i++)
		x = (x ^ i) * 31 + 7;
	return x & 3;
}

SEC("xdp")
int stack_copy(struct xdp_md *ctx)
{
	__u64 from[16], to[16], seed = SEED(ctx);
	int i, round;

	for (i = 0; i < 16; i++)
		from[i] = seed + i;
#pragma clang loop unroll(disable)
	for (round = 0; round < 100; round++) {
#pragma clang loop unroll(disable)
		for (i = 0; i < 16; i++) {
			__u64 v = from[i];

			OPAQUE(v);
			to[i & 15] = v;
		}
	}
	return (to[3] + to[15]) & 3;
}

SEC("xdp")
int prime_sieve(struct xdp_md *ctx)
{
	__u64 n, d, found = 0;

#pragma clang loop unroll(disable)
	for (n = 3; n < 200; n += 2) {
		__u64 prime = 1;

#pragma clang loop unroll(disable)
		for (d = 3; d * d <= n; d += 2)
			if (n % d == 0) {
				prime = 0;
				break;
			}
		found += prime;
	}
	return found & 3;
}

/* The whole packet is looked at once: every load is in bounds from there on. */
SEC("xdp")
int checksum(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 sum = 0;
	int i;

	if (data + 1500 > end)
		return XDP_DROP;
#pragma clang loop unroll(disable)
	for (i = 0; i < 1500; i += 4)
		sum += *(__u32 *)(data + i);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum & 3;
}

/* A bounds check at every step. */
SEC("xdp")
int checksum_stepwise(struct xdp_md *ctx)
{
	__u8 *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 sum = 0;
	int i;

#pragma clang loop unroll(disable)
	for (i = 0; i < 375; i++) {
		if (at + 4 > end)
			break;
		sum += *(__u32 *)at;
		at += 4;
	}
	return sum & 3;
}

#define ROTATE(x, n) ((x) << (n) | (x) >> (32 - (n)))

SEC("xdp")
int jhash(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 a = 0xdeadbeef, b = a, c = a;
	int i;

	if (data + 240 > end)
		return XDP_DROP;
#pragma clang loop unroll(disable)
	for (i = 0; i < 240; i += 12) {
		a += *(__u32 *)(data + i);
		b += *(__u32 *)(data + i + 4);
		c += *(__u32 *)(data + i + 8);
		a -= c, a ^= ROTATE(c, 4), c += b;
		b -= a, b ^= ROTATE(a, 6), a += c;
		c -= b, c ^= ROTATE(b, 8), b += a;
		a -= c, a ^= ROTATE(c, 16), c += b;
		b -= a, b ^= ROTATE(a, 19), a += c;
		c -= b, c ^= ROTATE(b, 4), b += a;
	}
	return c & 3;
}

#define LOOKUPS(map, times)                              \
	__u64 sum = 0;                                       \
	__u32 i;                                             \
	_Pragma("clang loop unroll(disable)")                \
	for (i = 0; i < times; i++) {                        \
		__u32 key = i;                                   \
		__u64 *value = bpf_map_lookup_elem(&map, &key);  \
		if (value)                                       \
			sum += *value;                               \
	}                                                    \
	return sum & 3

SEC("xdp")
int array_lookup(struct xdp_md *ctx)
{
	LOOKUPS(array, 100);
}

SEC("xdp")
int percpu_lookup(struct xdp_md *ctx)
{
	LOOKUPS(percpu, 100);
}

SEC("xdp")
int hash_lookup(struct xdp_md *ctx)
{
	LOOKUPS(hash, 100);
}

SEC("xdp")
int lru_lookup(struct xdp_md *ctx)
{
	LOOKUPS(lru, 100);
}

#define UPDATES(map, times)                              \
	__u32 i;                                             \
	_Pragma("clang loop unroll(disable)")                \
	for (i = 0; i < times; i++) {                        \
		__u32 key = i;                                   \
		__u64 value = i;                                 \
		bpf_map_update_elem(&map, &key, &value, BPF_ANY); \
	}                                                    \
	return XDP_PASS

SEC("xdp")
int hash_update(struct xdp_md *ctx)
{
	UPDATES(hash, 100);
}

SEC("xdp")
int lru_update(struct xdp_md *ctx)
{
	UPDATES(lru_large, 100);
}

static __noinline __u64 callee(__u64 a, __u64 b)
{
	OPAQUE(a);
	return a + b;
}

SEC("xdp")
int bpf_calls(struct xdp_md *ctx)
{
	__u64 x = SEED(ctx);
	int i;

#pragma clang loop unroll(disable)
	for (i = 0; i < 1000; i++)
		x = callee(x, i);
	return x & 3;
}

int tail_target(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, int(void *));
} chain SEC(".maps") = { .values = { [1] = (void *)&tail_target } };

__u32 hops;

SEC("xdp")
int tail_target(struct xdp_md *ctx)
{
	if (++hops % 10)
		bpf_tail_call(ctx, &chain, 1);
	return XDP_PASS;
}

/* Ten tail calls. */
SEC("xdp")
int tail_calls(struct xdp_md *ctx)
{
	hops = 0;
	bpf_tail_call(ctx, &chain, 1);
	return XDP_DROP;
}

static long turn(__u32 index, void *sum)
{
	*(__u64 *)sum += index;
	return 0;
}

SEC("xdp")
int loop_helper(struct xdp_md *ctx)
{
	__u64 sum = SEED(ctx);

	bpf_loop(1000, turn, &sum, 0);
	return sum & 3;
}

/* Discarded, so that the buffer never fills up: nobody reads it. */
SEC("xdp")
int ring_buffer(struct xdp_md *ctx)
{
	int i;

#pragma clang loop unroll(disable)
	for (i = 0; i < 10; i++) {
		__u64 *record = bpf_ringbuf_reserve(&ring, 16, 0);

		if (!record)
			continue;
		record[0] = i;
		record[1] = 7;
		bpf_ringbuf_discard(record, 1 /* BPF_RB_NO_WAKEUP */);
	}
	return XDP_PASS;
}

SEC("xdp")
int atomics(struct xdp_md *ctx)
{
	__u64 sum = 0;
	int i;

#pragma clang loop unroll(disable)
	for (i = 0; i < 300; i++)
		__sync_fetch_and_add(&sum, 3);
	return sum & 3;
}

SEC("xdp")
int atomics_fetch(struct xdp_md *ctx)
{
	__u64 sum = 0, got = 0;
	int i;

#pragma clang loop unroll(disable)
	for (i = 0; i < 300; i++) {
		got += __sync_fetch_and_or(&sum, i);
		got ^= __sync_fetch_and_add(&sum, 5);
	}
	return got & 3;
}

SEC("xdp")
int bss_counter(struct xdp_md *ctx)
{
	volatile __u64 *c = &counter;
	int i;

#pragma clang loop unroll(disable)
	for (i = 0; i < 100; i++)
		*c += i;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
