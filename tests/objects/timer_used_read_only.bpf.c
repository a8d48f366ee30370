// SPDX-License-Identifier: MIT OR Apache-2.0
// Nor a timer in a map that programs may not write.
#include "types.h"

struct value { struct bpf_timer t; };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4); __uint(map_flags, BPF_F_RDONLY_PROG););
SEC("tc") int starts(struct __sk_buff *s)
{
	__u32 k = 0;
	struct value *v = bpf_map_lookup_elem(&values, &k);

	return v ? bpf_timer_init(&v->t, &values, 1) : 0;
}
