// SPDX-License-Identifier: MIT OR Apache-2.0
// A per-cpu value has at most 32 KiB.
#include "types.h"

struct value { char b[40000]; };
MAP(PERCPU_ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
