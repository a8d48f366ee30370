//! What every generated file begins with: types, contexts, helpers and maps, so that it compiles without a header. Helpers
//! are constants, not variables, because compilers that do not optimise would load those and call a register.

pub(super) const TEXT: &str = r#"typedef unsigned char u8;
typedef signed char s8;
typedef unsigned short u16;
typedef short s16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
#define __type(name, value) typeof(value) *name
struct __sk_buff {
	u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority, ingress_ifindex, ifindex;
	u32 tc_index, cb[5], hash, tc_classid, data, data_end;
};
struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index;
};
#define map_lookup ((void *(*)(void *map, const void *key))1)
#define map_update ((long (*)(void *map, const void *key, const void *value, u64 flags))2)
#define map_delete ((long (*)(void *map, const void *key))3)
#define now ((u64 (*)(void))5)
#define random32 ((u32 (*)(void))7)
#define processor ((u32 (*)(void))8)
#define load_bytes ((long (*)(const void *ctx, u32 offset, void *to, u32 len))26)
#define reserve ((void *(*)(void *ringbuf, u64 size, u64 flags))131)
#define submit ((void (*)(void *data, u64 flags))132)
#define discard ((void (*)(void *data, u64 flags))133)
struct v {
	u32 a, b;
	s32 c;
	u64 d[8];
};
struct { __uint(type, 1); __uint(max_entries, 64); __type(key, u32); __type(value, struct v); } hash SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 4); __type(key, u32); __type(value, struct v); } array SEC(".maps");
struct { __uint(type, 9); __uint(max_entries, 64); __type(key, u32); __type(value, struct v); } lru SEC(".maps");
struct { __uint(type, 27); __uint(max_entries, 4096); } ring SEC(".maps");
"#;
