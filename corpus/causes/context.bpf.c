// SPDX-License-Identifier: MIT OR Apache-2.0
// Reading user memory may wait for a page. Between rcu_read_lock and rcu_read_unlock nothing may wait.
#include "kernel.h"

void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;

struct request {
	__u64 address;
};

SEC("syscall")
int good(struct request *r)
{
	__u64 word = 0;
	long failed = bpf_copy_from_user(&word, sizeof(word), (void *)r->address);

	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	return failed || word;
}

SEC("syscall")
int bad(struct request *r)
{
	__u64 word = 0;
	long failed;

	bpf_rcu_read_lock();
	failed = bpf_copy_from_user(&word, sizeof(word), (void *)r->address);
	bpf_rcu_read_unlock();
	return failed || word;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
