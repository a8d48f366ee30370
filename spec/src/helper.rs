//! Helpers: numbers, names and prototypes. Which program may call which is `helper::availability`; how arguments are judged is
//! the verifier's, what a helper does is the runtime's.

mod availability;
mod protos;

pub(crate) use availability::Label;
pub use availability::{Availability, Column, HelperAvail, Need};
pub use protos::PROTOS;

use crate::lsm;
use crate::profile::{Changes, Version};
use crate::prog::{AttachType, D_PATH_TARGETS, ProgContext, ProgType};
use crate::span::Span;

/// A helper's number in `call #N`.
pub type HelperId = u32;

/// One past the highest helper number of 6.18.
pub const COUNT: u32 = 212;

/// A helper as the kernel names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Helper {
    pub id: HelperId,
    /// Without `bpf_`.
    pub name: &'static str,
}

/// The helper with this number; `None` for 0 and for numbers the kernel does not have.
pub fn by_id(id: HelperId) -> Option<Helper> {
    if id == 0 { None } else { protos::bare_name(id).map(|name| Helper { id, name }) }
}

/// The helper of this name, with or without `bpf_`.
pub fn by_name(name: &str) -> Option<Helper> {
    let bare = name.strip_prefix("bpf_").unwrap_or(name);
    (1..COUNT).find(|&id| protos::bare_name(id) == Some(bare)).and_then(by_id)
}

/// The name as it stands in the kernel's messages, without `bpf_`: `unspec` for 0; `None` where the log says `unknown`.
pub fn log_name(id: HelperId) -> Option<&'static str> {
    protos::bare_name(id)
}

/// The same with `bpf_`.
pub fn full_name(id: HelperId) -> Option<&'static str> {
    protos::NAMES.get(id as usize).copied()
}

/// The prototype with this variant letter that 6.18 has.
pub fn proto(id: HelperId, variant: char) -> Option<&'static Proto> {
    proto_on(id, variant, Version::REFERENCE)
}

/// The same on a kernel of this version.
pub fn proto_on(id: HelperId, variant: char, version: Version) -> Option<&'static Proto> {
    protos_of(id).iter().find(|p| p.variant == variant && p.span.holds(version))
}

/// All prototypes of a helper on all kernels: more than one where it differs by program type or by version.
pub fn protos_of(id: HelperId) -> &'static [Proto] {
    let start = PROTOS.partition_point(|p| p.id < id);
    let end = PROTOS.partition_point(|p| p.id <= id);
    &PROTOS[start..end]
}

/// What the kernel's verifier knows about a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proto {
    pub id: HelperId,
    /// `a`, `b`, ... : which of the helper's prototypes this is.
    pub variant: char,
    /// Needs a GPL-compatible license.
    pub gpl_only: bool,
    /// Takes packet pointers where memory is asked for (in types that let helpers have them).
    pub pkt_access: bool,
    pub sleeps: Sleeps,
    /// bpf_fastcall: keeps r1-r5, when the call is inlined.
    pub allow_fastcall: bool,
    pub ret: Ret,
    pub args: [Arg; 5],
    pub allow_check: Option<AllowCheck>,
    pub effects: Effects,
    pub ret_range: RetRange,
    /// The kernels whose prototype this is.
    pub span: Span,
}

impl Proto {
    pub fn name(&self) -> &'static str {
        protos::bare_name(self.id).unwrap_or("unknown")
    }

    /// Whether a call in this program may sleep, as a kernel with these rules says.
    pub fn might_sleep(&self, prog: &ProgContext<'_>, rules: &Changes) -> bool {
        match self.sleeps {
            Sleeps::Never => false,
            Sleeps::ForLoaders => rules.loader_helpers_sleep,
            Sleeps::InSleepable => rules.stack_helpers_sleep && prog.sleepable,
            Sleeps::InSleepableProbe => {
                rules.stack_helpers_sleep && prog.sleepable && prog.prog_type == ProgType::Kprobe
            }
            Sleeps::Always => true,
        }
    }
}

/// Whether a helper may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleeps {
    Never,
    /// Loaders' system calls: not all kernels say so.
    ForLoaders,
    /// Programs that may sleep get a variant that does.
    InSleepable,
    /// The same of kprobes and uprobes only.
    InSleepableProbe,
    Always,
}

/// One argument of a prototype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg {
    pub kind: ArgKind,
    /// The constant 0 is accepted.
    pub nullable: bool,
    /// The call releases the reference that the argument carries.
    pub release: bool,
}

/// What an argument register must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// No such argument; the register is not looked at.
    None,
    /// Initialised; a pointer only with CAP_PERFMON.
    Anything,
    ConstMapPtr,
    /// Memory of the map's key_size, read.
    MapKey,
    /// Memory of the map's value_size.
    MapValue(MemAccess),
    Mem(MemAccess, MemSize),
    /// Byte count of the memory argument before it.
    Size {
        zero_allowed: bool,
    },
    /// Constant that becomes the size of the returned memory, zero allowed.
    ConstAllocSize,
    Ctx,
    SpinLock,
    Timer,
    /// Slot of a referenced kptr (map value or allocated object).
    KptrDest,
    Func,
    /// NUL-terminated string in a frozen read-only map value.
    ConstStr,
    Stack,
    SockCommon,
    /// A full socket.
    Socket,
    /// A socket register or a BTF pointer to `sock_common` or what embeds it.
    BtfSockCommon,
    /// BTF pointer to this vmlinux struct.
    Btf(&'static str),
    /// BTF pointer of the type that the kptr field has.
    BtfOfKptr,
    PercpuBtf,
    /// Start of a ring buffer reservation.
    RingbufMem,
    Dynptr {
        kind: DynptrKind,
        /// The call creates the dynptr.
        uninit: bool,
        /// A const dynptr will do.
        rdonly: bool,
    },
}

/// How a helper touches memory it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemAccess {
    /// Read only.
    Read,
    /// Written, and must be initialised before.
    ReadWrite,
    /// Written; may be uninitialised stack before.
    Write,
}

impl MemAccess {
    pub const fn writes(self) -> bool {
        !matches!(self, MemAccess::Read)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemSize {
    /// In the argument with this number, 1 to 5.
    Arg(u8),
    Fixed {
        size: u32,
        /// Must be aligned to its size.
        aligned: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynptrKind {
    Any,
    Local,
    Ringbuf,
}

/// What R0 is after the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ret {
    pub kind: RetKind,
    pub nullable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetKind {
    /// Unknown scalar (see [`Proto::ret_range`]).
    Int,
    /// R0 is not readable.
    Void,
    /// Value of the call's map.
    MapValue,
    Socket,
    SockCommon,
    TcpSock,
    /// Memory whose size is the constant in that argument.
    Mem {
        ringbuf: bool,
        size_arg: u8,
    },
    /// Per-cpu variable: BTF pointer if it is a struct, read-only memory otherwise.
    MemOrBtf,
    Btf {
        name: &'static str,
        trusted: bool,
    },
    /// BTF pointer of the type that the kptr field has.
    BtfOfKptr,
}

/// Refinement of an integer result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetRange {
    Any,
    /// Signed, from -4095 to the largest value of the size argument.
    ErrorOrSize,
    /// 0 to nr_cpu_ids - 1.
    Cpu,
    /// Signed, from -4095 to 0; in LSM programs any value.
    Error,
}

/// A further condition on the calling program: `helper call is not allowed in probe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowCheck {
    DPath,
    LsmSleepableHook,
    SkStorageTracing,
}

/// The kernels whose iterators may call d_path.
pub const ITERATORS_D_PATH: Span = Span::ALWAYS.since(6, 1);

impl AllowCheck {
    /// Whether the program passes. (SkStorageTracing also fails for a program that traces another program.)
    pub fn passes(self, prog: &ProgContext<'_>, version: Version) -> bool {
        let on_sleepable_hook =
            prog.prog_type == ProgType::Lsm && lsm::hook(prog.target, version).is_some_and(|h| h.sleeps(version));
        let tracing = prog.prog_type == ProgType::Tracing;
        match self {
            AllowCheck::LsmSleepableHook => on_sleepable_hook,
            AllowCheck::DPath => {
                on_sleepable_hook
                    || tracing
                        && (prog.attaches_as(AttachType::TraceIter) && ITERATORS_D_PATH.holds(version)
                            || D_PATH_TARGETS.contains(&prog.target))
            }
            AllowCheck::SkStorageTracing => {
                tracing
                    && match prog.attach() {
                        Some(AttachType::TraceIter | AttachType::TraceRawTp) => true,
                        Some(AttachType::TraceFentry | AttachType::TraceFexit) => {
                            !prog.target.starts_with("bpf_sk_storage")
                        }
                        _ => false,
                    }
            }
        }
    }
}

/// What a call does besides reading arguments and setting R0: a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Effects(u16);

impl Effects {
    pub const NONE: Effects = Effects(0);
    /// Packet pointers become invalid.
    pub const CHANGES_PKT: Effects = Effects(1 << 0);
    /// Returns a new reference.
    pub const ACQUIRE: Effects = Effects(1 << 1);
    /// The same, only for SOCKMAP and SOCKHASH.
    pub const ACQUIRE_IF_SOCKMAP: Effects = Effects(1 << 2);
    /// The result shares the argument's reference.
    pub const PTR_CAST: Effects = Effects(1 << 3);
    /// The result shares the dynptr's reference.
    pub const DYNPTR_REF: Effects = Effects(1 << 4);
    pub const SYNC_CALLBACK: Effects = Effects(1 << 5);
    pub const ASYNC_CALLBACK: Effects = Effects(1 << 6);
    /// A local storage lookup that may create.
    pub const STORAGE_GET: Effects = Effects(1 << 7);

    /// Whether all of these are in the set.
    pub const fn contains(self, other: Effects) -> bool {
        self.0 & other.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_name_and_a_prototype() {
        assert_eq!((1..COUNT).filter(|&id| by_id(id).is_some() && !protos_of(id).is_empty()).count(), 211);
        assert!(PROTOS.is_sorted_by_key(|p| (p.id, p.variant)));
        assert_eq!((by_id(0), by_id(212), log_name(0)), (None, None, Some("unspec")));
        assert_eq!((full_name(1), full_name(212)), (Some("bpf_map_lookup_elem"), None));
        assert_eq!(by_name("bpf_map_lookup_elem").map(|h| h.id), Some(1));
        assert_eq!(by_name("cgrp_storage_delete").map(|h| h.id), Some(211));
    }

    #[test]
    fn sizes_follow_their_memory() {
        for proto in PROTOS {
            for (i, arg) in proto.args.iter().enumerate() {
                if let ArgKind::Mem(_, MemSize::Arg(n)) = arg.kind {
                    assert_eq!(usize::from(n), i + 2, "{}", proto.name());
                    assert!(matches!(proto.args[i + 1].kind, ArgKind::Size { .. }), "{}", proto.name());
                }
            }
        }
    }

    #[test]
    fn old_iterators_have_no_d_path() {
        let iter = ProgContext {
            attach_type: AttachType::TraceIter.raw(),
            target: "task",
            ..ProgContext::of(ProgType::Tracing)
        };
        let passes = |version| AllowCheck::DPath.passes(&iter, Version::parse(version));
        assert_eq!((passes("5.10.262"), passes("6.1.192")), (false, true));
    }

    #[test]
    fn rows_that_are_known() {
        let lookup = proto(1, 'a').expect("map_lookup_elem");
        assert_eq!(lookup.ret, Ret { kind: RetKind::MapValue, nullable: true });
        assert_eq!((lookup.args[0].kind, lookup.args[1].kind), (ArgKind::ConstMapPtr, ArgKind::MapKey));
        assert!(lookup.pkt_access && !lookup.gpl_only);
        let xchg = proto(194, 'a').expect("kptr_xchg");
        assert_eq!(xchg.args[1], Arg { kind: ArgKind::BtfOfKptr, nullable: true, release: true });
        assert!(xchg.effects.contains(Effects::ACQUIRE));
        assert!(proto(148, 'a').is_some_and(|p| p.sleeps == Sleeps::Always));
        let sleepers = |id| {
            let proto = proto(id, 'a').expect("a row");
            let asleep = |ty| ProgContext { sleepable: true, ..ProgContext::of(ty) };
            let rules = Changes::of(Version::REFERENCE);
            [ProgContext::of(ProgType::Kprobe), asleep(ProgType::Kprobe), asleep(ProgType::Syscall)]
                .map(|p| proto.might_sleep(&p, &rules))
        };
        assert_eq!((sleepers(67), sleepers(141)), ([false, true, false], [false, true, true]));
        assert!(proto(8, 'b').is_some_and(|p| p.allow_fastcall && p.ret_range == RetRange::Cpu));
        assert_eq!(protos_of(107).iter().filter(|p| p.span.holds(Version::REFERENCE)).count(), 3);
    }

    #[test]
    fn a_kernel_has_one_prototype_of_a_letter() {
        for version in ["5.10.262", "6.1.192", "6.12.117", "6.18.15", "6.18.44", "7.2.13"].map(Version::parse) {
            for proto in PROTOS {
                let same = |p: &&Proto| p.variant == proto.variant && p.span.holds(version);
                assert_eq!(protos_of(proto.id).iter().filter(same).count(), 1, "{} on {version}", proto.name());
            }
        }
        let sharp =
            |version| proto_on(186, 'a', Version::parse(version)).is_some_and(|p| p.ret_range == RetRange::Error);
        assert_eq!((sharp("7.1.13"), sharp("7.2.13")), (false, true));
        let bounded =
            |version| proto_on(141, 'a', Version::parse(version)).is_some_and(|p| p.ret_range == RetRange::ErrorOrSize);
        assert_eq!((bounded("5.10.262"), bounded("6.1.192")), (false, true));
        // The output buffer of snprintf was not said to be written.
        let writes = |version| match proto_on(165, 'a', Version::parse(version)).map(|p| p.args[0].kind) {
            Some(ArgKind::Mem(access, _)) => access.writes(),
            _ => false,
        };
        assert_eq!((writes("6.12.117"), writes("6.18.44")), (false, true));
    }
}
