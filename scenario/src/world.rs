//! What surrounds a run, as far as it can be set: time, randomness, CPU, task, stacks, user memory. What happens with it is `runtime`'s matter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The task that the program runs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Task {
    pub pid: u32,
    pub tgid: u32,
    pub uid: u32,
    pub gid: u32,
    pub comm: String,
    pub cgroup_id: u64,
    /// cgroup ids from the root (level 0) to the task's own.
    pub cgroup_path: Vec<u64>,
    pub cgroup_classid: u32,
    /// Device and inode of the task's pid namespace, and its ids there (bpf_get_ns_current_pid_tgid).
    pub pidns_dev: u64,
    pub pidns_ino: u64,
}

impl Default for Task {
    fn default() -> Self {
        Self {
            pid: 1000,
            tgid: 1000,
            uid: 0,
            gid: 0,
            comm: "bpfverdict".into(),
            cgroup_id: 1,
            cgroup_path: vec![1],
            cgroup_classid: 0,
            pidns_dev: 4,
            pidns_ino: 0xeff_fffc,
        }
    }
}

/// The sysctl that a CGROUP_SYSCTL program watches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sysctl {
    /// `net/ipv4/tcp_mem`.
    pub name: String,
    pub current: String,
    /// The value being written, if it is being written.
    pub new: Option<String>,
}

/// The settable values. Serialised as part of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Values {
    /// CLOCK_MONOTONIC of the first read; each read adds `ktime_step`.
    pub ktime_ns: u64,
    pub ktime_step: u64,
    /// CLOCK_BOOTTIME - CLOCK_MONOTONIC.
    pub boot_offset_ns: u64,
    /// CLOCK_TAI - CLOCK_MONOTONIC.
    pub tai_offset_ns: u64,
    pub jiffies: u64,
    /// Seed of bpf_get_prandom_u32.
    pub seed: u64,
    /// Values that bpf_get_prandom_u32 returns before the seeded ones (recorded from a kernel).
    pub random: Vec<u32>,
    pub cpu: u32,
    pub nr_cpus: u32,
    pub numa_node: u32,
    pub task: Task,
    /// bpf_get_attach_cookie.
    pub attach_cookie: u64,
    /// bpf_get_func_ip.
    pub func_ip: u64,
    /// Cookie of the packet's or context's socket and network namespace.
    pub socket_cookie: u64,
    pub socket_uid: u32,
    pub netns_cookie: u64,
    pub sysctl: Sysctl,
    /// Call stacks, innermost frame first (bpf_get_stackid, bpf_get_stack).
    pub kernel_stack: Vec<u64>,
    pub user_stack: Vec<u64>,
    /// Memory of the simulated user process: address and bytes.
    pub user_memory: Vec<(u64, Vec<u8>)>,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            ktime_ns: 1_000_000_000,
            ktime_step: 1_000,
            boot_offset_ns: 0,
            tai_offset_ns: 1_700_000_037_000_000_000,
            jiffies: 4_294_937_296,
            seed: 0x9e37_79b9_7f4a_7c15,
            random: Vec::new(),
            cpu: 0,
            nr_cpus: 2,
            numa_node: 0,
            task: Task::default(),
            attach_cookie: 0,
            func_ip: 0,
            socket_cookie: 1,
            socket_uid: 0,
            netns_cookie: 1,
            sysctl: Sysctl::default(),
            kernel_stack: Vec::new(),
            user_stack: Vec::new(),
            user_memory: Vec::new(),
        }
    }
}
