// SPDX-License-Identifier: MIT OR Apache-2.0
// Objects of a list that have such a list.
#include "types.h"

struct loop { struct bpf_list_node l; struct bpf_spin_lock k; struct bpf_list_head h CONTAINS("loop:l"); };
struct loop *a_loop;
struct value { struct bpf_spin_lock l; struct bpf_list_head h CONTAINS("loop:l"); };
MAP(ARRAY, __u32, struct value, __uint(max_entries, 4););
USES_VALUES
