//! Helper functions by number. One file per family; this file is only the table. Rule: a helper that is not in the table is a fault that names it.

use crate::fault::Fault;
use crate::run::Run;

/// A helper or kfunc: r1..r5 in, r0 out.
pub type HelperFn = fn(&mut Run<'_>, [u64; 5]) -> Result<u64, Fault>;

/// A helper that can be called.
#[derive(Clone, Copy, Debug)]
pub struct Helper {
    pub name: &'static str,
    pub function: HelperFn,
}

/// The helper with this number, if it is modelled.
pub fn by_id(_id: u32) -> Option<Helper> {
    None
}

/// Words for a helper that is not modelled.
pub fn missing(id: u32) -> String {
    match spec::helper::by_id(id) {
        Some(h) => format!("helper bpf_{}#{id}", h.name),
        None => format!("helper #{id}, which no kernel has"),
    }
}
