// SPDX-License-Identifier: MIT OR Apache-2.0
// Such a pointer alone makes nobody look.
#include "types.h"

struct value { struct nope KPTR *q; };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
