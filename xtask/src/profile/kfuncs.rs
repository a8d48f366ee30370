//! Kfuncs: every one that the kernel's BTF has, in every program: whether it may be called, and whether it sleeps.

use std::collections::BTreeSet;

use anyhow::Result;
use btf::Kind;
use spec::Profile;
use spec::kfunc::{self, Flags};

use super::Tally;
use super::code;
use super::subjects;
use super::sys::Kernel;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gets {
    /// The kernel's BTF has its prototype, the kernel no such function.
    NoAddress,
    NotAllowed,
    MustSleep,
    NeedsDevice,
    Arguments,
}

/// Kfuncs that ask for a device-bound program before it is asked who may call them.
const METADATA: [&str; 3] =
    ["bpf_xdp_metadata_rx_timestamp", "bpf_xdp_metadata_rx_hash", "bpf_xdp_metadata_rx_vlan_tag"];

pub fn compare(kernel: &mut Kernel, profile: &Profile) -> Result<Tally> {
    let mut tally = Tally::default();
    let btf = profile.btf();
    let mut names: BTreeSet<&str> = kfunc::all().iter().map(|k| k.name).collect();
    let tagged = btf_kfuncs(profile);
    for name in tagged.iter().filter(|name| profile.kfunc_flags(name).is_empty()) {
        tally.differ.push(format!("{name} is a kfunc of the kernel's BTF and not in the table"));
    }
    names.extend(tagged.iter().map(String::as_str));
    let subjects = subjects::few(profile);
    for name in names {
        let Some(id) = btf.find(Kind::Func, name) else {
            tally.undecided("not in the kernel's BTF");
            continue;
        };
        for subject in &subjects {
            let [value, exit] = code::returning(subject.good_return());
            let insns = [code::call_kfunc(id), value, exit];
            let answer = kernel.load(&subject.load(&insns, 1));
            // Before 5.13 no kernel function was called at all.
            let gets = if answer.log.contains("is not allowed") || answer.log.contains("BPF_CALL uses reserved fields")
            {
                Gets::NotAllowed
            } else if answer.log.contains("cannot find address for kernel function") {
                Gets::NoAddress
            } else if answer.log.contains("program must be sleepable") {
                Gets::MustSleep
            } else if answer.log.contains("require device-bound program") {
                Gets::NeedsDevice
            } else if answer.errno == 0 || answer.log.contains("(85) call") {
                Gets::Arguments
            } else {
                tally.undecided(match answer.log.lines().next() {
                    None => format!("{} refused with errno {}", subject.prog.prog_type, answer.errno),
                    Some(line) => line.replace(name, "..."),
                });
                continue;
            };
            let ours = match profile.kfunc(id, &subject.prog) {
                _ if profile.kfunc_is_prototype(name) => Gets::NoAddress,
                _ if METADATA.contains(&name) => Gets::NeedsDevice,
                None => Gets::NotAllowed,
                // Where the arguments come first, they are not good ones.
                Some(k)
                    if k.flags.contains(Flags::SLEEPABLE)
                        && !subject.prog.sleepable
                        && profile.changes.kfunc_sleep_first =>
                {
                    Gets::MustSleep
                }
                Some(_) => Gets::Arguments,
            };
            tally.compare(|| format!("{} {name}", subject.describe()), ours, gets);
        }
    }
    Ok(tally)
}

/// Functions that the kernel's BTF marks as kfuncs.
fn btf_kfuncs(profile: &Profile) -> Vec<String> {
    let btf = profile.btf();
    (1..btf.len())
        .filter(|&id| btf.kind(id) == Some(Kind::Func) && btf.has_decl_tag(id, -1, "bpf_kfunc"))
        .map(|id| btf.name(id).to_owned())
        .collect()
}
