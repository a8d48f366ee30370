// SPDX-License-Identifier: MIT OR Apache-2.0
// Nor storages lists.
#include "types.h"

struct value { struct bpf_spin_lock l; struct bpf_list_head h CONTAINS("node:l"); };
MAP(TASK_STORAGE, __u32, struct value, __uint(map_flags, BPF_F_NO_PREALLOC););
USES_VALUES
