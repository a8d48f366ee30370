//! Helper availability: every helper in every program, with and without capabilities and a GPL license; and, where a helper is
//! offered, how many registers the kernel says the call reads.

use anyhow::{Result, anyhow};
use spec::Profile;
use spec::helper::{self, ArgKind, HelperAvail, HelperId};
use spec::profile::Caps;
use spec::prog::{self, ProgContext, ProgType};

use super::Tally;
use super::code;
use super::subjects::{self, Subject};
use super::sys::{Kernel, Load};

/// How far a helper call gets before its arguments are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gets {
    Unknown,
    NotOffered,
    NeedsGpl,
    FailsAllowCheck,
    MightSleep,
    /// To its arguments, which are this many registers (when the log tells).
    Arguments(Option<usize>),
}

pub fn compare(kernel: &mut Kernel, profile: &Profile) -> Result<Tally> {
    let mut tally = Tally::default();
    // The many LSM hooks differ in columns that `few` has.
    let few = subjects::few(profile);
    let others = subjects::all(profile).into_iter().filter(|s| s.prog.prog_type != ProgType::Lsm);
    let lsm = few.iter().copied().filter(|s| s.prog.prog_type == ProgType::Lsm);
    for subject in others.chain(lsm) {
        ask_all(kernel, profile, &subject, "GPL", 2, &mut tally);
    }
    let subsets = [
        Caps { sys_admin: false, ..Caps::ALL },
        Caps { sys_admin: false, perfmon: false, ..Caps::ALL },
        Caps { bpf: true, ..Caps::NONE },
    ];
    for subject in few {
        ask_all(kernel, profile, &subject, "Proprietary", 1, &mut tally);
        for caps in subsets {
            let reduced = profile.clone().with_caps(caps);
            kernel.with_caps(caps, |kernel| {
                ask_all(kernel, &reduced, &subject, "GPL", 1, &mut tally);
                Ok(())
            })?;
        }
    }
    Ok(tally)
}

fn ask_all(
    kernel: &mut Kernel,
    profile: &Profile,
    subject: &Subject,
    license: &'static str,
    log_level: u32,
    tally: &mut Tally,
) {
    // One more than there are, so that the end of the table is asked about too.
    for id in 0..=count(profile) {
        let [zero, exit] = code::returning(subject.good_return());
        let insns = [code::call(id), zero, exit];
        match observed(kernel, &Load { license, ..subject.load(&insns, log_level) }) {
            Ok(gets) => {
                let ours = predicted(profile, subject, license, id, matches!(gets, Gets::Arguments(Some(_))));
                let what = || format!("{} #{id} {} {license}", subject.describe(), caps(profile.caps));
                tally.compare(what, ours, gets);
            }
            Err(why) => tally.undecided(why),
        }
    }
}

fn caps(caps: Caps) -> String {
    let Caps { bpf, perfmon, net_admin, sys_admin } = caps;
    let names = [(bpf, "bpf"), (perfmon, "perfmon"), (net_admin, "net_admin"), (sys_admin, "sys_admin")];
    names.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect::<Vec<_>>().join("+")
}

/// Whether the kernel offers the helper to this program with every capability.
pub fn is_offered(kernel: &mut Kernel, prog: ProgContext<'static>, id: HelperId) -> Result<bool> {
    is_offered_to(kernel, &Subject::of(prog), id)
}

/// The same for a program with a target.
pub fn is_offered_to(kernel: &mut Kernel, subject: &Subject, id: HelperId) -> Result<bool> {
    let [value, exit] = code::returning(subject.good_return());
    let gets = observed(kernel, &subject.load(&[code::call(id), value, exit], 1));
    Ok(!matches!(gets.map_err(|why| anyhow!("helper {id}: {why}"))?, Gets::Unknown | Gets::NotOffered))
}

fn observed(kernel: &mut Kernel, load: &Load<'_>) -> Result<Gets, String> {
    let answer = kernel.load(load);
    let log = answer.log;
    if answer.errno != 0 && log.is_empty() {
        return Err(format!("type {} refused with errno {} before verification", load.prog_type, answer.errno));
    }
    let gets = if log.contains("invalid func ") {
        Gets::Unknown
    } else if log.contains("program of this type cannot use helper") || log.contains("unknown func ") {
        // The second is how it was said before 6.13.
        Gets::NotOffered
    } else if log.contains("cannot call GPL-restricted function") {
        Gets::NeedsGpl
    } else if log.contains("helper call is not allowed in probe") {
        Gets::FailsAllowCheck
    } else if log.contains("helper call might sleep in a non-sleepable prog")
        || (log.contains("sleepable helper ") && log.contains("in non-sleepable prog"))
    {
        Gets::MightSleep
    } else if answer.errno == 0 || log.contains("(85) call") {
        Gets::Arguments(registers_read(log))
    } else {
        return Err(format!("{} (errno {})", log.lines().last().unwrap_or(""), answer.errno));
    };
    Ok(gets)
}

/// One past the highest helper number.
fn count(profile: &Profile) -> HelperId {
    match profile.other().map(|o| o.kernel.helper_numbers()) {
        None | Some(0) => helper::COUNT,
        Some(count) => count,
    }
}

/// The registers that `Live regs before insn:` shows before the call at instruction 0: `      0: .123...... (85) call`.
fn registers_read(log: &str) -> Option<usize> {
    let line = log.lines().skip_while(|l| *l != "Live regs before insn:").nth(1)?;
    let registers = line.trim_start().strip_prefix("0: ")?.get(1..6)?;
    Some(registers.bytes().filter(u8::is_ascii_digit).count())
}

fn predicted(profile: &Profile, subject: &Subject, license: &str, id: HelperId, counted: bool) -> Gets {
    if id >= count(profile) {
        return Gets::Unknown;
    }
    let HelperAvail::Yes { proto, need } = profile.helper(subject.prog, id) else { return Gets::NotOffered };
    if !need.met_by(profile.caps) {
        Gets::NotOffered
    } else if proto.gpl_only && !prog::is_gpl_compatible(license) {
        Gets::NeedsGpl
    } else if proto.allow_check.is_some_and(|check| !check.passes(&subject.prog, profile.version)) {
        Gets::FailsAllowCheck
    } else if proto.might_sleep(&subject.prog, &profile.changes) && !subject.prog.sleepable {
        Gets::MightSleep
    } else {
        let args = proto.args.iter().filter(|a| a.kind != ArgKind::None).count();
        Gets::Arguments(counted.then_some(args))
    }
}
