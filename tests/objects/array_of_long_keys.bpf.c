// SPDX-License-Identifier: MIT OR Apache-2.0
// Arrays have keys of four bytes.
#include "types.h"

struct value { int a; };
MAP(ARRAY, __u64, struct value, __uint(max_entries, 4););
USES_VALUES
