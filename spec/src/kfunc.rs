//! Kfuncs: which are registered for which programs, and their flags. Prototypes are in the kernel's BTF; what a call does is the
//! verifier's.

mod table;

use std::fmt;

use crate::profile::Version;
use crate::prog::{AttachType, ProgContext, ProgType, kfunc_hooks};
use crate::span::Span;

/// One registration of a kfunc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kfunc {
    pub name: &'static str,
    pub flags: Flags,
    pub hooks: Hooks,
    pub filter: Filter,
}

/// Who may call, beyond the hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    None,
    /// LSM programs only.
    Lsm,
    /// KPROBE_SESSION and UPROBE_SESSION only.
    KprobeSession,
    /// TRACE_ITER only.
    Iterator,
    /// Programs of `Qdisc_ops`; with a list, of these members only.
    Qdisc(&'static [&'static str]),
    /// The kernel calls it itself.
    Never,
}

/// KF_ flags: a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    pub const NONE: Flags = Flags(0);
    pub const ACQUIRE: Flags = Flags(1 << 0);
    pub const RELEASE: Flags = Flags(1 << 1);
    pub const RET_NULL: Flags = Flags(1 << 2);
    /// The first argument is a pointer to a kptr slot. Only old kernels have such kfuncs.
    pub const KPTR_GET: Flags = Flags(1 << 3);
    pub const TRUSTED_ARGS: Flags = Flags(1 << 4);
    pub const SLEEPABLE: Flags = Flags(1 << 5);
    pub const DESTRUCTIVE: Flags = Flags(1 << 6);
    pub const RCU: Flags = Flags(1 << 7);
    pub const ITER_NEW: Flags = Flags(1 << 8);
    pub const ITER_NEXT: Flags = Flags(1 << 9);
    pub const ITER_DESTROY: Flags = Flags(1 << 10);
    pub const RCU_PROTECTED: Flags = Flags(1 << 11);
    pub const FASTCALL: Flags = Flags(1 << 12);
    pub const ARENA_RET: Flags = Flags(1 << 13);
    pub const ARENA_ARG1: Flags = Flags(1 << 14);
    pub const ARENA_ARG2: Flags = Flags(1 << 15);
    /// The last parameter is the kernel's own and not passed by programs.
    pub const IMPLICIT_ARGS: Flags = Flags(1 << 16);

    /// In the order of their bits, which are the kernel's.
    const NAMES: [&str; 17] = [
        "ACQUIRE",
        "RELEASE",
        "RET_NULL",
        "KPTR_GET",
        "TRUSTED_ARGS",
        "SLEEPABLE",
        "DESTRUCTIVE",
        "RCU",
        "ITER_NEW",
        "ITER_NEXT",
        "ITER_DESTROY",
        "RCU_PROTECTED",
        "FASTCALL",
        "ARENA_RET",
        "ARENA_ARG1",
        "ARENA_ARG2",
        "IMPLICIT_ARGS",
    ];

    /// `None` if there is a bit that no flag has.
    pub fn from_bits(bits: u32) -> Option<Flags> {
        (bits >> Self::NAMES.len() == 0).then_some(Flags(bits))
    }

    /// `ACQUIRE|RET_NULL`, or `-`.
    pub fn parse(text: &str) -> Option<Flags> {
        if text == "-" {
            return Some(Flags::NONE);
        }
        text.split('|')
            .try_fold(Flags::NONE, |all, name| Some(Flags(all.0 | 1 << Self::NAMES.iter().position(|n| *n == name)?)))
    }

    pub const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether all of these are in the set.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of these is in the set.
    pub const fn intersects(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            (0..Self::NAMES.len()).filter(|b| self.0 >> b & 1 != 0).map(|b| Self::NAMES[b]).collect();
        f.write_str(if names.is_empty() { "-" } else { "" })?;
        f.write_str(&names.join("|"))
    }
}

/// The groups of program types that kfuncs are registered for: a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hooks(u16);

impl Hooks {
    pub const NONE: Hooks = Hooks(0);
    pub const COMMON: Hooks = Hooks(1 << 0);
    pub const XDP: Hooks = Hooks(1 << 1);
    pub const TC: Hooks = Hooks(1 << 2);
    pub const SCHED_ACT: Hooks = Hooks(1 << 3);
    pub const STRUCT_OPS: Hooks = Hooks(1 << 4);
    pub const TRACING: Hooks = Hooks(1 << 5);
    pub const SYSCALL: Hooks = Hooks(1 << 6);
    pub const CGROUP: Hooks = Hooks(1 << 7);
    pub const SK_SKB: Hooks = Hooks(1 << 8);
    pub const SOCKET_FILTER: Hooks = Hooks(1 << 9);
    pub const LWT: Hooks = Hooks(1 << 10);
    pub const NETFILTER: Hooks = Hooks(1 << 11);
    pub const KPROBE: Hooks = Hooks(1 << 12);
    /// Not callable: a target of MODIFY_RETURN programs.
    pub const FMODRET: Hooks = Hooks(1 << 13);

    pub const fn and(self, other: Hooks) -> Hooks {
        Hooks(self.0 | other.0)
    }

    pub const fn intersects(self, other: Hooks) -> bool {
        self.0 & other.0 != 0
    }
}

impl Kfunc {
    /// One that only its recording tells of.
    pub(crate) fn recorded(name: &'static str) -> Kfunc {
        Kfunc { name, flags: Flags::NONE, hooks: Hooks::NONE, filter: Filter::None }
    }
}

/// Every registration, sorted by name.
pub fn all() -> &'static [Kfunc] {
    table::KFUNCS
}

/// The registrations of this name: more than one where flags differ by hook.
pub fn by_name(name: &str) -> &'static [Kfunc] {
    let start = table::KFUNCS.partition_point(|k| k.name < name);
    let len = table::KFUNCS[start..].partition_point(|k| k.name == name);
    &table::KFUNCS[start..start + len]
}

/// The registration through which this program may call the kfunc: the common one first, then its type's.
pub fn allowed(name: &str, prog: &ProgContext<'_>) -> Option<&'static Kfunc> {
    let found = by_name(name);
    let through = |hooks: Hooks| found.iter().find(|k| k.hooks.intersects(hooks) && k.filter.passes(prog));
    through(Hooks::COMMON).or_else(|| through(kfunc_hooks(prog.prog_type)))
}

/// Whether MODIFY_RETURN programs may attach to this function by its registration; sleepable ones need the flag.
pub fn fmod_ret_target(name: &str, version: Version) -> Option<&'static Kfunc> {
    // Before, functions could not be registered for it.
    let registers = Span::ALWAYS.since(6, 12).holds(version);
    by_name(name).iter().find(|k| registers && k.hooks.intersects(Hooks::FMODRET))
}

impl Filter {
    fn passes(self, prog: &ProgContext<'_>) -> bool {
        match self {
            Filter::None => true,
            Filter::Lsm => prog.prog_type == ProgType::Lsm,
            Filter::KprobeSession => {
                prog.attaches_as(AttachType::TraceKprobeSession) || prog.attaches_as(AttachType::TraceUprobeSession)
            }
            Filter::Iterator => prog.attaches_as(AttachType::TraceIter),
            Filter::Qdisc(members) => match prog.target.split_once('.') {
                Some(("Qdisc_ops", member)) => members.is_empty() || members.contains(&member),
                _ => false,
            },
            Filter::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_complete() {
        assert!(all().is_sorted_by(|a, b| a.name <= b.name));
        let names = all().iter().map(|k| k.name).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(names.len(), 345);
    }

    #[test]
    fn flags_are_read_as_they_are_written() {
        for bits in [0, 5, 1 << 16, 0x1ffff] {
            let flags = Flags::from_bits(bits).expect("known bits");
            assert_eq!(Flags::parse(&flags.to_string()), Some(flags));
        }
        assert_eq!(Flags::parse("RET_NULL|ACQUIRE"), Some(Flags::ACQUIRE.and(Flags::RET_NULL)));
        assert_eq!((Flags::parse("NOPE"), Flags::parse(""), Flags::from_bits(1 << 17)), (None, None, None));
    }

    #[test]
    fn hooks_and_filters_decide() {
        let xdp = ProgContext::of(ProgType::Xdp);
        let lsm = ProgContext::of(ProgType::Lsm);
        let iter = ProgContext { attach_type: AttachType::TraceIter.raw(), ..ProgContext::of(ProgType::Tracing) };
        assert!(allowed("bpf_iter_num_new", &xdp).is_some_and(|k| k.flags.contains(Flags::ITER_NEW)));
        assert!(allowed("bpf_get_task_exe_file", &lsm).is_some_and(|k| k.flags.contains(Flags::ACQUIRE)));
        assert_eq!(allowed("bpf_get_task_exe_file", &iter), None);
        assert!(allowed("bpf_sock_destroy", &iter).is_some());
        assert_eq!(allowed("bpf_sock_destroy", &lsm), None);
        let enqueue = ProgContext { target: "Qdisc_ops.enqueue", ..ProgContext::of(ProgType::StructOps) };
        assert!(allowed("bpf_qdisc_skb_drop", &enqueue).is_some());
        assert_eq!(allowed("bpf_qdisc_bstats_update", &enqueue), None);
        assert_eq!(allowed("no_such_kfunc", &xdp), None);
    }

    #[test]
    fn flags_may_differ_by_hook() {
        let ops = ProgContext::of(ProgType::StructOps);
        let syscall = ProgContext::of(ProgType::Syscall);
        let sleeps = |p| allowed("hid_bpf_hw_request", p).map(|k| k.flags.contains(Flags::SLEEPABLE));
        assert_eq!((sleeps(&ops), sleeps(&syscall)), (Some(true), Some(false)));
    }
}
