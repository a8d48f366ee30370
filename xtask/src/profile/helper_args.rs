//! Helper arguments: for each argument that can be reached, a register of the wrong kind, and the message that its kind gives; the
//! constant 0, which only nullable arguments take; memory that may not be written; memory that is too small.

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Result, anyhow};
use isa::Insn;
use spec::Profile;
use spec::helper::{Arg, ArgKind, HelperAvail, MemSize, PROTOS, Proto};
use spec::map::{CreateAttr, MapType, flags};

use super::Tally;
use super::code;
use super::subjects::{self, Subject};
use super::sys::Kernel;

/// What the maps of the questions are like.
const VALUE_SIZE: u32 = 1;

struct Maps {
    /// Key 4, value 8.
    plain: OwnedFd,
    /// One value of one byte that programs may not write.
    readonly: OwnedFd,
}

pub fn compare(kernel: &mut Kernel, profile: &Profile) -> Result<Tally> {
    let mut tally = Tally::default();
    let attr =
        CreateAttr { map_type: MapType::Array.raw(), key_size: 4, value_size: 8, max_entries: 1, ..Default::default() };
    let readonly = CreateAttr { value_size: VALUE_SIZE, map_flags: flags::RDONLY_PROG, ..attr };
    let make = |a| kernel.create_map(a, None).map_err(|e| anyhow!("cannot make an array: errno {e}"));
    let maps = Maps { plain: make(&attr)?, readonly: make(&readonly)? };
    let subjects = subjects::few(profile);
    for proto in PROTOS {
        let offered = |s: &&Subject| {
            let offer = profile.helper(s.prog, proto.id);
            let sleeps = !proto.might_sleep || s.prog.sleepable;
            let allowed = proto.allow_check.is_none_or(|c| c.passes(&s.prog, profile.version));
            sleeps && allowed && matches!(offer, HelperAvail::Yes { proto: p, .. } if p.variant == proto.variant)
        };
        let Some(subject) = subjects.iter().filter(offered).find(|s| loads(kernel, s)) else {
            tally.undecided("offered by no program that loads here");
            continue;
        };
        for i in 0..5 {
            ask(kernel, subject, proto, i, &maps, &mut tally);
        }
    }
    Ok(tally)
}

fn loads(kernel: &mut Kernel, subject: &Subject) -> bool {
    kernel.load(&subject.load(&code::returning(subject.good_return()), 1)).errno == 0
}

/// All questions about argument `i`.
fn ask(kernel: &mut Kernel, subject: &Subject, proto: &Proto, i: usize, maps: &Maps, tally: &mut Tally) {
    let arg = proto.args[i];
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
            says(vec![code::copy(reg, 10)], &format!("R{reg} type=fp expected=scalar\n"), true, tally);
            if let ArgKind::Size { zero_allowed } = arg.kind {
                let wanted = format!("R{reg} invalid zero-sized read");
                says(vec![code::set(reg, 0)], &wanted, !zero_allowed, tally);
            }
            return;
        }
        _ => {}
    }
    let wanted = format!("R{reg} type=scalar expected={}\n", expected_types(arg.kind));
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

/// The register types that a kind takes, as the message lists them.
fn expected_types(kind: ArgKind) -> &'static str {
    match kind {
        ArgKind::MapKey | ArgKind::MapValue(_) | ArgKind::Mem(..) => {
            "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_"
        }
        ArgKind::Size { .. } | ArgKind::ConstAllocSize | ArgKind::None | ArgKind::Anything => "scalar",
        ArgKind::ConstMapPtr => "map_ptr",
        ArgKind::Ctx => "ctx",
        ArgKind::SockCommon => "sock_common, sock, tcp_sock, xdp_sock",
        ArgKind::BtfSockCommon => "sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_",
        ArgKind::Socket => "sock",
        ArgKind::Btf(_) | ArgKind::BtfOfKptr => "ptr_, trusted_ptr_, rcu_ptr_",
        ArgKind::SpinLock | ArgKind::KptrDest => "map_value, ptr_",
        ArgKind::RingbufMem => "ringbuf_mem",
        ArgKind::PercpuBtf => "percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_",
        ArgKind::Func => "func",
        ArgKind::Stack => "fp",
        ArgKind::ConstStr | ArgKind::Timer => "map_value",
        ArgKind::Dynptr { .. } => "fp, dynptr_ptr",
    }
}
