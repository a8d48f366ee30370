//! Maps in programs: which helper takes which map type, which types a sleepable program may use, which have direct values.

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::Result;
use btf::Kind;
use spec::Profile;
use spec::helper::{ArgKind, HelperAvail, PROTOS, Proto};
use spec::lsm;
use spec::map::{self, MapType};
use spec::prog::{self, AttachType, ProgContext, ProgType};

use super::Tally;
use super::code;
use super::helper_args::good;
use super::maps::working;
use super::subjects::{self, Subject};
use super::sys::Kernel;

pub fn compare(kernel: &mut Kernel, profile: &Profile) -> Result<Tally> {
    let mut tally = Tally::default();
    let array = kernel.create_map(&working(MapType::Array), None);
    let inner = array.as_ref().ok().map(|fd| fd.as_raw_fd());
    let subjects = subjects::few(profile);
    for &ty in MapType::ALL {
        let Ok(fd) = kernel.create_map(&working(ty), inner) else {
            tally.undecided(format!("no {ty} without BTF"));
            continue;
        };
        in_sleepable(kernel, profile, ty, &fd, &mut tally);
        direct_value(kernel, ty, &fd, &mut tally);
        object(kernel, ty, &fd, &mut tally);
        for proto in PROTOS {
            for subject in &subjects {
                let offer = profile.helper(subject.prog, proto.id);
                if matches!(offer, HelperAvail::Yes { proto: p, .. } if p == proto) {
                    in_helper(kernel, subject, proto, ty, &fd, &mut tally);
                }
            }
        }
    }
    Ok(tally)
}

fn in_sleepable(kernel: &mut Kernel, profile: &Profile, ty: MapType, fd: &OwnedFd, tally: &mut Tally) {
    let Some(subject) = sleeper(profile) else {
        tally.undecided("nothing sleeps here");
        return;
    };
    let mut insns = code::map(1, fd.as_raw_fd()).to_vec();
    insns.extend(code::returning(0));
    let answer = kernel.load(&subject.load(&insns, 1));
    let refused = answer.log.contains("Sleepable programs can only use");
    tally.compare(|| format!("{ty} in a sleepable program"), map::sleepable_may_use(ty, profile.version), !refused);
}

/// A program that sleeps and needs no target, or an LSM hook's.
fn sleeper(profile: &Profile) -> Option<Subject> {
    let kprobe = ProgContext { sleepable: true, ..ProgContext::of(ProgType::Kprobe) };
    if prog::may_be_sleepable(&kprobe, profile.version) {
        return Some(Subject::of(kprobe));
    }
    let attach_type = AttachType::LsmMac.raw();
    lsm::hooks(profile.version).filter(|h| h.sleeps(profile.version) && !h.disabled).map(|h| h.name).find_map(
        |target| {
            let attach_btf_id = profile.btf().find(Kind::Func, &format!("bpf_lsm_{target}"))?;
            let prog = ProgContext { sleepable: true, attach_type, target, ..ProgContext::of(ProgType::Lsm) };
            Some(Subject { prog, attach_btf_id })
        },
    )
}

fn direct_value(kernel: &mut Kernel, ty: MapType, fd: &OwnedFd, tally: &mut Tally) {
    let subject = Subject::of(ProgContext::of(ProgType::SocketFilter));
    let mut insns = code::map(1, fd.as_raw_fd()).to_vec();
    insns[0].src = 2;
    insns.extend(code::returning(0));
    let answer = kernel.load(&subject.load(&insns, 1));
    if ty == MapType::Arena && answer.log.contains("user address must be set") {
        tally.undecided("an ARENA without an address");
        return;
    }
    let refused = answer.log.contains("no direct value access support");
    tally.compare(|| format!("{ty} has direct values"), map::supports_direct_value(ty), !refused);
}

/// The struct behind a map pointer, named when a program stores to it.
fn object(kernel: &mut Kernel, ty: MapType, fd: &OwnedFd, tally: &mut Tally) {
    let subject = Subject::of(ProgContext::of(ProgType::SocketFilter));
    let mut insns = code::map(1, fd.as_raw_fd()).to_vec();
    insns.push(code::store_imm(8, 1, 0, 0));
    insns.extend(code::returning(0));
    let answer = kernel.load(&subject.load(&insns, 1));
    if answer.log.contains("user address must be set") {
        tally.undecided("an ARENA without an address");
        return;
    }
    let rest = answer.log.split_once("only read from ").map(|(_, rest)| rest);
    let name = rest.and_then(|r| r.split_once(" is supported")).map(|(name, _)| name.to_owned());
    tally.compare(|| format!("object of {ty}"), map::object_struct(ty).map(str::to_owned), name);
}

fn in_helper(kernel: &mut Kernel, subject: &Subject, proto: &Proto, ty: MapType, fd: &OwnedFd, tally: &mut Tally) {
    if !proto.args.iter().any(|a| a.kind == ArgKind::ConstMapPtr) {
        return;
    }
    let mut insns = vec![code::copy(6, 1)];
    insns.extend((1..=8).map(|slot| code::store_imm(8, 10, -8 * slot, 0)));
    for (n, arg) in proto.args.iter().enumerate() {
        let Some(set) = good(*arg, n, fd) else {
            tally.undecided("an argument cannot be supplied");
            return;
        };
        insns.extend(set);
    }
    insns.push(code::call(proto.id));
    insns.extend(code::returning(subject.good_return()));
    let answer = kernel.load(&subject.load(&insns, 1));
    let refused = answer.log.contains("cannot pass map_type");
    // The call itself may fail for other reasons; those that come after this check show as a return value.
    if !refused && answer.errno != 0 {
        tally.undecided("the call fails earlier or later for another reason");
        return;
    }
    let sockmap = matches!(ty, MapType::Sockmap | MapType::Sockhash) && matches!(proto.id, 2 | 3);
    let ours =
        map::helper_accepts(ty, proto.id) && (!sockmap || prog::may_update_sockmap(&subject.prog, proto.id == 3));
    tally.compare(|| format!("{} {} takes {ty}", subject.describe(), proto.name()), ours, !refused);
}
