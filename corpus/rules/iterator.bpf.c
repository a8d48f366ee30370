// SPDX-License-Identifier: MIT OR Apache-2.0
// An open-coded iterator is created, asked until it is empty, and destroyed.
#include "kernel.h"

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __attribute__((weak)) SEC(".ksyms");
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __attribute__((weak)) SEC(".ksyms");
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __attribute__((weak)) SEC(".ksyms");

SEC("tc")
int good(struct __sk_buff *skb)
{
	struct bpf_iter_num it;
	__u32 sum = 0;
	int *i;

	bpf_iter_num_new(&it, 0, skb->mark & 0xffff);
	while ((i = bpf_iter_num_next(&it)))
		sum += *i;
	bpf_iter_num_destroy(&it);
	return sum & 1;
}

SEC("tc")
int bad(struct __sk_buff *skb)
{
	struct bpf_iter_num it;
	int *i;

	bpf_iter_num_new(&it, 0, 10);
	i = bpf_iter_num_next(&it);
	return i ? *i & 1 : 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
