// SPDX-License-Identifier: MIT OR Apache-2.0
// A lock at an odd place is none, and that is refused.
#include "types.h"

struct value { char c; struct { int x; } __attribute__((packed)) i; } __attribute__((packed)); struct odd { char c; struct bpf_spin_lock l; } __attribute__((packed)); struct odd *an_odd; struct rest { int a; };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
