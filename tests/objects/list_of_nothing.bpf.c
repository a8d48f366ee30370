// SPDX-License-Identifier: MIT OR Apache-2.0
// The list does not say what it contains.
#include "types.h"

struct value { struct bpf_spin_lock l; struct bpf_list_head h; };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
