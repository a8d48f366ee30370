//! Everything around a run that is not its program: time, randomness, the current task, CPUs, and what the program sent out. Seeded, so that two
//! runs with equal input are equal; every value can be set. Not here: maps (`map`), packets and contexts (`ctx`).

use serde::{Deserialize, Serialize};

pub use scenario::world::{Sysctl, Task, Values};

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
