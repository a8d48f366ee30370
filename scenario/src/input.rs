//! An input: everything that decides what a run does, with every text resolved into bytes. Not here: the language that people write it in
//! (`step`), and turning it into memory (`runtime`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::literal;
pub use crate::trigger::Trigger;
use crate::world::Values;

/// Bytes, written as hex (`"de ad be ef"`, `"0xdeadbeef"`), as a literal (`"be16:53 ip:10.0.0.1"`, see `literal`), as a list of numbers, or
/// `{text = "..."}`, `{u32 = 5}`, `{u64 = 5}`, `{zero = 16}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blob(pub Vec<u8>);

impl Blob {
    /// Parses hex digits; white space, `:`, `_` and a leading `0x` are skipped.
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix("0x").unwrap_or(text);
        let digits: Vec<u32> = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != ':' && *c != '_')
            .map(|c| c.to_digit(16))
            .collect::<Option<_>>()?;
        let pairs = digits.chunks_exact(2);
        pairs.remainder().is_empty().then(|| Self(digits.chunks_exact(2).map(|p| (p[0] << 4 | p[1]) as u8).collect()))
    }

    pub fn to_hex(&self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }
}

impl JsonSchema for Blob {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Bytes: hex digits, a literal such as \"be16:53 ip:10.0.0.1 zero:4\", a list of numbers, or a table with text, u16, u32, u64, zero",
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "integer", "minimum": 0, "maximum": 255 } },
                {
                    "type": "object",
                    "properties": {
                        "text": { "type": "string" },
                        "u16": { "type": "integer" },
                        "u32": { "type": "integer" },
                        "u64": { "type": "integer" },
                        "zero": { "type": "integer" },
                    },
                    "additionalProperties": false,
                },
            ],
        })
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct BlobVisitor;
        impl<'de> Visitor<'de> for BlobVisitor {
            type Value = Blob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "bytes: hex digits, a literal like `be16:53 zero:4`, a list of numbers, or a table with one of text, u16, u32, u64, zero",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Blob, E> {
                match Blob::from_hex(text) {
                    Some(bytes) => Ok(bytes),
                    None => literal::parse(text).map(Blob).map_err(E::custom),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Blob, A::Error> {
                let mut out = Vec::new();
                while let Some(b) = seq.next_element()? {
                    out.push(b);
                }
                Ok(Blob(out))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Blob, A::Error> {
                let mut out = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "text" => out.extend(map.next_value::<String>()?.into_bytes()),
                        "u16" => out.extend(map.next_value::<u16>()?.to_le_bytes()),
                        "u32" => out.extend(map.next_value::<u32>()?.to_le_bytes()),
                        "u64" => out.extend(map.next_value::<u64>()?.to_le_bytes()),
                        "zero" => {
                            let n = map.next_value::<usize>()?;
                            if n > 1 << 24 {
                                return Err(de::Error::custom("more than 16 MiB of zeroes"));
                            }
                            out.resize(out.len() + n, 0);
                        }
                        other => return Err(de::Error::unknown_field(other, &["text", "u16", "u32", "u64", "zero"])),
                    }
                }
                Ok(Blob(out))
            }
        }
        d.deserialize_any(BlobVisitor)
    }
}

/// A value of a context field or kernel object member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FieldValue {
    Bool(bool),
    Int(i64),
    UInt(u64),
    Text(String),
    List(Vec<u64>),
}

impl FieldValue {
    /// As a number, if it is one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Bool(b) => Some(u64::from(*b)),
            Self::Int(n) => Some(*n as u64),
            Self::UInt(n) => Some(*n),
            _ => None,
        }
    }
}

/// An argument of a tracing program: a number, or a pointer to a kernel object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Argument {
    Number(i64),
    /// `{struct = "file", fields = {"f_path.dentry.d_name.name" = "secret"}}`: laid out from the kernel's BTF, pointers followed and made on the
    /// way, everything else zero.
    Object {
        #[serde(rename = "struct")]
        struct_name: String,
        #[serde(default)]
        fields: BTreeMap<String, FieldValue>,
    },
    /// A pointer to a string.
    Text(String),
    /// A pointer to these bytes.
    Memory {
        bytes: Blob,
    },
    /// A pointer to text in user memory: `{user = "/etc/passwd"}`. A number once a step has become an input.
    User {
        user: String,
    },
}

/// Contents of a map before the run: one element (`map`, `key`, `value`) or several (`map`, `entries`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written")]
pub struct MapPreset {
    pub map: String,
    pub entries: Vec<Entry>,
    /// Open a reader on every CPU of a perf event array.
    pub readers: bool,
    /// Samples for a user ring buffer.
    pub samples: Vec<Blob>,
}

/// A preset as people write it.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Written {
    map: String,
    key: Option<Blob>,
    value: Option<Blob>,
    slot: Option<String>,
    entries: Vec<Entry>,
    readers: bool,
    samples: Vec<Blob>,
}

impl From<Written> for MapPreset {
    fn from(written: Written) -> Self {
        let Written { map, key, value, slot, mut entries, readers, samples } = written;
        if key.is_some() || value.is_some() || slot.is_some() {
            entries.push(Entry { key: key.unwrap_or_default(), value: value.unwrap_or_default(), slot });
        }
        Self { map, entries, readers, samples }
    }
}

/// One element: value as BPF_MAP_UPDATE_ELEM takes it; a per-cpu map also takes one CPU's value, which then stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    pub key: Blob,
    pub value: Blob,
    /// Map in map: name of the inner map. Prog array: name of the program.
    pub slot: Option<String>,
}

/// One input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Input {
    /// The packet, from the Ethernet header on, as BPF_PROG_TEST_RUN takes it.
    pub packet: Blob,
    /// XDP metadata in front of the packet.
    pub meta: Blob,
    /// Fields of the context struct by their UAPI names.
    pub ctx: BTreeMap<String, FieldValue>,
    /// Arguments of raw tracepoint, fentry, LSM, ... programs.
    pub args: Vec<Argument>,
    /// `pt_regs` of a kprobe by x86-64 name without the leading letter: `di`, `si`, `ax`, `r8`, `ip`, `sp`, ...
    pub regs: BTreeMap<String, Argument>,
    /// The context as bytes: a tracepoint's record, a syscall program's argument.
    pub record: Blob,
    pub maps: Vec<MapPreset>,
    /// What makes the program run where a kernel has it attached; the context is then the kernel's, not this input's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    pub world: Values,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_all_their_spellings() {
        for (text, expected) in [
            (r#""de ad:be_ef""#, &[0xde, 0xad, 0xbe, 0xef][..]),
            (r#""0x01""#, &[1]),
            ("[1, 2]", &[1, 2]),
            (r#"{"text": "ab"}"#, b"ab"),
            (r#"{"u32": 5}"#, &[5, 0, 0, 0]),
            (r#"{"u16": 258, "zero": 2}"#, &[2, 1, 0, 0]),
        ] {
            assert_eq!(serde_json::from_str::<Blob>(text).expect(text).0, expected, "{text}");
        }
        for text in [r#""abc""#, r#""xy""#, r#"{"u8": 1}"#, "[300]", "7"] {
            assert!(serde_json::from_str::<Blob>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_input_survives_writing_and_reading() {
        let text = r#"{"packet": "0102", "ctx": {"mark": 7, "cb": [1, 2]}, "args": [5, "x", {"struct": "file", "fields": {"f_flags": 1}}],
            "maps": [{"map": "m", "entries": [{"key": {"u32": 1}, "value": "ff"}]}], "world": {"cpu": 1, "task": {"comm": "sh"}}}"#;
        let input: Input = serde_json::from_str(text).expect("an input");
        assert_eq!(input.world.task.comm, "sh");
        assert_eq!(input.args[0], Argument::Number(5));
        assert!(matches!(&input.args[2], Argument::Object { struct_name, .. } if struct_name == "file"));
        let again: Input = serde_json::from_str(&serde_json::to_string(&input).expect("writes")).expect("reads");
        assert_eq!(again, input);
        assert!(serde_json::from_str::<Input>(r#"{"pakcet": ""}"#).is_err());
    }
}
