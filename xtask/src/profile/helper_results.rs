//! Helper results: calls whose arguments can all be supplied, and what the log then shows in r0: its kind, whether it may be NULL,
//! whether it carries a reference, and its bounds.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::Result;
use spec::helper::{ArgKind, Effects, HelperAvail, PROTOS, Proto, RetKind, RetRange};
use spec::map::{self, MapType};
use spec::profile::Version;
use spec::{Profile, ProgType};

use super::Tally;
use super::code;
use super::helper_args::good;
use super::maps::working;
use super::subjects::{self, Subject};
use super::sys::Kernel;

pub fn compare(kernel: &mut Kernel, profile: &Profile) -> Result<Tally> {
    let mut tally = Tally::default();
    let inner = kernel.create_map(&working(MapType::Array), None).ok();
    let inner = inner.as_ref().map(AsRawFd::as_raw_fd);
    let maps: HashMap<MapType, OwnedFd> =
        MapType::ALL.iter().filter_map(|&ty| Some((ty, kernel.create_map(&working(ty), inner).ok()?))).collect();
    let subjects = subjects::few(profile);
    for proto in PROTOS.iter().filter(|p| p.span.holds(profile.version)) {
        for subject in &subjects {
            let offer = profile.helper(subject.prog, proto.id);
            if matches!(offer, HelperAvail::Yes { proto: p, .. } if p == proto) {
                ask(kernel, profile, subject, proto, &maps, &mut tally);
            }
        }
    }
    Ok(tally)
}

fn ask(
    kernel: &mut Kernel,
    profile: &Profile,
    subject: &Subject,
    proto: &Proto,
    maps: &HashMap<MapType, OwnedFd>,
    tally: &mut Tally,
) {
    // The first type that fits is the plainest: HASH, where there is a choice.
    let fits = |ty: &&MapType| map::helper_accepts(**ty, proto.id);
    let Some(fd) = MapType::ALL.iter().filter(fits).find_map(|ty| maps.get(ty)) else {
        return tally.undecided("its map needs BTF");
    };
    let mut insns = vec![code::copy(6, 1)];
    insns.extend((1..=8).map(|slot| code::store_imm(8, 10, -8 * slot, 0)));
    for (n, arg) in proto.args.iter().enumerate() {
        match good(*arg, n, fd) {
            Some(set) if arg.kind != ArgKind::None => insns.extend(set),
            Some(_) => {}
            None => return tally.undecided("an argument cannot be supplied"),
        }
    }
    // Somebody looks at r0: kernels forget registers that nobody will read.
    insns.extend([code::call(proto.id), code::copy(7, 0)]);
    insns.extend(code::returning(subject.good_return()));
    let answer = kernel.load(&subject.load(&insns, 2));
    let Some(register) = r0_after_call(answer.log) else {
        return tally.undecided("the call is refused for another reason");
    };
    let Some(mut ours) = expected(proto, profile.version) else {
        return tally.undecided("the result depends on an argument");
    };
    ours.range = range(proto, subject.prog.prog_type, profile.nr_cpus);
    let kind: String = register.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let number = ["inv", "invP", "scalar", "Pscalar"].contains(&kind.as_str());
    let kind = if number || is_number(&kind) { "scalar".to_owned() } else { kind };
    let kernels = Shown { kind, refers: register.contains("ref_obj_id="), range: shown_range(register) };
    tally.compare(|| format!("{} {} result", subject.describe(), proto.name()), ours, kernels);
}

/// What the log says of r0 after the call: nothing if it cannot be read.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    kind: String,
    refers: bool,
    /// Smallest and largest value, if not all 64 bits.
    range: Option<(i64, i64)>,
}

/// `20: (85) call bpf_map_lookup_elem#1   ; R0_w=map_value_or_null(id=1,...) refs=2`, once it was accepted; before 5.16 the state
/// stands before the next instruction: `21: R0_w=map_value_or_null(id=1,...) R6=ctx(...)`. `None` if there is no state after the call.
fn r0_after_call(log: &str) -> Option<&str> {
    // Lines of the walk begin with a number; what is printed before it is indented.
    let walked = |l: &str| l.starts_with(|c: char| c.is_ascii_digit());
    let mut lines = log.lines().skip_while(|l| !(walked(l) && l.contains(": (85) call")));
    let call = lines.next()?;
    let state = match call.split_once("; ") {
        Some((_, state)) => state,
        None => {
            lines.next().and_then(|next| next.split_once(": ")).map(|(_, rest)| rest).filter(|r| r.starts_with('R'))?
        }
    };
    let registers = state.split(' ').find(|r| r.starts_with("R0") && r.contains('='));
    Some(registers.and_then(|r| r.split_once('=')).map_or("", |(_, r)| r))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// The bounds of `scalar(smin=-4095,smax=smax32=8)` or `inv(id=0,smin_value=-4095,smax_value=8)`.
fn shown_range(register: &str) -> Option<(i64, i64)> {
    let inside = register.split_once('(')?.1;
    let bound = |names: [&str; 2]| {
        let groups = inside.trim_end_matches(')').split(',');
        // Equal bounds are printed once: `smin=smin32=-4095`.
        let group = groups.into_iter().find(|g| g.split('=').any(|word| names.contains(&word)))?;
        group.rsplit('=').next()?.parse().ok()
    };
    let low = bound(["smin", "smin_value"]).or(bound(["umin", "umin_value"]));
    let high = bound(["smax", "smax_value"]).or(bound(["umax", "umax_value"]));
    if low.is_none() && high.is_none() { None } else { Some((low.unwrap_or(0), high.unwrap_or(i64::MAX))) }
}

/// The bounds that the prototype gives to its result; a size argument is 8 in these questions.
fn range(proto: &Proto, ty: ProgType, nr_cpus: u32) -> Option<(i64, i64)> {
    match proto.ret_range {
        RetRange::Any => None,
        RetRange::Error => (ty != ProgType::Lsm).then_some((-4095, 0)),
        RetRange::ErrorOrSize => Some((-4095, 8)),
        RetRange::Cpu => Some((0, i64::from(nr_cpus) - 1)),
    }
}

/// The register as the log names it, and whether it is a new reference; `None` if the prototype alone does not say.
fn expected(proto: &Proto, version: Version) -> Option<Shown> {
    let shown = |kind: &str| Some(Shown { kind: kind.to_owned(), refers: false, range: None });
    let null = if proto.ret.nullable { "_or_null" } else { "" };
    let kind = match proto.ret.kind {
        RetKind::Int => return shown("scalar"),
        RetKind::Void => return shown(""),
        RetKind::MapValue => format!("map_value{null}"),
        RetKind::Socket => format!("sock{null}"),
        RetKind::SockCommon => format!("sock_common{null}"),
        RetKind::TcpSock => format!("tcp_sock{null}"),
        RetKind::Mem { ringbuf: true, .. } => format!("{}{null}", ringbuf_memory(version)),
        RetKind::Mem { ringbuf: false, .. } => format!("mem{null}"),
        // In the middle of the name, for BTF pointers.
        RetKind::Btf { name, trusted } => {
            let trust = if trusted { "trusted_" } else { "" };
            format!("{trust}ptr{null}_{name}")
        }
        RetKind::MemOrBtf | RetKind::BtfOfKptr => return None,
    };
    Some(Shown { kind, refers: proto.effects.contains(Effects::ACQUIRE), range: None })
}

/// How this kernel calls memory of a ring buffer.
fn ringbuf_memory(version: Version) -> &'static str {
    let before = |v| version < Version::parse(v);
    if before("5.18") {
        "mem"
    } else if before("6.12") {
        "alloc_mem"
    } else {
        "ringbuf_mem"
    }
}
