//! What programs of one kernel are offered, helper by helper and kfunc by kfunc: `offers.txt` of profiles on disk. Only whether, not
//! with which prototype: those are 6.18's, in `helper` and `kfunc`.

use std::collections::HashMap;

use crate::helper::{HelperId, Label};
use crate::prog::ProgContext;

/// The matrix of one kernel.
#[derive(Debug, Default)]
pub struct Offers {
    labels: Vec<Label>,
    helpers: HashMap<HelperId, &'static [u8]>,
    kfuncs: HashMap<&'static str, &'static [u8]>,
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
                ["kfunc", name, cells] => (cells, table.kfuncs.insert(name, cells.as_bytes()).is_some()),
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

    /// How many kfuncs somebody may call.
    pub fn kfunc_count(&self) -> usize {
        self.kfuncs.values().filter(|cells| cells.iter().any(|c| matches!(c, b'+' | b's'))).count()
    }
}

/// What one program is offered.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    table: &'a Offers,
    column: usize,
}

impl Offered<'_> {
    /// Whether the program may call the helper; `None` if that was not found out.
    pub fn helper(&self, id: HelperId) -> Option<bool> {
        self.answer(self.table.helpers.get(&id).copied())
    }

    /// The same of a kfunc.
    pub fn kfunc(&self, name: &str) -> Option<bool> {
        self.answer(self.table.kfuncs.get(name).copied())
    }

    fn answer(&self, cells: Option<&[u8]>) -> Option<bool> {
        // A row that is not there is one that nobody is offered.
        match cells.and_then(|c| c.get(self.column)) {
            Some(b'+' | b's') => Some(true),
            Some(b'?') => None,
            _ => Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prog::ProgType;

    const TEXT: &str =
        "= XDP\n= TRACING TRACING@24\n= TRACING@28/tcp\nhelper 44 xdp_adjust_head +..\nkfunc bpf_one s?+\n";

    #[test]
    fn answers_come_from_the_most_specific_column() {
        let offers = Offers::parse(TEXT).expect("readable");
        let of = |attach_type, target, ty| {
            let prog = ProgContext { attach_type, target, ..ProgContext::of(ty) };
            offers.column(&prog).map(|o| (o.helper(44), o.helper(45), o.kfunc("bpf_one"), o.kfunc("bpf_two")))
        };
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(of(0, "", ProgType::Xdp), Some((yes, no, yes, no)));
        assert_eq!(of(28, "tcp", ProgType::Tracing), Some((no, no, yes, no)));
        assert_eq!(of(28, "task", ProgType::Tracing), Some((no, no, None, no)));
        assert_eq!(of(0, "", ProgType::Lsm), None, "nobody asked");
    }

    #[test]
    fn damaged_tables_are_refused() {
        for text in
            ["= XDP\nhelper 1 x ++\n", "= NOPE\n", "= XDP\nhelper x x +\n", "word\n", "= XDP\nkfunc a +\nkfunc a +\n"]
        {
            assert!(Offers::parse(text).is_err(), "{text:?}");
        }
    }
}
