// SPDX-License-Identifier: MIT OR Apache-2.0
// Storages have no number of elements.
#include "types.h"

struct value { int a; };
MAP(SK_STORAGE, __u32, struct value, __uint(max_entries, 4); __uint(map_flags, BPF_F_NO_PREALLOC););
USES_VALUES
