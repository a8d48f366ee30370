// SPDX-License-Identifier: MIT OR Apache-2.0
// Its map has no BTF, so there is no lock to take.
#include "types.h"

struct value { struct bpf_spin_lock l; int x; };
MAP(LRU_HASH, __u64, struct value, __uint(max_entries, 4););
SEC("tc") int locks(struct __sk_buff *s)
{
	__u64 k = 0;
	struct value *v = bpf_map_lookup_elem(&values, &k);

	if (!v)
		return 0;
	bpf_spin_lock(&v->l);
	v->x++;
	bpf_spin_unlock(&v->l);
	return 0;
}
