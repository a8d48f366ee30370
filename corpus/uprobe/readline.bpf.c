// SPDX-License-Identifier: MIT OR Apache-2.0
// Copies the line that a shell's readline returns, with the length that was read.
#include "kernel.h"
#include <bpf/bpf_tracing.h>

struct line {
	__s32 length;
	char text[60];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct line);
} last SEC(".maps");

SEC("uretprobe//bin/bash:readline")
int BPF_KRETPROBE(readline, const void *text)
{
	__u32 key = 0;
	struct line *line = bpf_map_lookup_elem(&last, &key);

	if (!line)
		return 0;
	line->length = bpf_probe_read_user_str(line->text, sizeof(line->text), text);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
