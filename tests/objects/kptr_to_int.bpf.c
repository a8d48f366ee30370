// SPDX-License-Identifier: MIT OR Apache-2.0
// Nor does a pointer to a number.
#include "types.h"

struct value { int KPTR *p; };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
