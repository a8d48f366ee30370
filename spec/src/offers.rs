//! What programs of one kernel are offered, helper by helper and kfunc by kfunc: `offers.txt` of profiles on disk. Of helpers also with
//! which prototype and for which capability; the prototypes themselves are in `helper`, those of kfuncs in the kernel's BTF.

use std::collections::HashMap;

use crate::helper::{HelperAvail, HelperId, Label};
use crate::kfunc::Flags;
use crate::profile::Version;
use crate::prog::ProgContext;

/// The matrix of one kernel.
#[derive(Debug, Default)]
pub struct Offers {
    labels: Vec<Label>,
    helpers: HashMap<HelperId, &'static [u8]>,
    kfuncs: HashMap<&'static str, KfuncRow>,
}

#[derive(Debug)]
struct KfuncRow {
    flags: Flags,
    cells: &'static [u8],
}

impl Offers {
    /// Reads the format that is explained at the head of every such file.
    pub fn parse(text: &'static str) -> Result<Offers, String> {
        let mut table = Offers::default();
        let mut columns = 0;
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let bad = || format!("cannot read {line:?}");
            if let Some(labels) = line.strip_prefix("= ") {
                for label in labels.split(' ') {
                    table.labels.push(Label::parse(label, columns)?);
                }
                columns += 1;
                continue;
            }
            let words: Vec<&'static str> = line.split(' ').collect();
            let (cells, known) = match words[..] {
                ["helper", id, _, cells] => {
                    (cells, table.helpers.insert(id.parse().map_err(|_| bad())?, cells.as_bytes()).is_some())
                }
                ["kfunc", name, flags, cells] => {
                    let row = KfuncRow { flags: Flags::parse(flags).ok_or_else(bad)?, cells: cells.as_bytes() };
                    (cells, table.kfuncs.insert(name, row).is_some())
                }
                _ => return Err(bad()),
            };
            if known || cells.len() != columns {
                return Err(bad());
            }
        }
        Ok(table)
    }

    /// The answers to this program; `None` if the kernel was not asked about such a one.
    pub fn column(&self, prog: &ProgContext<'_>) -> Option<Offered<'_>> {
        Some(Offered { table: self, column: Label::best(&self.labels, prog)? })
    }

    /// The kfunc's name, for the rest of the process.
    pub(crate) fn kfunc_name(&self, name: &str) -> Option<&'static str> {
        self.kfuncs.get_key_value(name).map(|(name, _)| *name)
    }

    /// The flags of a kfunc; `None` if the kernel does not have it.
    pub fn kfunc_flags(&self, name: &str) -> Option<Flags> {
        self.kfuncs.get(name).map(|row| row.flags)
    }

    /// How many kfuncs somebody may call.
    pub fn kfunc_count(&self) -> usize {
        self.kfuncs.values().filter(|row| row.cells.iter().any(|c| matches!(c, b'+' | b's'))).count()
    }
}

/// What one program is offered.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    table: &'a Offers,
    column: usize,
}

impl Offered<'_> {
    /// What the program gets for this helper number on the kernel, which is of this version; `None` if that was not found out.
    pub fn helper(&self, id: HelperId, version: Version) -> Option<HelperAvail> {
        match self.cell(self.table.helpers.get(&id).copied()) {
            b'?' => None,
            cell => Some(HelperAvail::of_cell(id, cell, version)),
        }
    }

    /// Whether the program may call the kfunc; `None` if that was not found out.
    pub fn kfunc(&self, name: &str) -> Option<bool> {
        match self.cell(self.table.kfuncs.get(name).map(|row| row.cells)) {
            b'?' => None,
            cell => Some(matches!(cell, b'+' | b's')),
        }
    }

    fn cell(&self, cells: Option<&[u8]>) -> u8 {
        // A row that is not there is one that nobody is offered.
        cells.and_then(|c| c.get(self.column)).copied().unwrap_or(b'.')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::Need;
    use crate::prog::ProgType;

    const TEXT: &str = "= XDP\n= TRACING TRACING@24\n= TRACING@28/tcp\nhelper 44 xdp_adjust_head aP.\nkfunc bpf_one ACQUIRE|RET_NULL s?+\n";

    #[test]
    fn answers_come_from_the_most_specific_column() {
        let offers = Offers::parse(TEXT).expect("readable");
        let version = Version::parse("6.1.192");
        let need = |offer| match offer {
            Some(HelperAvail::Yes { proto, need }) => Some((proto.id, need)),
            Some(HelperAvail::No) | None => None,
        };
        let of = |attach_type, target, ty| {
            let prog = ProgContext { attach_type, target, ..ProgContext::of(ty) };
            let o = offers.column(&prog)?;
            Some((need(o.helper(44, version)), need(o.helper(45, version)), o.kfunc("bpf_one"), o.kfunc("bpf_two")))
        };
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(of(0, "", ProgType::Xdp), Some((Some((44, Need::Nothing)), None, yes, no)));
        assert_eq!(of(28, "tcp", ProgType::Tracing), Some((None, None, yes, no)));
        assert_eq!(of(28, "task", ProgType::Tracing), Some((Some((44, Need::Perfmon)), None, None, no)));
        assert_eq!(of(0, "", ProgType::Lsm), None, "nobody asked");
        assert_eq!(offers.kfunc_flags("bpf_one"), Some(Flags::ACQUIRE.and(Flags::RET_NULL)));
    }

    #[test]
    fn damaged_tables_are_refused() {
        for text in [
            "= XDP\nhelper 1 x ++\n",
            "= NOPE\n",
            "= XDP\nhelper x x +\n",
            "word\n",
            "= XDP\nkfunc a - +\nkfunc a - +\n",
            "= XDP\nkfunc a NOPE +\n",
        ] {
            assert!(Offers::parse(text).is_err(), "{text:?}");
        }
    }
}
