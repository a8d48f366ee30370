// One object with most of what a loader has to do. Compiled with:
//   clang -g -O2 -target bpf -mcpu=v3 -ffile-prefix-map=$PWD=. -c features.bpf.c -o features.bpf.o && llvm-strip -g features.bpf.o
typedef unsigned int u32;
typedef unsigned long long u64;
typedef _Bool bool;
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __ulong(name, val) enum { __name_##name = val } name
#define __noinline __attribute__((noinline))
#define __weak __attribute__((weak))
#define __hidden __attribute__((visibility("hidden")))
#define preserve __attribute__((preserve_access_index))

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_tail_call)(void *ctx, void *map, u32 index) = (void *)12;
static long (*bpf_loop)(u32 n, void *fn, void *ctx, u64 flags) = (void *)181;

int dispatch(void *ctx);

struct inner {
	__uint(type, 2);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
} inner_map SEC(".maps");

struct {
	__uint(type, 12);
	__uint(max_entries, 2);
	__type(key, u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { [1] = &inner_map } };

struct {
	__uint(type, 3);
	__uint(max_entries, 3);
	__uint(key_size, 4);
	__array(values, int(void *));
} jumps SEC(".maps") = { .values = { [2] = (void *)&dispatch } };

struct {
	__uint(type, 1);
	__uint(max_entries, 8);
	__uint(map_flags, 1);
	__uint(pinning, 1);
	__uint(key_size, 4);
	__uint(value_size, 16);
} pinned_with_a_long_name SEC(".maps");

struct {
	__uint(type, 30);
	__uint(max_entries, 100);
	__type(value, u64);
	__ulong(map_extra, 5);
} bloom SEC(".maps");

struct {
	__uint(type, 27);
	__uint(max_entries, 5000);
} ring SEC(".maps");

extern u32 LINUX_KERNEL_VERSION __attribute__((section(".kconfig")));
extern bool CONFIG_BPF_JIT __attribute__((section(".kconfig")));
extern u64 CONFIG_HZ __attribute__((section(".kconfig"))) __weak;
extern int missing_kfunc(int x) __attribute__((section(".ksyms"))) __weak;

const volatile u32 limit = 7;
const volatile char text[8] SEC(".rodata.text") = "abc";
struct pair { u32 a; u32 b[2]; } pairs[2] = { { 1, { 2, 3 } }, { 4, { 5, 6 } } };
u64 counter;
u64 custom SEC(".data.custom") = 9;

struct task___flavour { int pid; int gone; } preserve;
#define exists(x) __builtin_preserve_field_info(x, 2)

static long each(u32 index, u64 *sum) { *sum += index; return 0; }

__noinline __hidden int leaf(int x) { return x * (int)counter + (int)pairs[1].b[1]; }
static __noinline int middle(int x) { return leaf(x) + 1 + (int)custom; }

SEC("tc")
int calls(void *ctx)
{
	u64 sum = 0;
	bpf_loop(limit, each, &sum, 0);
	if (missing_kfunc)
		sum += missing_kfunc(1);
	return middle((int)sum) + leaf(2) + text[1];
}

SEC("?xdp.frags")
int reads_maps(void *ctx)
{
	u32 key = 0;
	u64 *value = bpf_map_lookup_elem(&inner_map, &key);
	void *other = bpf_map_lookup_elem(&outer, &key);
	struct task___flavour *t = ctx;
	int n = exists(t->pid) + 2 * exists(t->gone);
	if (bpf_map_lookup_elem(&pinned_with_a_long_name, &key))
		n++;
	return n + (value ? (int)*value : 0) + (other != 0) + LINUX_KERNEL_VERSION + CONFIG_BPF_JIT + (int)CONFIG_HZ;
}

SEC("tc")
int dispatch(void *ctx) { bpf_tail_call(ctx, &jumps, 2); return 0; }

SEC("fentry/vfs_read")
int attaches(void *ctx) { return 0; }

char _license[] SEC("license") = "Dual MIT/GPL";
