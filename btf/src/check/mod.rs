//! Whether the kernel would take a blob (`BPF_BTF_LOAD`, as of 6.18). Parsing is laxer: what the kernel refuses can still be read.
//!
//! Three stages, as in the kernel: the blob's layout (here), each record by itself (`record`), what records refer to
//! (`reference`). The first problem found is the kernel's. Not checked: special fields (locks, timers, kptrs) inside structs.

mod record;
mod reference;

use crate::read::u32_at;
use crate::{Btf, Kind};

/// What the kernel says about BTF that it does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub errno: i32,
    pub message: String,
}

pub(crate) const EINVAL: i32 = -22;
const E2BIG: i32 = -7;
const EEXIST: i32 = -17;
const ELOOP: i32 = -40;
const ENOTSUPP: i32 = -524;

const MAX_TYPES: u32 = 0xfffff;
const MAX_SIZE: usize = 16 << 20;

/// A refusal without a place in it yet.
pub(crate) type Problem = (i32, String);

fn invalid(message: impl Into<String>) -> Problem {
    (EINVAL, message.into())
}

impl Btf {
    /// Checks a self-contained blob as the kernel does when a program brings it.
    pub fn check_as_kernel(&self) -> Result<(), Refusal> {
        layout(self.raw()).map_err(|(errno, message)| Refusal { errno, message })?;
        if self.len() - 1 > MAX_TYPES {
            return Err(Refusal { errno: E2BIG, message: "Exceeded max num of types".into() });
        }
        let at = |id: u32| move |problem: Problem| self.refusal(id, problem);
        for id in 1..self.len() {
            record::check(self, id).map_err(at(id))?;
        }
        let mut references = reference::Resolver::new(self);
        for id in 1..self.len() {
            references.check(id).map_err(at(id))?;
        }
        for id in 1..self.len() {
            self.check_tags(id).map_err(|(errno, message)| Refusal { errno, message })?;
        }
        Ok(())
    }

    fn refusal(&self, id: u32, (errno, problem): Problem) -> Refusal {
        let kind = self.kind(id).map_or("UNKNOWN", Kind::word);
        let name = self.name(id);
        let name = if name.is_empty() { "(anon)" } else { name };
        Refusal { errno, message: format!("[{id}] {kind} {name} {problem}") }
    }

    /// Type tags stand in front of all other qualifiers.
    fn check_tags(&self, id: u32) -> Result<(), Problem> {
        let through = |k: Kind| k.is_modifier() || k == Kind::Typedef;
        let mut at = id;
        let mut tags_may_follow = self.kind(id) == Some(Kind::TypeTag);
        let mut steps = 0;
        while let Some(ty) = self.ty(at).filter(|t| through(t.kind())) {
            if steps == crate::MAX_DEPTH {
                return Err((ELOOP, "Max chain length or cycle detected".into()));
            }
            steps += 1;
            match ty.kind() {
                Kind::TypeTag if !tags_may_follow => return Err(invalid("Type tags don't precede modifiers")),
                Kind::TypeTag => {}
                _ => tags_may_follow = false,
            }
            at = ty.size_or_type;
        }
        Ok(())
    }
}

fn layout(raw: &[u8]) -> Result<(), Problem> {
    let word = |at| u32_at(raw, at).unwrap_or(0) as usize;
    let (hdr_len, type_off, type_len, str_off, str_len) = (word(4), word(8), word(12), word(16), word(20));
    if raw.len() > MAX_SIZE {
        return Err((E2BIG, "larger than 16 MiB".into()));
    }
    if raw.get(24..hdr_len).is_some_and(|rest| rest.iter().any(|&b| b != 0)) {
        return Err((E2BIG, "Unsupported btf_header".into()));
    }
    if raw.get(3) != Some(&0) {
        return Err((ENOTSUPP, "Unsupported flags".into()));
    }
    if raw.len() == hdr_len {
        return Err(invalid("No data"));
    }
    let total = raw.len() - hdr_len.min(raw.len());
    let mut sections = [(type_off, type_len), (str_off, str_len)];
    sections.sort_unstable();
    let mut end = 0;
    for (off, len) in sections {
        if off < end {
            return Err(invalid("Section overlap found"));
        }
        if off > end {
            return Err(invalid("Unsupported section found"));
        }
        end += len;
    }
    if end < total {
        return Err(invalid("Unsupported section found"));
    }
    if str_off + str_len != total {
        return Err(invalid("String section is not at the end"));
    }
    if str_len == 0 {
        return Err(invalid("Invalid string section"));
    }
    if !type_off.is_multiple_of(4) {
        return Err(invalid("Unaligned type_off"));
    }
    if type_len == 0 {
        return Err(invalid("No type found"));
    }
    Ok(())
}
