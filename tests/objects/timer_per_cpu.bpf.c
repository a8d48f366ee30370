// SPDX-License-Identifier: MIT OR Apache-2.0
// Nor per-cpu maps timers.
#include "types.h"

struct value { struct bpf_timer t; };
MAP(PERCPU_HASH, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
