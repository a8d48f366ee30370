// SPDX-License-Identifier: MIT OR Apache-2.0
// LRU maps have no locks: the map is made without BTF.
#include "types.h"

struct value { struct bpf_spin_lock l; int x; };
MAP(LRU_HASH, __u64, struct value, __uint(max_entries, 4););
USES_VALUES
