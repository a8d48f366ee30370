// SPDX-License-Identifier: MIT OR Apache-2.0
// Switches that become indirect jumps, called functions outside of `.text`, a function that replaces one of another program, a static program.
// clang-22 -O2 -target bpf -mcpu=v4 -g -ffile-compilation-dir=. -mllvm -bpf-min-jump-table-entries=4 -c jumps.bpf.c && llvm-strip-19 -g jumps.bpf.o
#define SEC(name) __attribute__((section(name), used))

char license_[] SEC("license") = "GPL";
int out;

#define CASES                                                                                                                              \
	switch (v) {                                                                                                                       \
	case 0: out = 5; break;                                                                                                            \
	case 1: out ^= 7; break;                                                                                                           \
	case 2: out *= 3; break;                                                                                                           \
	case 3: out = v; break;                                                                                                            \
	case 4: out += 9; break;                                                                                                           \
	default: out = 1;                                                                                                                  \
	}

static __attribute__((noinline)) int twice(unsigned long v)
{
	CASES
	return out;
}

SEC("raw_tp/first")
int first(unsigned long *ctx)
{
	unsigned long v = ctx[0];

	CASES
	return 0;
}

SEC("raw_tp/second")
int second(unsigned long *ctx)
{
	return twice(ctx[0]) + twice(ctx[1]);
}

static __attribute__((noinline, section("library"))) int helper(unsigned long v)
{
	out = v;
	return out + 1;
}

SEC("raw_tp/third")
int third(unsigned long *ctx)
{
	return helper(ctx[0]) + helper(ctx[1]);
}

SEC("freplace/function")
int replaces(void *ctx)
{
	return 0;
}

// A program for cilium/ebpf, though libbpf takes none that is static.
static __attribute__((section("classifier/fourth"), used)) int fourth(void *ctx)
{
	return 0;
}
