//! Helper results: calls whose arguments can all be supplied, and what the log then shows in r0: its kind, whether it may be NULL,
//! whether it carries a reference.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::Result;
use spec::Profile;
use spec::helper::{ArgKind, Effects, HelperAvail, PROTOS, Proto, RetKind};
use spec::map::{self, MapType};

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
    for proto in PROTOS {
        for subject in &subjects {
            let offer = profile.helper(subject.prog, proto.id);
            if matches!(offer, HelperAvail::Yes { proto: p, .. } if p == proto) {
                ask(kernel, subject, proto, &maps, &mut tally);
            }
        }
    }
    Ok(tally)
}

fn ask(kernel: &mut Kernel, subject: &Subject, proto: &Proto, maps: &HashMap<MapType, OwnedFd>, tally: &mut Tally) {
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
    insns.push(code::call(proto.id));
    insns.extend(code::returning(subject.good_return()));
    let answer = kernel.load(&subject.load(&insns, 2));
    // `20: (85) call bpf_map_lookup_elem#1   ; R0=map_value_or_null(id=1,...) refs=2`, once it was accepted.
    let after = answer.log.lines().rfind(|l| l.contains(": (85) call")).and_then(|l| l.split_once("; "));
    let Some((_, shown)) = after else {
        return tally.undecided("the call is refused for another reason");
    };
    let Some(ours) = expected(proto) else { return tally.undecided("the result depends on an argument") };
    let register = shown.split_once("R0=").map_or("", |(_, r)| r);
    let kind: String = register.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let kind = if kind.chars().all(|c| c.is_ascii_digit()) && !kind.is_empty() { "scalar".to_owned() } else { kind };
    let refers = register.contains("ref_obj_id=");
    tally.compare(|| format!("{} {} result", subject.describe(), proto.name()), ours, (kind, refers));
}

/// The register as the log names it, and whether it is a new reference; `None` if the prototype alone does not say.
fn expected(proto: &Proto) -> Option<(String, bool)> {
    let kind = match proto.ret.kind {
        RetKind::Int => "scalar".to_owned(),
        RetKind::Void => return Some((String::new(), false)),
        RetKind::MapValue => "map_value".to_owned(),
        RetKind::Socket => "sock".to_owned(),
        RetKind::SockCommon => "sock_common".to_owned(),
        RetKind::TcpSock => "tcp_sock".to_owned(),
        RetKind::Mem { ringbuf: true, .. } => "ringbuf_mem".to_owned(),
        RetKind::Mem { ringbuf: false, .. } => "mem".to_owned(),
        RetKind::Btf { name, trusted } => format!("{}ptr_{name}", if trusted { "trusted_" } else { "" }),
        RetKind::MemOrBtf | RetKind::BtfOfKptr => return None,
    };
    let or_null = match (proto.ret.kind, proto.ret.nullable) {
        (_, false) => "",
        // In the middle of the name, for BTF pointers.
        (RetKind::Btf { name, trusted }, true) => {
            let trust = if trusted { "trusted_" } else { "" };
            return Some((format!("{trust}ptr_or_null_{name}"), proto.effects.contains(Effects::ACQUIRE)));
        }
        (_, true) => "_or_null",
    };
    Some((kind + or_null, proto.effects.contains(Effects::ACQUIRE)))
}
