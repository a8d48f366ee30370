// SPDX-License-Identifier: MIT OR Apache-2.0
// Functions that are verified on their own (global) and with their callers (static), and memory passed between them.
#include "kernel.h"

struct request {
	__u32 a;
	__u32 b;
	__u64 result;
};

__attribute__((noinline)) int greatest_common_divisor(__u32 a, __u32 b)
{
	for (int i = 0; i < 48 && b; i++) {
		__u32 t = a % b;

		a = b;
		b = t;
	}
	return a;
}

static __attribute__((noinline)) int store(struct request *request, __u64 value)
{
	request->result = value;
	return value & 0xff;
}

SEC("syscall")
int subprograms(struct request *request)
{
	return store(request, greatest_common_divisor(request->a, request->b));
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
