// SPDX-License-Identifier: MIT OR Apache-2.0
// Two timers: the BTF is taken, the map has no fields.
#include "types.h"

struct value { struct bpf_timer t; struct bpf_timer u; };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
