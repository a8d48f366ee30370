// SPDX-License-Identifier: MIT OR Apache-2.0
// Two locks: the kernel refuses the BTF.
#include "types.h"

struct value { struct bpf_spin_lock l; struct bpf_spin_lock m; };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
