// SPDX-License-Identifier: MIT OR Apache-2.0
// A program that user space calls like a function: its context is plain memory. Sums squares by bpf_loop and a callback.
#include "kernel.h"

struct request {
	__u32 count;
	__u32 pad;
	__u64 result;
};

struct state {
	__u64 sum;
};

static long add(__u32 i, struct state *state)
{
	state->sum += (__u64)i * i;
	return state->sum > 1000000;
}

SEC("syscall")
int sum_loop(struct request *request)
{
	struct state state = {};
	long rounds = bpf_loop(request->count, add, &state, 0);

	if (rounds < 0)
		return 1;
	request->result = state.sum;
	return rounds;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
