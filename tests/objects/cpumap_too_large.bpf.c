// SPDX-License-Identifier: MIT OR Apache-2.0
// More CPUs than there can be.
#include "types.h"

struct { __uint(type, BPF_MAP_TYPE_CPUMAP); __uint(max_entries, 70000); __uint(key_size, 4); __uint(value_size, 4); } values SEC(".maps");
