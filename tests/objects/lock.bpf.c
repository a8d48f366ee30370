// SPDX-License-Identifier: MIT OR Apache-2.0
// One lock.
#include "types.h"

struct value { struct bpf_spin_lock l; int x; };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
