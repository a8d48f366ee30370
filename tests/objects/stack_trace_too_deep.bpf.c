// SPDX-License-Identifier: MIT OR Apache-2.0
// More frames than kernels keep.
#include "types.h"

struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 128 * 8); } values SEC(".maps");
