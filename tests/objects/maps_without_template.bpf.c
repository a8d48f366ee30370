// SPDX-License-Identifier: MIT OR Apache-2.0
// Maps of maps need a template.
#include "types.h"

struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4); } values SEC(".maps");
