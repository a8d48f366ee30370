// SPDX-License-Identifier: MIT OR Apache-2.0
// Nothing special.
#include "types.h"

struct value { int a; };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
