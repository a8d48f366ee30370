// SPDX-License-Identifier: MIT OR Apache-2.0
// A hash needs room.
#include "types.h"

struct value { int a; };
MAP(HASH, __u32, struct value, );
USES_VALUES
