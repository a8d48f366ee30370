/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the objects of this folder have in common: structs that kernels know by name, tags, and a map that needs BTF. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#define KPTR __attribute__((btf_type_tag("kptr")))
#define UNTRUSTED __attribute__((btf_type_tag("kptr_untrusted")))
#define CONTAINS(what) __attribute__((btf_decl_tag("contains:" what)))

struct bpf_list_head { __u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_list_node { __u64 opaque[3]; } __attribute__((aligned(8)));
struct bpf_rb_root { __u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_rb_node { __u64 opaque[4]; } __attribute__((aligned(8)));
struct bpf_refcount { __u32 opaque[1]; } __attribute__((aligned(4)));
struct bpf_wq { __u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_res_spin_lock { __u32 val; } __attribute__((aligned(4)));

char LICENSE[] SEC("license") = "GPL";

struct own { int x; };
struct own an_own;
struct node { __u64 k; struct bpf_list_node l; };
struct node *a_node;

#define MAP(TYPE, KEY, VALUE, ...) \
	struct { __uint(type, BPF_MAP_TYPE_##TYPE); __type(key, KEY); __type(value, VALUE); __VA_ARGS__ } values SEC(".maps")

/* Only a program whose BTF the kernel took may start this timer. */
struct timed { struct bpf_timer t; };
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct timed);
} timers SEC(".maps");

SEC("tc") int has_btf(struct __sk_buff *s)
{
	__u32 k = 0;
	struct timed *v = bpf_map_lookup_elem(&timers, &k);

	return v ? bpf_timer_init(&v->t, &timers, 1) : 0;
}

#define USES_VALUES SEC("tc") int uses_values(struct __sk_buff *s) { __u64 k = 0; return bpf_map_lookup_elem(&values, &k) != 0; }
