//! What a run leaves behind, as plain bytes, the same for every engine. What it gets is [`runtime::Input`].

use serde::{Deserialize, Serialize};

/// What a run left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub retval: u32,
    /// The engine does not learn what the program returned: it was attached, and the kernel took the value.
    pub silent: bool,
    /// The packet afterwards, where the engine and program type give one.
    pub data: Option<Vec<u8>>,
    /// The context afterwards, likewise.
    pub ctx: Option<Vec<u8>>,
    /// Records sent through ring buffers and perf event arrays, in order.
    pub events: Vec<Event>,
    /// Lines of `bpf_printk`, where the engine catches them.
    pub trace: Vec<String>,
    /// Mean nanoseconds a run, as the engine measures them.
    pub duration_ns: u64,
}

/// A record that reached user space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Name of the map.
    pub map: String,
    pub data: Vec<u8>,
}

/// Contents of a map; entries are sorted by key (queues and stacks: in the order they pop, with empty keys). A per-CPU value is
/// the concatenation of all CPUs' values, each rounded up to 8 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapDump {
    pub name: String,
    /// `None`: the contents cannot be read (ring buffers, sockets, ...).
    pub entries: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    pub per_cpu: bool,
}
