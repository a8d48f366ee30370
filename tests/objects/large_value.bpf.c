// SPDX-License-Identifier: MIT OR Apache-2.0
// 4 MiB and a little.
#include "types.h"

struct value { int n; char b[4 << 20]; };
MAP(HASH, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
