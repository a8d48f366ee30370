//! What a program type may do: attach types, privileges, sleeping, return values, LD_ABS, packet writes.

use anyhow::Result;
use isa::Insn;
use spec::Profile;
use spec::ctx::{AccessKind, CtxReg};
use spec::profile::Caps;
use spec::prog::{self, ProgContext, ProgType, ReturnRule};

use super::Tally;
use super::code;
use super::subjects::{self, Subject};
use super::sys::{Kernel, Load};

const EINVAL: i32 = 22;
const EPERM: i32 = 1;

pub fn compare(kernel: &mut Kernel, profile: &Profile) -> Result<Tally> {
    let mut tally = Tally::default();
    attach_types(kernel, profile, &mut tally);
    privileges(kernel, profile, &mut tally)?;
    flags(kernel, profile, &mut tally);
    for subject in subjects::all(profile) {
        sleeping(kernel, profile, &subject, &mut tally);
        let insns = code::returning(subject.good_return());
        let answer = kernel.load(&subject.load(&insns, 1));
        if answer.errno != 0 {
            let last = answer.log.lines().rfind(|l| !l.starts_with("processed ")).unwrap_or("before verification");
            // Which targets there are is asked elsewhere.
            tally.undecided(format!("{} is refused: {last}", subject.describe()));
            continue;
        }
        returns(kernel, profile, &subject, &mut tally);
        let ld_abs = [code::copy(6, 1), Insn { code: 0x30, ..Insn::default() }];
        says_no(
            kernel,
            &subject,
            &ld_abs,
            "not allowed for this program type",
            !prog::may_ld_abs(subject.prog.prog_type),
            &mut tally,
        );
        packet_write(kernel, profile, &subject, &mut tally);
    }
    Ok(tally)
}

/// Every attach type number, and some that do not exist.
fn attach_types(kernel: &mut Kernel, profile: &Profile, tally: &mut Tally) {
    for &ty in ProgType::ALL {
        for attach_type in (0..64).chain([1000]) {
            let fixed = prog::fixup_attach_type(ty, attach_type);
            let asked = ProgContext { attach_type: fixed, sleepable: ty == ProgType::Syscall, ..ProgContext::of(ty) };
            let subject = Subject::of(asked);
            let insns = code::returning(subject.good_return());
            let answer = kernel.load(&Load { attach_type, ..subject.load(&insns, 1) });
            if answer.log.is_empty() && answer.errno == EPERM {
                tally.undecided(format!("{ty} is refused before verification"));
                continue;
            }
            if ty == ProgType::LircMode2 {
                // Cannot be told from a type that was not built.
                tally.undecided("LIRC_MODE2 may not be built");
                continue;
            }
            let refused = answer.log.is_empty() && answer.errno == EINVAL;
            tally.compare(|| format!("{ty} attach type {attach_type}"), profile.has_attach(ty, attach_type), !refused);
        }
    }
}

/// Loading with one capability after the other missing.
fn privileges(kernel: &mut Kernel, profile: &Profile, tally: &mut Tally) -> Result<()> {
    let none = Caps::NONE;
    let subsets = [
        none,
        Caps { bpf: true, ..none },
        Caps { bpf: true, net_admin: true, ..none },
        Caps { bpf: true, perfmon: true, ..none },
        Caps { net_admin: true, perfmon: true, ..none },
    ];
    for subject in subjects::few(profile) {
        let insns = code::returning(subject.good_return());
        let load = subject.load(&insns, 1);
        if kernel.load(&load).errno != 0 {
            continue;
        }
        for caps in subsets {
            let refused = kernel.with_caps(caps, |k| Ok(k.load(&load).errno == EPERM))?;
            let needs = prog::load_needs(subject.prog.prog_type);
            let met = (!needs.bpf || caps.has_bpf())
                && (!needs.net_admin || caps.has_net_admin())
                && (!needs.perfmon || caps.has_perfmon())
                && (!profile.config.unprivileged_disabled || caps.has_bpf());
            tally.compare(|| format!("{} loads with {caps:?}", subject.describe()), met, !refused);
        }
    }
    Ok(())
}

/// Every flag of BPF_PROG_LOAD that needs nothing else.
fn flags(kernel: &mut Kernel, profile: &Profile, tally: &mut Tally) {
    let subject = Subject::of(ProgContext::of(ProgType::Xdp));
    let needs_more = prog::flags::XDP_DEV_BOUND_ONLY | prog::flags::TOKEN_FD;
    for flags in (0..32).map(|bit| 1 << bit).filter(|flag| flag & needs_more == 0) {
        let answer = kernel.load(&Load { flags, ..subject.load(&code::returning(0), 1) });
        let refused = answer.errno == EINVAL && answer.log.is_empty();
        let ours = prog::flags::accepted(profile.version) & flags != 0;
        tally.compare(|| format!("load flag {flags:#x}"), ours, !refused);
    }
}

fn sleeping(kernel: &mut Kernel, profile: &Profile, subject: &Subject, tally: &mut Tally) {
    // Targets have their own say.
    if subject.attach_btf_id != 0 {
        return;
    }
    for sleepable in [false, true] {
        let asked = Subject { prog: ProgContext { sleepable, ..subject.prog }, ..*subject };
        let insns = code::returning(subject.good_return());
        let refused = kernel.load(&asked.load(&insns, 1)).errno != 0;
        let must = subject.prog.prog_type == ProgType::Syscall;
        let built = subject.prog.prog_type != ProgType::LircMode2 || profile.config.lirc_mode2;
        let ours = built && if sleepable { prog::may_be_sleepable(&asked.prog, profile.version) } else { !must };
        tally.compare(|| format!("{} loads", asked.describe()), ours, !refused);
    }
}

fn returns(kernel: &mut Kernel, profile: &Profile, subject: &Subject, tally: &mut Tally) {
    // What a struct_ops member returns is in its BTF.
    if subject.prog.prog_type == ProgType::StructOps {
        return;
    }
    for value in [i32::MIN, -4096, -4095, -1, 0, 1, 2, 3, 4, i32::MAX] {
        let insns = code::returning(value);
        let answer = kernel.load(&subject.load(&insns, 1));
        let ours = match prog::return_rule(&subject.prog, profile.version) {
            ReturnRule::Any | ReturnRule::Unchecked => true,
            ReturnRule::Range(low, high) => (low..=high).contains(&value.into()),
            ReturnRule::Range32(low, high) => (low..=high).contains(&value),
        };
        tally.compare(|| format!("{} returns {value}", subject.describe()), ours, answer.errno == 0);
    }
}

/// Whether these instructions, followed by a good return, are refused with this text.
fn says_no(kernel: &mut Kernel, subject: &Subject, first: &[Insn], text: &str, ours: bool, tally: &mut Tally) {
    let mut insns = first.to_vec();
    insns.extend(code::returning(subject.good_return()));
    let answer = kernel.load(&subject.load(&insns, 1));
    tally.compare(|| format!("{} {text:?}", subject.describe()), ours, answer.log.contains(text));
}

/// A store through the context's packet pointer, where it has one.
fn packet_write(kernel: &mut Kernel, profile: &Profile, subject: &Subject, tally: &mut Tally) {
    let Some(layout) = profile.ctx(&subject.prog) else { return };
    let field_of = |reg| layout.fields().find(|f| f.access.reg == reg && f.access.read != spec::ctx::Sizes::No);
    let Some(data) = field_of(CtxReg::Pkt) else { return };
    if layout.access(Caps::ALL, data.off as i32, data.width, AccessKind::Read).is_none() {
        return;
    }
    let insns = [code::load(data.width, 2, 1, data.off as i16), code::store_imm(1, 2, 0, 0)];
    let may = prog::packet_rules(subject.prog.prog_type).write;
    says_no(kernel, subject, &insns, "cannot write into packet", !may, tally);
}
