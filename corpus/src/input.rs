//! What a program is run on, described so that a person can read it: the values of arguments, registers and record fields, and the
//! task in whose name the program runs. Laying them out in memory is the engines' work.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A value of an argument, register or field.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Value {
    Int(i64),
    Memory(Memory),
}

/// A value that is more than a number.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// Pointer to NUL-terminated text in user memory.
    UserText(String),
    /// Pointer to NUL-terminated text in kernel memory.
    KernelText(String),
    /// Pointer to a byte literal in user memory.
    UserBytes(String),
    /// Pointer to a byte literal in kernel memory.
    KernelBytes(String),
    /// Text in place, as in `task_struct.comm`.
    InlineText(String),
    /// A byte literal in place.
    InlineBytes(String),
    /// Pointer to a kernel object laid out by the kernel's BTF; what is not named is zero.
    Struct(Struct),
}

/// A kernel object: `{ type = "file", fields = { "f_inode" = { struct = ... }, "f_flags" = 2 } }`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Struct {
    #[serde(rename = "type")]
    pub ty: String,
    /// Member path (`f_path.dentry`) to value.
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
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
