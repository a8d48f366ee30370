// SPDX-License-Identifier: MIT OR Apache-2.0
// A template must be a map that can be made.
#include "types.h"

struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 4); __uint(key_size, 4); __array(values, struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, __u32); __type(value, int); }); } values SEC(".maps");
