// SPDX-License-Identifier: MIT OR Apache-2.0
// A pointer to an object of the program.
#include "types.h"

struct value { struct own KPTR *p; };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
