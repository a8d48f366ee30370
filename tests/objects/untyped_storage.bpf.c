// SPDX-License-Identifier: MIT OR Apache-2.0
// Storages need types.
#include "types.h"

struct { __uint(type, BPF_MAP_TYPE_SK_STORAGE); __uint(map_flags, BPF_F_NO_PREALLOC); __uint(key_size, 4); __uint(value_size, 4); } values SEC(".maps");
