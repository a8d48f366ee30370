// SPDX-License-Identifier: MIT OR Apache-2.0
// A register is written before it is read; a helper call leaves r1 to r5 unreadable.
#include "kernel.h"

SEC("tc")
NAKED int good(struct __sk_buff *skb)
{
	asm volatile("r6 = 1;"
		     "call 7;" /* get_prandom_u32 */
		     "r0 = r6;"
		     "exit;");
}

SEC("tc")
NAKED int bad(struct __sk_buff *skb)
{
	asm volatile("r0 = r2;"
		     "exit;");
}

SEC("tc")
NAKED int bad_after_call(struct __sk_buff *skb)
{
	asm volatile("r3 = 1;"
		     "call 7;"
		     "r0 = r3;"
		     "exit;");
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} programs SEC(".maps");

/* A tail call that fails returns no value. */
SEC("tc")
NAKED int bad_after_tail_call(struct __sk_buff *skb)
{
	asm volatile("r2 = %[programs] ll;"
		     "r3 = 0;"
		     "call 12;" /* tail_call */
		     "exit;"
		     ::[programs] "i"(&programs));
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
