// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs write fields: a map that they may not write has none.
#include "types.h"

struct value { struct bpf_timer t; };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4); __uint(map_flags, BPF_F_RDONLY_PROG););
USES_VALUES
