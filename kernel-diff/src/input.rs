//! What a run gets and what it leaves behind, as plain bytes, the same for every engine.

/// Input of one run. Absent parts are left to the engine's default (no packet, zeroed context).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Packet bytes.
    pub data: Option<Vec<u8>>,
    /// Context bytes as user space sees them: `xdp_md`, `__sk_buff`, raw tracepoint arguments, ...
    pub ctx: Option<Vec<u8>>,
    /// How often to run; 0 counts as 1.
    pub repeat: u32,
    /// Entries to put into maps before the run.
    pub maps: Vec<MapEntry>,
}

/// One entry of one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapEntry {
    /// Index into `Program::maps`.
    pub map: usize,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// What a run left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    pub retval: u32,
    /// The packet afterwards, where the engine and program type give one.
    pub data: Option<Vec<u8>>,
    /// The context afterwards, likewise.
    pub ctx: Option<Vec<u8>>,
    /// Records sent through ring buffers and perf event arrays, in order.
    pub events: Vec<Event>,
    /// Mean nanoseconds a run, as the engine measures them.
    pub duration_ns: u64,
}

/// A record that reached user space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub map: usize,
    pub data: Vec<u8>,
}

/// Contents of a map; entries are sorted by key (queues and stacks: in the order they pop, with empty keys). A per-CPU value is
/// the concatenation of all CPUs' values, each rounded up to 8 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapDump {
    pub name: String,
    /// `None`: the contents cannot be read (ring buffers, sockets, ...).
    pub entries: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    pub per_cpu: bool,
}
