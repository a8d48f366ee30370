//! In which mainline release a feature first was, as upstream's documentation says: `profiles/since.txt`. Recordings (`kernels`) tell
//! the same from the kernels themselves, but only to the series that were recorded; stable kernels may have a feature earlier.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::kernels::{Feature, Kernel, all};
use crate::map::MapType;
use crate::prog::{AttachType, ProgType};

/// Something that a kernel has or lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need<'a> {
    ProgType(ProgType),
    AttachType(ProgType, AttachType),
    Map(MapType),
    /// A helper's number, in programs of this type.
    Helper(ProgType, u32),
    Insn(Feature),
    Kfunc(&'a str),
}

/// What is known about the oldest kernel that has it.
#[derive(Clone, Copy, Debug)]
pub struct Since {
    /// Mainline release by documentation.
    pub documented: Option<Release>,
    /// The oldest recorded kernel from which on all have it.
    pub has: Option<&'static Kernel>,
    /// The recorded kernel before that.
    pub lacks: Option<&'static Kernel>,
}

/// `major.minor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(pub u16, pub u16);

impl Release {
    pub fn parse(text: &str) -> Option<Release> {
        let (major, rest) = text.split_once('.')?;
        let minor = rest.split('.').next()?;
        Some(Release(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl std::fmt::Display for Since {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.release(), self.lacks, self.has) {
            (Some(release), ..) => write!(f, "{release}"),
            (None, None, Some(has)) => write!(f, "<= {}", has.series()),
            (None, Some(lacks), Some(has)) => write!(f, "> {}, <= {}", lacks.series(), has.series()),
            (None, Some(lacks), None) => write!(f, "> {}", lacks.series()),
            (None, None, None) => write!(f, "unknown"),
        }
    }
}

impl Since {
    /// The mainline release, if it is known exactly: documented and not before a recorded kernel that lacks it (some types of programs
    /// got a helper later than others), or told by two neighbouring recordings.
    pub fn release(&self) -> Option<Release> {
        let recorded = |k: Option<&Kernel>| k.and_then(|k| Release::parse(k.version));
        let (lacks, has) = (recorded(self.lacks), recorded(self.has));
        // 6.19 was the last of its line.
        let next = |l: Release| if l == Release(6, 19) { Release(7, 0) } else { Release(l.0, l.1 + 1) };
        if has.is_some() && lacks.map(next) == has {
            return has;
        }
        // Where no recorded kernel has it, their configuration may be why.
        self.documented.filter(|d| has.is_none() || lacks.is_none_or(|l| *d > l))
    }

    /// A release that certainly has it: the exact one, else the oldest recorded one.
    pub fn enough(&self) -> Option<Release> {
        self.release().or_else(|| Release::parse(self.has?.version))
    }
}

impl Need<'_> {
    /// What kind of thing it is, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Need::ProgType(_) => "program type",
            Need::AttachType(..) => "attach type",
            Need::Map(_) => "map type",
            Need::Helper(..) => "helper",
            Need::Insn(_) => "instruction",
            Need::Kfunc(_) => "kfunc",
        }
    }

    /// Its name, as the kernel's headers have it.
    pub fn name(&self) -> String {
        match self {
            Need::ProgType(t) => format!("BPF_PROG_TYPE_{t}"),
            Need::AttachType(_, a) => format!("BPF_{a}"),
            Need::Map(m) => format!("BPF_MAP_TYPE_{m}"),
            Need::Helper(_, id) => crate::helper::full_name(*id).map_or_else(|| format!("#{id}"), str::to_owned),
            Need::Insn(f) => f.name().to_owned(),
            Need::Kfunc(name) => (*name).to_owned(),
        }
    }

    fn key(&self) -> (&'static str, String) {
        match self {
            Need::ProgType(t) => ("type", t.to_string()),
            Need::AttachType(_, a) => ("attach", a.to_string()),
            Need::Map(m) => ("map", m.to_string()),
            Need::Helper(_, id) => ("helper", crate::helper::log_name(*id).unwrap_or("").to_owned()),
            Need::Insn(f) => ("insn", f.name().to_owned()),
            Need::Kfunc(name) => ("kfunc", (*name).to_owned()),
        }
    }

    /// Whether the recorded kernel has it; `None` if it was not asked.
    pub fn in_kernel(&self, kernel: &Kernel) -> Option<bool> {
        match *self {
            Need::ProgType(t) => Some(kernel.has_type(t)),
            Need::AttachType(t, a) => kernel.has_attach(t, a.raw()),
            Need::Map(m) => Some(kernel.has_map(m)),
            // What does not exist was not asked.
            Need::Helper(t, id) => kernel.has_type(t).then(|| kernel.has_helper(t, id)),
            Need::Insn(f) => Some(kernel.has_feature(f)),
            Need::Kfunc(name) => Some(kernel.has_kfunc(name)),
        }
    }

    pub fn since(&self) -> Since {
        let (kind, name) = self.key();
        let documented = documented().get(&(kind, name.as_str())).copied();
        let mut since = Since { documented, has: None, lacks: None };
        for kernel in all().iter().rev() {
            match self.in_kernel(kernel) {
                Some(true) => since.has = Some(kernel),
                Some(false) => {
                    since.lacks = Some(kernel);
                    break;
                }
                None => break,
            }
        }
        if matches!(self, Need::Helper(..)) && since.has.is_none() && since.lacks.is_some() {
            // The helper has a release, yet no program of the type has been offered it.
            since.documented = None;
        }
        since
    }
}

fn documented() -> &'static HashMap<(&'static str, &'static str), Release> {
    static PARSED: OnceLock<HashMap<(&'static str, &'static str), Release>> = OnceLock::new();
    PARSED.get_or_init(|| include_str!("../profiles/since.txt").lines().filter_map(row).collect())
}

/// `kfunc bpf_iter_num_new 6.4`; comments have no such form.
fn row(line: &'static str) -> Option<((&'static str, &'static str), Release)> {
    let mut words = line.split(' ');
    match (words.next()?, words.next()?, words.next()?, words.next()) {
        ("#", ..) => None,
        (kind, name, release, None) => Some(((kind, name), Release::parse(release)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        let text = include_str!("../profiles/since.txt");
        let lines = text.lines().filter(|l| !l.starts_with('#')).count();
        assert_eq!(documented().len(), lines);
        for f in Feature::ALL {
            assert!(Need::Insn(f).since().release().is_some(), "{}", f.name());
        }
    }

    #[test]
    fn versions_are_as_exact_as_what_is_known() {
        let text = |need: Need<'_>| need.since().to_string();
        assert_eq!(text(Need::ProgType(ProgType::Netfilter)), "6.4");
        assert_eq!(text(Need::Map(MapType::Arena)), "6.9");
        assert_eq!(text(Need::Insn(Feature::AcquireRelease)), "6.15");
        assert_eq!(text(Need::Helper(ProgType::Xdp, 189)), "5.18");
        // Tracing-only for years: XDP got it between two recordings, later than the helper itself.
        assert_eq!(text(Need::Helper(ProgType::Xdp, 14)), "> 6.1, <= 6.12");
        assert_eq!(text(Need::Helper(ProgType::SocketFilter, 44)), "> 7.2");
        assert_eq!(Release::parse("6.1.192"), Some(Release(6, 1)));
    }
}
