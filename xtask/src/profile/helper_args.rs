//! Helper arguments: for each argument that can be reached, a register of the wrong kind, and the message that its kind gives; the
//! constant 0, which only nullable arguments take; memory that may not be written; memory that is too small.

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Result, anyhow};
use isa::Insn;
use spec::helper::{Arg, ArgKind, HelperAvail, MemSize, PROTOS, Proto};
use spec::map::{CreateAttr, MapType, flags};
use spec::profile::Version;
use spec::{Profile, Span};

use super::Tally;
use super::code;
use super::subjects::{self, Subject};
use super::sys::Kernel;

/// What the maps of the questions are like.
const VALUE_SIZE: u32 = 1;

pub struct Maps {
    /// Key 4, value 8.
    plain: OwnedFd,
    /// One value of one byte that programs may not write.
    readonly: OwnedFd,
}

pub fn compare(kernel: &mut Kernel, profile: &Profile) -> Result<Tally> {
    let mut tally = Tally::default();
    let maps = Maps::new(kernel)?;
    let subjects = subjects::few(profile);
    for proto in PROTOS.iter().filter(|p| p.span.holds(profile.version)) {
        let offered = |s: &&Subject| {
            let offer = profile.helper(s.prog, proto.id);
            let sleeps = !proto.might_sleep(&s.prog, &profile.changes) || s.prog.sleepable;
            let allowed = proto.allow_check.is_none_or(|c| c.passes(&s.prog, profile.version));
            sleeps && allowed && matches!(offer, HelperAvail::Yes { proto: p, .. } if p.variant == proto.variant)
        };
        let Some(subject) = subjects.iter().filter(offered).find(|s| loads(kernel, s)) else {
            tally.undecided("offered by no program that loads here");
            continue;
        };
        for i in 0..5 {
            ask(kernel, subject, profile.version, proto, i, &maps, &mut tally);
        }
    }
    Ok(tally)
}

impl Maps {
    pub fn new(kernel: &Kernel) -> Result<Maps> {
        let attr = CreateAttr {
            map_type: MapType::Array.raw(),
            key_size: 4,
            value_size: 8,
            max_entries: 1,
            ..Default::default()
        };
        let readonly = CreateAttr { value_size: VALUE_SIZE, map_flags: flags::RDONLY_PROG, ..attr };
        let make = |a| kernel.create_map(a, None).map_err(|e| anyhow!("cannot make an array: errno {e}"));
        Ok(Maps { plain: make(&attr)?, readonly: make(&readonly)? })
    }
}

/// Whether the kernel's answers to this program are those of the prototype, as far as can be asked.
pub fn agrees(kernel: &mut Kernel, subject: &Subject, version: Version, proto: &Proto, maps: &Maps) -> bool {
    let mut tally = Tally::default();
    for i in 0..5 {
        ask(kernel, subject, version, proto, i, maps, &mut tally);
    }
    tally.differ.is_empty()
}

fn loads(kernel: &mut Kernel, subject: &Subject) -> bool {
    kernel.load(&subject.load(&code::returning(subject.good_return()), 1)).errno == 0
}

/// All questions about argument `i`.
fn ask(
    kernel: &mut Kernel,
    subject: &Subject,
    version: Version,
    proto: &Proto,
    i: usize,
    maps: &Maps,
    tally: &mut Tally,
) {
    let arg = proto.args[i];
    let scalar = scalar(version);
    let Some(before) =
        proto.args[..i].iter().enumerate().map(|(n, a)| good(*a, n, &maps.plain)).collect::<Option<Vec<_>>>()
    else {
        tally.undecided("an earlier argument cannot be supplied");
        return;
    };
    let reg = i as u8 + 1;
    let mut says = |last: Vec<Insn>, wanted: &str, expected: bool, tally: &mut Tally| {
        // r6 keeps the context; 64 bytes of stack are zero.
        let mut insns = vec![code::copy(6, 1)];
        insns.extend((1..=8).map(|slot| code::store_imm(8, 10, -8 * slot, 0)));
        // Nothing is left in the argument registers by accident.
        insns.extend(before.iter().flatten());
        insns.extend(last);
        insns.push(code::call(proto.id));
        insns.extend(code::returning(subject.good_return()));
        let answer = kernel.load(&subject.load(&insns, 1));
        let what = || {
            format!(
                "{} #{} {} argument {reg}: {wanted:?} in {:?}",
                subject.describe(),
                proto.id,
                proto.name(),
                tail(answer.log)
            )
        };
        tally.compare(what, expected, answer.log.contains(wanted));
    };
    match arg.kind {
        ArgKind::None => return,
        // r1 is the context when the program begins.
        ArgKind::Anything if reg == 1 => return,
        ArgKind::Anything => return says(vec![], &format!("R{reg} !read_ok"), true, tally),
        ArgKind::Size { .. } | ArgKind::ConstAllocSize => {
            says(vec![code::copy(reg, 10)], &format!("R{reg} type=fp expected={scalar}\n"), true, tally);
            if let ArgKind::Size { zero_allowed } = arg.kind {
                says(vec![code::set(reg, 0)], "invalid zero-sized read", !zero_allowed, tally);
            }
            return;
        }
        _ => {}
    }
    let wanted = format!("R{reg} type={scalar} expected={}\n", expected_types(arg.kind, version));
    says(vec![code::set(reg, 7)], &wanted, true, tally);
    says(vec![code::set(reg, 0)], &wanted, !arg.nullable, tally);
    let value = value_address(reg, &maps.readonly);
    match arg.kind {
        ArgKind::Mem(access, MemSize::Fixed { size, .. }) => {
            if access.writes() {
                says(value, "write into map forbidden", true, tally);
            } else {
                says(value, &format!("value_size={VALUE_SIZE} off=0 size={size}"), true, tally);
            }
        }
        ArgKind::Mem(access, MemSize::Arg(_)) => {
            let size = code::set(reg + 1, VALUE_SIZE as i32);
            let last = value.into_iter().chain([size]).collect();
            says(last, "write into map forbidden", access.writes(), tally);
        }
        ArgKind::MapKey => says(value, &format!("value_size={VALUE_SIZE} off=0 size=4"), true, tally),
        ArgKind::MapValue(access) if access.writes() => says(value, "write into map forbidden", true, tally),
        ArgKind::MapValue(_) => says(value, &format!("value_size={VALUE_SIZE} off=0 size=8"), true, tally),
        _ => {}
    }
}

fn tail(log: &str) -> String {
    log.lines().rfind(|l| !l.starts_with("processed ")).unwrap_or("").to_owned()
}

/// Instructions that make register n + 1 a good argument of this kind.
pub fn good(arg: Arg, n: usize, map: &OwnedFd) -> Option<Vec<Insn>> {
    let reg = n as u8 + 1;
    let stack = || vec![code::copy(reg, 10), code::add(reg, -64)];
    Some(match arg.kind {
        ArgKind::None | ArgKind::Anything => vec![code::set(reg, 0)],
        _ if arg.nullable && !matches!(arg.kind, ArgKind::Mem(..)) => vec![code::set(reg, 0)],
        ArgKind::Ctx => vec![code::copy(reg, 6)],
        ArgKind::ConstMapPtr => code::map(reg, map.as_raw_fd()).to_vec(),
        ArgKind::MapKey | ArgKind::MapValue(_) | ArgKind::Mem(..) | ArgKind::Stack => stack(),
        ArgKind::Size { .. } | ArgKind::ConstAllocSize => vec![code::set(reg, 8)],
        ArgKind::Dynptr { uninit: true, .. } => stack(),
        _ => return None,
    })
}

/// The address of the map's value: `ldimm64` with source 2.
fn value_address(reg: u8, fd: &OwnedFd) -> Vec<Insn> {
    let mut insns = code::map(reg, fd.as_raw_fd()).to_vec();
    insns[0].src = 2;
    insns
}

/// How this kernel calls a number.
pub fn scalar(version: Version) -> &'static str {
    if version < Version::parse("5.18") { "inv" } else { "scalar" }
}

/// The register types that a kind takes, as the message lists them.
fn expected_types(kind: ArgKind, version: Version) -> &'static str {
    let by_version = |rows: &[(Span, &'static str)]| {
        rows.iter().find(|(span, _)| span.holds(version)).map_or("?", |&(_, types)| types)
    };
    let (to_5_18, to_6_12) = (Span::ALWAYS.until(5, 18), Span::ALWAYS.until(6, 12));
    match kind {
        ArgKind::Mem(_, MemSize::Fixed { aligned: true, .. }) if to_5_18.holds(version) => {
            "fp, pkt, pkt_meta, map_value"
        }
        ArgKind::MapKey | ArgKind::MapValue(_) if to_6_12.holds(version) => {
            by_version(&[(to_5_18, "fp, pkt, pkt_meta, map_value"), (to_6_12, "fp, pkt, pkt_meta, map_key, map_value")])
        }
        ArgKind::MapKey | ArgKind::MapValue(_) | ArgKind::Mem(..) => by_version(&[
            (to_5_18, "fp, pkt, pkt_meta, map_value, mem, rdonly_buf, rdwr_buf"),
            (to_6_12, "fp, pkt, pkt_meta, map_key, map_value, mem, alloc_mem, buf"),
            (Span::ALWAYS.until(7, 2), "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_"),
            (Span::ALWAYS, "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_, ctx"),
        ]),
        ArgKind::Size { .. } | ArgKind::ConstAllocSize | ArgKind::None | ArgKind::Anything => scalar(version),
        ArgKind::ConstMapPtr => "map_ptr",
        ArgKind::Ctx => "ctx",
        ArgKind::SockCommon => "sock_common, sock, tcp_sock, xdp_sock",
        ArgKind::BtfSockCommon => by_version(&[
            (to_6_12, "sock_common, sock, tcp_sock, xdp_sock, ptr_"),
            (Span::ALWAYS, "sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_"),
        ]),
        ArgKind::Socket => "sock",
        ArgKind::Btf(_) | ArgKind::BtfOfKptr => {
            by_version(&[(to_6_12, "ptr_"), (Span::ALWAYS, "ptr_, trusted_ptr_, rcu_ptr_")])
        }
        ArgKind::KptrDest if Span::ALWAYS.since(7, 2).holds(version) => "map_value, ptr_, ptr_, rcu_ptr_",
        ArgKind::SpinLock | ArgKind::KptrDest => {
            by_version(&[(to_6_12, "map_value"), (Span::ALWAYS, "map_value, ptr_")])
        }
        ArgKind::RingbufMem => by_version(&[(to_5_18, "mem"), (to_6_12, "alloc_mem"), (Span::ALWAYS, "ringbuf_mem")]),
        ArgKind::PercpuBtf => {
            by_version(&[(to_6_12, "percpu_ptr_"), (Span::ALWAYS, "percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_")])
        }
        ArgKind::Func => "func",
        ArgKind::Stack => "fp",
        ArgKind::ConstStr | ArgKind::Timer => "map_value",
        ArgKind::Dynptr { .. } => "fp, dynptr_ptr",
    }
}
