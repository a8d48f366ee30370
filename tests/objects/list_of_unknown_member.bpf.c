// SPDX-License-Identifier: MIT OR Apache-2.0
// There is no such member.
#include "types.h"

struct value { struct bpf_spin_lock l; struct bpf_list_head h CONTAINS("node:nope"); };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
