//! What a program is run on, described so that a person can read it: the values of arguments and registers, and the task in whose name the
//! program runs. Laying kernel objects out in memory is the engines' work.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A value of an argument or register.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged, deny_unknown_fields)]
pub enum Value {
    Int(i64),
    /// Pointer to NUL-terminated text in kernel memory.
    Text(String),
    /// Pointer to NUL-terminated text in user memory: `{ user = "/etc/passwd" }`. An address when the manifest has been read.
    User {
        user: String,
    },
    /// Pointer to a byte literal in kernel memory: `{ bytes = "u16:2 be16:443" }`.
    Bytes {
        bytes: String,
    },
    /// Pointer to a kernel object laid out by the kernel's BTF: `{ struct = "file", fields = { "f_path.dentry.d_name.name" = "secret" } }`.
    /// Paths follow pointers; what is not named is zero.
    Object {
        #[serde(rename = "struct")]
        ty: String,
        #[serde(default)]
        fields: BTreeMap<String, Field>,
    },
}

/// A value of a member.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Field {
    Int(i64),
    /// Text: in place for an array of characters, else pointed to.
    Text(String),
}

/// The current task as helpers report it. What is not given is the engine's default.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Task {
    pub pid: Option<u32>,
    pub tgid: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub comm: Option<String>,
}

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
