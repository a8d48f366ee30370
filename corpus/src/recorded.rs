//! What a real kernel said about an object: verdicts, messages, counters, logs, and the outcome of each run. Written by
//! `cargo xtask corpus record`, read wherever no kernel is at hand. Only the format lives here; comparing is kernel-diff's work.

use serde::{Deserialize, Serialize};

/// Version of the format, for readers of files that outlive this code.
pub const SCHEMA: u32 = 1;

/// Logs longer than this are kept as their hash alone.
pub const MAX_LOG: usize = 64 << 10;

/// `<object>.recorded.json`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    pub schema: u32,
    pub kernel: Kernel,
    /// `hash` of the object, so that a recording cannot outlive what it was made from.
    pub object_hash: String,
    /// In the manifest's order.
    pub programs: Vec<Program>,
    pub runs: Vec<Run>,
}

/// Where the answers come from.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    pub arch: String,
    /// `host` or `qemu`.
    pub via: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Program {
    pub name: String,
    #[serde(flatten)]
    pub outcome: Verdict,
    /// The kernel that answered, where it is not the file's: some types load on no recording host but in a guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Kernel>,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    Accept {
        stats: Stats,
        /// Absent when it did not fit the recorder's buffer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<Log>,
    },
    Reject {
        /// As the kernel returns it: `-13`.
        errno: i32,
        /// The error lines: those of the level-1 log that follow the last line of state or code.
        message: Vec<String>,
        /// Absent when the kernel refused before walking the program.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stats: Option<Stats>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<Log>,
    },
    /// The kernel gave no verdict on the program itself.
    NotComparable { why: String },
}

/// The last line of the log and the stack depth.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Stats {
    pub insns_processed: u64,
    pub max_states_per_insn: u64,
    pub total_states: u64,
    pub peak_states: u64,
    /// Per subprogram, as in the `stack depth 8+16` line of log level 4; absent when the kernel printed none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_depth: Option<String>,
}

/// The level-2 log with kernel addresses masked as `0xADDR`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub lines: usize,
    pub hash: String,
    /// Absent when longer than `MAX_LOG`. A list of lines in the file, so that versions can be compared by line.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "as_lines")]
    pub text: Option<String>,
}

mod as_lines {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(text: &Option<String>, s: S) -> Result<S::Ok, S::Error> {
        text.as_ref().map(|t| t.split('\n').collect::<Vec<_>>()).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
        Ok(Option::<Vec<String>>::deserialize(d)?.map(|lines| lines.join("\n")))
    }
}

impl Log {
    /// `raw` is what the kernel wrote, cut at the first NUL.
    pub fn new(raw: &str) -> Log {
        let text = mask_addresses(raw);
        Log { lines: text.lines().count(), hash: hash(text.as_bytes()), text: (text.len() <= MAX_LOG).then_some(text) }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Run {
    pub name: String,
    #[serde(flatten)]
    pub outcome: RunOutcome,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RunOutcome {
    Ran {
        steps: Vec<Step>,
        /// Every readable map of the object after the last step, in the object's order.
        maps: Vec<Map>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        events: Vec<Event>,
    },
    NotComparable {
        why: String,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub returns: u32,
    /// Hex; absent for programs without a packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packet_out: Option<String>,
    /// Hex of the context afterwards: `__sk_buff`, flow keys, the memory of a `syscall` program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctx_out: Option<String>,
}

/// A map's contents in canonical order: by key bytes, queues and stacks as they pop with empty keys. Array elements that are all zero
/// are left out. Global variables are called `.data` and `.bss`; `.rodata` and maps that user space cannot read back (buffers, program
/// arrays, devices, maps of maps) are not recorded.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Map {
    pub name: String,
    pub entries: Vec<Element>,
}

/// Hex on both sides. For a per-CPU map there is one value per CPU that has a non-zero one: which CPU it was is no result.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
pub struct Element {
    pub key: String,
    pub values: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Event {
    pub map: String,
    pub data: String,
}

impl Recorded {
    pub fn parse(json: &[u8]) -> Result<Recorded, String> {
        let recorded: Recorded = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        if recorded.schema != SCHEMA {
            return Err(format!("schema {} is not the supported {SCHEMA}", recorded.schema));
        }
        Ok(recorded)
    }

    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|s| s + "\n")
    }
}

/// FNV-1a, 64 bits, as 16 hex digits: tells files apart, protects nothing.
pub fn hash(bytes: &[u8]) -> String {
    let h = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    format!("{h:016x}")
}

/// Replaces kernel addresses, which differ from boot to boot, by `0xADDR`: the immediates of `lddw` (`(18) r1 = 0xff...`, sixteen
/// digits) and nothing else, because a scalar's bounds may look alike.
pub fn mask_addresses(log: &str) -> String {
    let mut out = String::with_capacity(log.len());
    for line in log.split_inclusive('\n') {
        match line.find("(18) r").and_then(|at| line[at..].find("= 0xff").map(|i| at + i + 2)) {
            Some(at) if line[at + 2..].bytes().take_while(u8::is_ascii_hexdigit).count() == 16 => {
                out.push_str(&line[..at]);
                out.push_str("0xADDR");
                out.push_str(&line[at + 18..]);
            }
            _ => out.push_str(line),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_masked_and_numbers_are_not() {
        assert_eq!(mask_addresses("3: (18) r1 = 0xffff888100000000 ; x\n4"), "3: (18) r1 = 0xADDR ; x\n4");
        assert_eq!(mask_addresses("3: (18) r1 = 0xff1e864d41ebd400"), "3: (18) r1 = 0xADDR");
        for same in [
            "R1=scalar(umin=0xffffffff80000000)",
            "0: (18) r1 = 0xffff",
            "0: (18) r1 = 0xffffffff00 ; é",
            "0: (18) r1 = 0xff",
        ] {
            assert_eq!(mask_addresses(same), same);
        }
    }

    #[test]
    fn a_recording_survives_the_trip_through_json() {
        let recorded = Recorded {
            schema: SCHEMA,
            kernel: Kernel { release: "6.18.44".into(), arch: "x86_64".into(), via: "host".into() },
            object_hash: hash(b"x"),
            programs: vec![
                Program {
                    name: "a".into(),
                    outcome: Verdict::Reject {
                        errno: -13,
                        message: vec!["R1 !read_ok".into()],
                        stats: None,
                        log: Some(Log::new("0: (95) exit\nR1 !read_ok\n\n")),
                    },
                    kernel: None,
                },
                Program { name: "b".into(), outcome: Verdict::NotComparable { why: "EPERM".into() }, kernel: None },
            ],
            runs: vec![Run {
                name: "r".into(),
                outcome: RunOutcome::Ran {
                    steps: vec![Step { returns: 2, packet_out: Some("00".into()), ctx_out: None }],
                    maps: vec![],
                    events: vec![],
                },
            }],
        };
        let json = recorded.to_json().unwrap();
        assert_eq!(Recorded::parse(json.as_bytes()).unwrap(), recorded);
        assert!(Recorded::parse(json.replace("\"schema\": 1", "\"schema\": 2").as_bytes()).is_err());
    }
}
