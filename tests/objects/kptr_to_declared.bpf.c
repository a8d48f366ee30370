// SPDX-License-Identifier: MIT OR Apache-2.0
// Beside a good pointer, one to a type that is only declared.
#include "types.h"

struct value { struct own KPTR *p; struct nope KPTR *q; };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
