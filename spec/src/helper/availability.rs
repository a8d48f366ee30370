//! Which program may call which helper: the columns of a profile's `helpers.txt`, and the one place that chooses a program's column.

use super::{COUNT, HelperId, Proto};
use crate::profile::{Caps, Version};
use crate::prog::{ProgContext, ProgType};

/// The capability that a call needs, tested with the loader's privileges when the call is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Nothing,
    Bpf,
    Perfmon,
    SysAdmin,
}

impl Need {
    pub fn met_by(self, caps: Caps) -> bool {
        match self {
            Need::Nothing => true,
            Need::Bpf => caps.has_bpf(),
            Need::Perfmon => caps.has_bpf() && caps.has_perfmon(),
            Need::SysAdmin => caps.sys_admin,
        }
    }
}

/// Whether a program is offered a helper, whatever its loader's capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelperAvail {
    No,
    Yes { proto: &'static Proto, need: Need },
}

/// The parsed matrix of one kernel.
#[derive(Debug)]
pub struct Availability {
    labels: Vec<Label>,
    /// Per helper number, one letter per column.
    rows: Vec<&'static [u8]>,
}

/// A program's column: ask it about many helpers.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    table: &'a Availability,
    index: Option<usize>,
}

/// One name of a column: the parts that are given must be the program's.
#[derive(Debug)]
pub(crate) struct Label {
    column: usize,
    prog_type: ProgType,
    attach: Vec<u32>,
    targets: Vec<&'static str>,
    sleepable: bool,
}

impl Availability {
    /// Reads a matrix (its format is explained at the head of `profiles/6.18/helpers.txt`).
    pub fn parse(text: &'static str) -> Result<Availability, String> {
        let mut table = Availability { labels: Vec::new(), rows: vec![&[]; COUNT as usize] };
        let mut columns = 0;
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            if let Some(labels) = line.strip_prefix("= ") {
                for label in labels.split(' ') {
                    table.labels.push(Label::parse(label, columns)?);
                }
                columns += 1;
                continue;
            }
            let mut words = line.split(' ');
            let (Some(id), Some(_name), Some(cells), None) = (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(format!("not `id name cells`: {line}"));
            };
            let slot = id.parse::<usize>().ok().and_then(|id| table.rows.get_mut(id));
            match slot {
                Some(slot) if cells.len() == columns => *slot = cells.as_bytes(),
                Some(_) => return Err(format!("{columns} cells expected: {line}")),
                None => return Err(format!("no such helper: {line}")),
            }
        }
        Ok(table)
    }

    /// The column of this program: the most specific label that fits.
    pub fn column(&self, prog: ProgContext<'_>) -> Column<'_> {
        Column { table: self, index: Label::best(&self.labels, &prog) }
    }
}

impl Column<'_> {
    /// Which column this is: programs with the same one are offered the same helpers. `None` if the kernel has no such program.
    pub fn index(&self) -> Option<usize> {
        self.index
    }

    /// What the program gets for this helper number.
    pub fn helper(&self, id: HelperId) -> HelperAvail {
        let cell = self.index.and_then(|i| self.table.rows.get(id as usize)?.get(i).copied()).unwrap_or(b'.');
        HelperAvail::of_cell(id, cell, Version::REFERENCE)
    }
}

impl HelperAvail {
    /// What a letter of a matrix says about a helper on the kernel of this version.
    pub(crate) fn of_cell(id: HelperId, cell: u8, version: Version) -> HelperAvail {
        let (need, base) = match cell {
            b'a'..=b'c' => (Need::Nothing, b'a'),
            b'A'..=b'C' => (Need::Bpf, b'A'),
            b'P'..=b'R' => (Need::Perfmon, b'P'),
            b'S'..=b'U' => (Need::SysAdmin, b'S'),
            _ => return HelperAvail::No,
        };
        match super::proto_on(id, char::from(b'a' + (cell - base)), version) {
            Some(proto) => HelperAvail::Yes { proto, need },
            None => HelperAvail::No,
        }
    }
}

impl Need {
    /// The letter of a matrix for a prototype that needs this: what [`HelperAvail::of_cell`] reads.
    pub fn letter(self, variant: char) -> char {
        let base = match self {
            Need::Nothing => 'a',
            Need::Bpf => 'A',
            Need::Perfmon => 'P',
            Need::SysAdmin => 'S',
        };
        char::from(base as u8 + (variant as u8).wrapping_sub(b'a'))
    }
}

impl Label {
    /// The column of this program: that of the most specific label that fits.
    pub(crate) fn best(labels: &[Label], prog: &ProgContext<'_>) -> Option<usize> {
        labels.iter().filter(|l| l.fits(prog)).max_by_key(|l| l.weight()).map(|l| l.column)
    }

    pub(crate) fn parse(text: &'static str, column: usize) -> Result<Label, String> {
        let bad = || format!("bad label {text}");
        let (rest, sleepable) = match text.strip_suffix(":sleepable") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (rest, targets) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, attach) = rest.split_once('@').unwrap_or((rest, ""));
        let attach = attach.split(',').filter(|a| !a.is_empty()).map(str::parse).collect::<Result<Vec<u32>, _>>();
        Ok(Label {
            column,
            prog_type: ProgType::from_name(name).ok_or_else(bad)?,
            attach: attach.map_err(|_| bad())?,
            targets: targets.split('|').filter(|t| !t.is_empty()).collect(),
            sleepable,
        })
    }

    fn fits(&self, prog: &ProgContext<'_>) -> bool {
        let target_fits = |t: &&'static str| {
            prog.target.strip_prefix(*t).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.prog_type == prog.prog_type
            && (self.attach.is_empty() || self.attach.contains(&prog.attach_type))
            && (self.targets.is_empty() || self.targets.iter().any(target_fits))
            && (!self.sleepable || prog.sleepable)
    }

    /// How much a label says; a longer target (`struct.member`) says more than its prefix.
    fn weight(&self) -> (usize, bool, bool) {
        (self.targets.iter().map(|t| t.len()).max().unwrap_or(0), !self.attach.is_empty(), self.sleepable)
    }
}
