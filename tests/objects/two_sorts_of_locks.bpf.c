// SPDX-License-Identifier: MIT OR Apache-2.0
// A lock of each sort.
#include "types.h"

struct value { struct bpf_spin_lock l; struct bpf_res_spin_lock m; };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
