// SPDX-License-Identifier: MIT OR Apache-2.0
// Locks do not come in arrays.
#include "types.h"

struct value { struct bpf_spin_lock l[2]; };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
