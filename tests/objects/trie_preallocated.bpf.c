// SPDX-License-Identifier: MIT OR Apache-2.0
// Tries are never preallocated.
#include "types.h"

struct value { int a; };
MAP(LPM_TRIE, __u64, struct value, __uint(max_entries, 4););
USES_VALUES
