//! The manifests: `packets.toml` at the root names packets, `corpus.toml` in each folder lists objects, their programs and runs, with
//! what the author expects. What a kernel said is in `recorded.rs`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::input::{Task, UserMemory, Value};
use crate::{Error, Files, literal};

/// One `[[object]]`: `<name>.bpf.c`, `<name>.bpf.o` and `<name>.recorded.json` of the manifest's folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    pub name: String,
    /// One line: what it shows and why it is here.
    pub shows: String,
    pub programs: Vec<Program>,
    #[serde(default, rename = "run")]
    pub runs: Vec<Run>,
    /// Maps whose contents depend on time or chance; they are neither recorded nor compared.
    #[serde(default)]
    pub unstable: Vec<String>,
}

/// What the author expects of one program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    pub name: String,
    pub verdict: Expected,
    /// Part of the kernel's message; required of a rejected program.
    #[serde(default)]
    pub message: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    Accept,
    Reject,
}

/// A scenario: fresh maps, presets, then steps one after the other on the same maps.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub name: String,
    /// Elements put into maps before the first step.
    #[serde(default)]
    pub maps: Vec<MapElement>,
    pub steps: Vec<Step>,
    /// Elements that must be there after the last step; `value` absent means that the key must be missing.
    #[serde(default)]
    pub after: Vec<MapElement>,
    /// Records that must have come out of perf and ring buffers, in order.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Why a kernel cannot answer this run by `BPF_PROG_TEST_RUN`, where that is known beforehand.
    #[serde(default)]
    pub user_space_only: Option<String>,
}

/// One execution.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub program: String,
    /// A name from `packets.toml` or a byte literal. Becomes bytes when the manifest is read.
    #[serde(default)]
    pub packet: Option<Packet>,
    /// Fields of the context structure (`xdp_md`, `__sk_buff`, `bpf_sock_addr`, ...) by name; the rest are zero.
    #[serde(default)]
    pub ctx: BTreeMap<String, i64>,
    /// The context as bytes, where it has no named fields: a tracepoint's record, the memory of a `syscall` program. A literal in which
    /// `user:` stands for a pointer to text.
    #[serde(default)]
    pub record: Option<Packet>,
    /// Arguments of raw tracepoints, LSM hooks and fentry, in order.
    #[serde(default)]
    pub args: Vec<Value>,
    /// `pt_regs` by x86-64 name without the leading letter: `di`, `si`, `dx`, `cx`, `r8`, `r9`, `ax`, `sp`, `ip`.
    #[serde(default)]
    pub regs: BTreeMap<String, Value>,
    #[serde(default)]
    pub task: Task,
    /// Value of the monotonic clock, for programs whose result depends on it.
    #[serde(default)]
    pub time_ns: Option<u64>,
    /// Return value, compared as 32 bits.
    pub returns: i64,
    /// Packet afterwards; absent means that nobody expects anything.
    #[serde(default)]
    pub packet_out: Option<Packet>,
    /// The record afterwards, likewise.
    #[serde(default, with = "optional_bytes")]
    pub record_out: Option<Vec<u8>>,
    /// What the `user:` items of the record and the `{ user = ... }` values point to; filled when the manifest is read.
    #[serde(skip)]
    pub user_memory: UserMemory,
}

/// Bytes of a packet.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(from = "String")]
pub struct Packet {
    /// As written.
    pub text: String,
    pub bytes: Vec<u8>,
}

impl From<String> for Packet {
    fn from(text: String) -> Self {
        Packet { text, bytes: Vec::new() }
    }
}

/// An element of a map; for a per-CPU map the value of the CPU that runs the program.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct MapElement {
    pub map: String,
    #[serde(with = "bytes")]
    pub key: Vec<u8>,
    #[serde(default, with = "optional_bytes")]
    pub value: Option<Vec<u8>>,
    /// The slot of a program array is filled with this program of the object, of a map-in-map with this map.
    #[serde(default)]
    pub slot: Option<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Event {
    pub map: String,
    #[serde(with = "bytes")]
    pub data: Vec<u8>,
}

mod bytes {
    use serde::{Deserialize, Deserializer, de::Error as _};

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        crate::literal::parse(&String::deserialize(d)?).map_err(D::Error::custom)
    }
}

mod optional_bytes {
    use serde::Deserializer;

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<u8>>, D::Error> {
        super::bytes::deserialize(d).map(Some)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    object: Vec<Object>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedPacket {
    #[serde(rename = "about")]
    _about: String,
    #[serde(with = "bytes")]
    bytes: Vec<u8>,
}

pub(crate) type Packets = BTreeMap<String, Vec<u8>>;

pub(crate) fn packets(files: &Files) -> Result<Packets, Error> {
    let path = "packets.toml";
    let named: BTreeMap<String, NamedPacket> =
        toml::from_str(files.text(path)?).map_err(|e| Error::content(path, e))?;
    Ok(named.into_iter().map(|(name, p)| (name, p.bytes)).collect())
}

/// The objects of one manifest, with packet names replaced by their bytes and mistakes of the author refused.
pub(crate) fn objects(files: &Files, path: &str, packets: &Packets) -> Result<Vec<Object>, Error> {
    let manifest: Manifest = toml::from_str(files.text(path)?).map_err(|e| Error::content(path, e))?;
    let mut objects = manifest.object;
    for object in &mut objects {
        resolve(object, packets).map_err(|what| Error::content(path, format!("{}: {what}", object.name)))?;
    }
    Ok(objects)
}

fn resolve(object: &mut Object, packets: &Packets) -> Result<(), String> {
    for program in &object.programs {
        if program.verdict == Expected::Reject && program.message.is_none() {
            return Err(format!("rejected program `{}` has no message", program.name));
        }
    }
    for run in &mut object.runs {
        for step in &mut run.steps {
            if !object.programs.iter().any(|p| p.name == step.program) {
                return Err(format!("run `{}`: no program `{}`", run.name, step.program));
            }
            for packet in step.packet.iter_mut().chain(&mut step.packet_out) {
                packet.bytes = match packets.get(&packet.text) {
                    Some(bytes) => bytes.clone(),
                    None => literal::parse(&packet.text)?,
                };
            }
            if let Some(record) = &mut step.record {
                record.bytes = literal::parse_with_user(&record.text, &mut step.user_memory)?;
            }
            for value in step.args.iter_mut().chain(step.regs.values_mut()) {
                if let Value::User { user } = value {
                    *value = Value::Int(step.user_memory.put(user).cast_signed());
                }
            }
        }
    }
    Ok(())
}
