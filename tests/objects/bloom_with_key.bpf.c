// SPDX-License-Identifier: MIT OR Apache-2.0
// Filters have no keys.
#include "types.h"

struct { __uint(type, BPF_MAP_TYPE_BLOOM_FILTER); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4); } values SEC(".maps");
