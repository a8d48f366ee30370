//! Everything around a run that is not its program: time, randomness, the current task, CPUs, and what the program sent out. Seeded, so that two
//! runs with equal input are equal; every value can be set. Not here: maps (`map`), packets and contexts (`ctx`).

use serde::{Deserialize, Serialize};

/// The task that the program runs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sysctl {
    /// `net/ipv4/tcp_mem`.
    pub name: String,
    pub current: String,
    /// The value being written, if it is being written.
    pub new: Option<String>,
}

/// The settable values. Serialised as part of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// A sample that went to a perf event array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerfSample {
    pub map: String,
    pub index: u32,
    /// The program's bytes, then the packet bytes that the flags asked for.
    pub data: Vec<u8>,
}

/// Where a packet was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Redirect {
    /// bpf_redirect: interface and flags.
    Interface {
        ifindex: u32,
        flags: u64,
    },
    Peer {
        ifindex: u32,
    },
    Neighbour {
        ifindex: u32,
    },
    /// bpf_redirect_map.
    Map {
        map: String,
        key: u64,
        flags: u64,
    },
    /// bpf_clone_redirect with the packet as it then was.
    Clone {
        ifindex: u32,
        flags: u64,
        packet: Vec<u8>,
    },
}

/// A timer that the program armed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    pub map: String,
    pub nsecs: u64,
    pub flags: u64,
    /// Entry slot of the callback.
    pub callback: Option<u32>,
}

/// What a run sent out, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outputs {
    /// Lines of bpf_trace_printk / bpf_trace_vprintk, without the trace header.
    pub trace: Vec<String>,
    pub perf: Vec<PerfSample>,
    pub redirects: Vec<Redirect>,
    pub timers: Vec<Timer>,
    /// Signals: number, and whether only to the thread.
    pub signals: Vec<(u32, bool)>,
    /// bpf_seq_printf / bpf_seq_write.
    pub seq: Vec<u8>,
    /// bpf_override_return.
    pub overridden: Option<u64>,
    /// bpf_probe_write_user.
    pub user_writes: Vec<(u64, Vec<u8>)>,
}

/// Time, randomness, task and outputs of a run.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub values: Values,
    pub out: Outputs,
    reads: u64,
    randoms: u64,
    /// Timers that programs have initialised: name of the map, whether armed. Numbers start at 1.
    timers: Vec<(String, bool)>,
}

impl World {
    pub fn new(values: Values) -> Self {
        Self { values, ..Self::default() }
    }

    /// Back to the state before the first run, keeping the values.
    pub fn rewind(&mut self) {
        self.out = Outputs::default();
        self.reads = 0;
        self.randoms = 0;
    }

    pub fn ktime(&mut self) -> u64 {
        let now = self.values.ktime_ns.wrapping_add(self.reads.wrapping_mul(self.values.ktime_step));
        self.reads += 1;
        now
    }

    /// Recorded values first, then splitmix64 of the seed.
    pub fn random(&mut self) -> u32 {
        let n = self.randoms;
        self.randoms += 1;
        if let Some(&r) = usize::try_from(n).ok().and_then(|n| self.values.random.get(n)) {
            return r;
        }
        let mut z = self.values.seed.wrapping_add((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 32) as u32
    }

    /// A byte of the simulated process' memory.
    pub(crate) fn user_byte(&self, addr: u64) -> Option<u8> {
        self.values
            .user_memory
            .iter()
            .find_map(|(start, bytes)| bytes.get(usize::try_from(addr.checked_sub(*start)?).ok()?).copied())
    }

    pub(crate) fn add_timer(&mut self, map: String) -> u64 {
        self.timers.push((map, false));
        self.timers.len() as u64
    }

    fn timer(&mut self, number: u64) -> Option<&mut (String, bool)> {
        self.timers.get_mut(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// The name of its map.
    pub(crate) fn arm_timer(&mut self, number: u64) -> String {
        self.timer(number).map_or_else(String::new, |t| {
            t.1 = true;
            t.0.clone()
        })
    }

    /// Whether it was armed.
    pub(crate) fn disarm_timer(&mut self, number: u64) -> bool {
        self.timer(number).is_some_and(|t| std::mem::take(&mut t.1))
    }

    /// The CPU, always below `nr_cpus`.
    pub fn cpu(&self) -> u32 {
        self.values.cpu.min(self.values.nr_cpus.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_give_equal_worlds() {
        let values = Values { random: vec![7, 8], ..Values::default() };
        let (mut a, mut b) = (World::new(values.clone()), World::new(values));
        let left: Vec<u64> = (0..8).map(|_| a.ktime() ^ u64::from(a.random())).collect();
        let right: Vec<u64> = (0..8).map(|_| b.ktime() ^ u64::from(b.random())).collect();
        assert_eq!(left, right);
        a.rewind();
        assert_eq!(a.random(), 7);
        assert_eq!(a.ktime(), 1_000_000_000);
    }
}
