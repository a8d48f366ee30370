// SPDX-License-Identifier: MIT OR Apache-2.0
// A tree holds other nodes.
#include "types.h"

struct value { struct bpf_spin_lock l; struct bpf_rb_root r CONTAINS("node:l"); };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
