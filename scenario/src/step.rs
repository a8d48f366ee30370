//! A scenario as people write it: maps, then steps one after the other on the same maps, then what must be left. A step is one execution:
//! what the program gets and, where somebody expects something, what it returns and leaves behind.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::input::{Argument, Blob, FieldValue, Input, MapPreset};
use crate::literal;
use crate::trigger::Trigger;
use crate::world::Values;

/// Fresh maps, presets, steps.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    #[serde(default)]
    pub name: String,
    /// Elements put into maps before the first step.
    #[serde(default)]
    pub maps: Vec<MapPreset>,
    #[serde(alias = "step")]
    pub steps: Vec<Step>,
    /// Elements that must be there after the last step.
    #[serde(default)]
    pub after: Vec<Element>,
    /// Records that must have come out of perf and ring buffers, in order.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Why a kernel cannot answer this by `BPF_PROG_TEST_RUN`, where that is known beforehand.
    #[serde(default)]
    pub user_space_only: Option<String>,
}

/// One execution. What is not said is zero, empty or the world's default, and nobody expects anything of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// What a test of one step is called.
    pub name: String,
    /// The program, where the object has several.
    pub program: Option<String>,
    /// The packet, from the Ethernet header on: a name or bytes.
    pub packet: Option<Bytes>,
    /// XDP metadata in front of the packet.
    pub meta: Blob,
    /// Fields of the context structure (`xdp_md`, `__sk_buff`, `bpf_sock_addr`, ...) by name.
    pub ctx: BTreeMap<String, FieldValue>,
    /// Arguments of raw tracepoints, LSM hooks and fentry, in order.
    pub args: Vec<Argument>,
    /// `pt_regs` by x86-64 name without the leading letter: `di`, `si`, `dx`, `cx`, `r8`, `r9`, `ax`, `sp`, `ip`.
    pub regs: BTreeMap<String, Argument>,
    /// The context as bytes: a tracepoint's record, the memory of a `syscall` program. In a literal `user:/etc/passwd` is a pointer to that
    /// text in user memory.
    pub record: Option<Bytes>,
    /// What makes the program run where a kernel has it attached.
    pub trigger: Option<Trigger>,
    /// Elements put into maps before this step.
    pub maps: Vec<MapPreset>,
    pub world: Values,
    /// Parts of `world.task`.
    pub task: Task,
    /// The monotonic clock, standing still.
    pub time_ns: Option<u64>,
    /// Return value, compared as 32 bits.
    pub returns: Option<i64>,
    /// Packet afterwards.
    pub packet_out: Option<Bytes>,
    /// The record afterwards.
    pub record_out: Option<Blob>,
    /// In a file with one step: elements that must be in the maps afterwards.
    pub after: Vec<Element>,
    /// In a file with one step: records that must have come out of perf and ring buffers.
    pub events: Vec<Event>,
}

/// The task in whose name the program runs; what is not given is the world's.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Task {
    pub pid: Option<u32>,
    pub tgid: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub comm: Option<String>,
}

/// Bytes that may be written as a name; [`Scenario::resolve`] puts the bytes in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Bytes {
    /// A name, a literal or hex digits, as written.
    Text(String),
    /// Known bytes.
    Known(Blob),
    /// Nothing.
    #[default]
    #[serde(skip)]
    Empty,
}

/// An element of a map; for a per-CPU map the value of the CPU that runs the program. Without a value: the key must be missing.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Element {
    pub map: String,
    pub key: Blob,
    #[serde(default)]
    pub value: Option<Blob>,
}

/// A record that came out of a perf or ring buffer.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    pub map: String,
    pub data: Blob,
}

/// Names that stand for packets.
pub type Names = BTreeMap<String, Vec<u8>>;

/// Texts in user memory, each on a page of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserMemory(pub Vec<(u64, Vec<u8>)>);

impl UserMemory {
    /// Where the first text lies: an address that user space can have.
    const BASE: u64 = 0x7f00_0000_0000;

    /// Puts a text, with a NUL, and returns its address.
    pub fn put(&mut self, text: &str) -> u64 {
        let address = Self::BASE + 0x10_0000 * self.0.len() as u64;
        self.0.push((address, [text.as_bytes(), &[0]].concat()));
        address
    }
}

impl Bytes {
    /// The bytes; empty for a text that was never resolved.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Bytes::Known(blob) => &blob.0,
            Bytes::Text(_) | Bytes::Empty => &[],
        }
    }

    fn resolve(&mut self, names: &Names, memory: &mut UserMemory) -> Result<(), String> {
        if let Bytes::Text(text) = self {
            let bytes = match names.get(text.trim()) {
                Some(bytes) => bytes.clone(),
                None => match Blob::from_hex(text) {
                    Some(blob) => blob.0,
                    None => literal::parse_with_user(text, memory)?,
                },
            };
            *self = Bytes::Known(Blob(bytes));
        }
        Ok(())
    }
}

impl Step {
    /// Names and literals become bytes, texts for user memory are laid out there.
    pub fn resolve(&mut self, names: &Names) -> Result<(), String> {
        let mut memory = UserMemory::default();
        for bytes in self.packet.iter_mut().chain(&mut self.packet_out).chain(&mut self.record) {
            bytes.resolve(names, &mut memory)?;
        }
        for value in self.args.iter_mut().chain(self.regs.values_mut()) {
            if let Argument::User { user } = value {
                *value = Argument::Number(memory.put(user).cast_signed());
            }
        }
        self.world.user_memory.append(&mut memory.0);
        Ok(())
    }

    /// What the program gets. The step is resolved.
    pub fn input(&self) -> Input {
        let mut world = self.world.clone();
        if let Some(ns) = self.time_ns {
            world.ktime_ns = ns;
            world.ktime_step = 0;
        }
        let Task { pid, tgid, uid, gid, comm } = &self.task;
        world.task.pid = pid.unwrap_or(world.task.pid);
        world.task.tgid = tgid.unwrap_or(world.task.tgid);
        world.task.uid = uid.unwrap_or(world.task.uid);
        world.task.gid = gid.unwrap_or(world.task.gid);
        if let Some(comm) = comm {
            world.task.comm.clone_from(comm);
        }
        let bytes = |b: &Option<Bytes>| Blob(b.as_ref().map_or_else(Vec::new, |b| b.bytes().to_vec()));
        Input {
            packet: bytes(&self.packet),
            meta: self.meta.clone(),
            ctx: self.ctx.clone(),
            args: self.args.clone(),
            regs: self.regs.clone(),
            record: bytes(&self.record),
            maps: self.maps.clone(),
            trigger: self.trigger.clone(),
            world,
        }
    }

    /// Whether anything is expected of it.
    pub fn expects(&self) -> bool {
        let Step { returns, packet_out, record_out, after, events, .. } = self;
        returns.is_some() || packet_out.is_some() || record_out.is_some() || !after.is_empty() || !events.is_empty()
    }
}

impl Scenario {
    /// Of one step, whose expectations of maps and events are the scenario's.
    pub fn of(mut step: Step) -> Scenario {
        let (after, events) = (std::mem::take(&mut step.after), std::mem::take(&mut step.events));
        Scenario { name: std::mem::take(&mut step.name), steps: vec![step], after, events, ..Scenario::default() }
    }

    /// Resolves every step; an error names the step, counted from 1.
    pub fn resolve(&mut self, names: &Names) -> Result<(), String> {
        for (n, step) in self.steps.iter_mut().enumerate() {
            step.resolve(names).map_err(|what| format!("step {}: {what}", n + 1))?;
            if !step.after.is_empty() || !step.events.is_empty() {
                return Err(format!("step {}: `after` and `events` belong behind the last step", n + 1));
            }
        }
        Ok(())
    }

    /// Whether anything is expected.
    pub fn expects(&self) -> bool {
        !self.after.is_empty() || !self.events.is_empty() || self.steps.iter().any(Step::expects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> Step {
        let mut step: Step = toml::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        step.resolve(&Names::from([("one".to_owned(), vec![1])])).unwrap_or_else(|e| panic!("{text}: {e}"));
        step
    }

    #[test]
    fn bytes_may_be_names_literals_digits_or_tables() {
        for (text, bytes) in [
            ("packet = 'one'", &[1][..]),
            ("packet = 'u16:2 be16:3'", &[2, 0, 0, 3]),
            ("packet = 'de ad'", &[0xde, 0xad]),
            ("packet = [1, 2]", &[1, 2]),
            ("packet = { zero = 2 }", &[0, 0]),
        ] {
            assert_eq!(step(text).input().packet.0, bytes, "{text}");
        }
    }

    #[test]
    fn the_task_is_laid_over_the_world() {
        let input = step("task = { uid = 5 }\nworld = { cpu = 1, task = { comm = 'sh' } }\ntime_ns = 9").input();
        assert_eq!((input.world.task.uid, input.world.task.comm.as_str(), input.world.cpu), (5, "sh", 1));
        assert_eq!((input.world.ktime_ns, input.world.ktime_step), (9, 0));
    }

    #[test]
    fn texts_for_user_memory_become_addresses() {
        let input = step("record = 'u64:1 user:/a'\nargs = [{ user = '/b' }]").input();
        let [(a, _), (b, text)] = input.world.user_memory.as_slice() else { panic!("two texts") };
        assert_eq!(input.record.0[8..], a.to_le_bytes());
        assert_eq!(
            (input.args.as_slice(), text.as_slice()),
            ([Argument::Number(b.cast_signed())].as_slice(), &b"/b\0"[..])
        );
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        for text in ["pakcet = ''", "task = { pdi = 1 }", "maps = [{ map = 'm', kye = '' }]", "returns = 'two'"] {
            assert!(toml::from_str::<Step>(text).is_err(), "{text}");
        }
    }
}
