//! What makes an attached program run on a real kernel: a system call by a task that the step describes. User space takes the context
//! that the step gives instead. How a kernel is made to do it is not here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::input::Argument;

/// A system call, with what must be there before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Trigger {
    /// `none`: the call of the step before ran this program, too. Else its name: `openat`, `execve`, `unlinkat`, `connect`, `socket`, `mkdirat`, `fsync`, ...
    pub call: String,
    /// Its arguments. A text is the address of that text, bytes are the address of those; a `socket` goes in front of them.
    pub args: Vec<Argument>,
    /// The first argument is a new IPv4 socket of this kind: `tcp`, `udp` or `raw`.
    pub socket: Option<String>,
    /// Files that must be there, empty and readable for all.
    pub files: Vec<String>,
    /// Programs that must be there.
    pub programs: Vec<String>,
}
