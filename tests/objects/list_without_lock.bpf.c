// SPDX-License-Identifier: MIT OR Apache-2.0
// Nothing protects the list.
#include "types.h"

struct value { struct bpf_list_head h CONTAINS("node:l"); };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
