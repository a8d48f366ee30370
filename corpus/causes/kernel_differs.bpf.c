// SPDX-License-Identifier: MIT OR Apache-2.0
// The program is right, and Linux 6.8 and later take it: they learn from a comparison of two registers, 6.1 only from one with a
// constant. Saying the bound as a constant, too, loads everywhere.
#include "kernel.h"

__u8 table[256];

SEC("tc")
NAKED int good(struct __sk_buff *skb)
{
	asm volatile("r6 = *(u32 *)(r1 + 0);" /* len */
		     "r7 = *(u32 *)(r1 + 8);" /* mark */
		     "r7 &= 255;"
		     "if r6 > r7 goto 1f;"
		     "if r6 > 255 goto 1f;"
		     "r2 = %[table] ll;"
		     "r2 += r6;"
		     "r0 = *(u8 *)(r2 + 0);"
		     "1: r0 = 0;"
		     "exit;" ::[table] "i"(&table));
}

SEC("tc")
NAKED int bad(struct __sk_buff *skb)
{
	asm volatile("r6 = *(u32 *)(r1 + 0);"
		     "r7 = *(u32 *)(r1 + 8);"
		     "r7 &= 255;"
		     "if r6 > r7 goto 1f;" /* so r6 is at most 255 */
		     "r2 = %[table] ll;"
		     "r2 += r6;"
		     "r0 = *(u8 *)(r2 + 0);"
		     "1: r0 = 0;"
		     "exit;" ::[table] "i"(&table));
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
