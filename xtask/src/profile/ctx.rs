//! Context fields, and the fields of socket-like registers: every offset, size and direction, and the register that a load yields.

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Result, anyhow};
use isa::Insn;
use spec::Profile;
use spec::ctx::{self, AccessKind, CtxAccess, CtxReg, FieldReg};
use spec::kernels::Feature;
use spec::map::CreateAttr;
use spec::profile::Caps;
use spec::prog::{ProgContext, ProgType};

use super::Tally;
use super::code;
use super::subjects::{self, Subject};
use super::sys::Kernel;

/// How an access is spelt: two instructions may store.
const SPELLINGS: [(AccessKind, bool); 4] =
    [(AccessKind::Read, false), (AccessKind::ReadSx, false), (AccessKind::Write, false), (AccessKind::Write, true)];

/// How far from both ends of a large context every offset is tried.
const EDGE: i32 = 48;

pub fn compare(kernel: &mut Kernel, profile: &Profile) -> Result<Tally> {
    let mut tally = Tally::default();
    for subject in subjects::all(profile) {
        // These look at the context the same way under every attach type.
        let same =
            matches!(subject.prog.prog_type, ProgType::SockOps | ProgType::CgroupDevice | ProgType::CgroupSysctl);
        if same && subject.prog.attach_type != 0 {
            continue;
        }
        let Some(layout) = profile.ctx(&subject.prog) else { continue };
        for off in offsets(layout.size) {
            each_access(profile, |kind, imm, size| {
                let found = layout.access(Caps::ALL, off.into(), size, kind);
                let ours = found.filter(|_| !imm || profile.changes.ctx_takes_immediates).map(|a| text(kind, &a));
                let mut insns = vec![code::set(2, 0), spell(kind, imm, size, 1, off)];
                insns.extend(code::returning(subject.good_return()));
                let imm = if imm { " imm" } else { "" };
                let what = || format!("{} ctx {kind:?} off {off} size {size}{imm}", subject.describe());
                ask(kernel, &subject, &insns, kind, ours, what, &mut tally);
            });
        }
    }
    registers(kernel, profile, &mut tally)?;
    Ok(tally)
}

fn offsets(size: u32) -> Vec<i16> {
    let end = i32::try_from(size).unwrap_or(i32::MAX).min(i32::from(i16::MAX) - EDGE);
    let all = if end <= 512 {
        (-EDGE..end + EDGE).collect::<Vec<_>>()
    } else {
        (-EDGE..EDGE).chain(end - EDGE..end + EDGE).collect()
    };
    all.into_iter().chain([i16::MIN.into()]).filter_map(|off| i16::try_from(off).ok()).collect()
}

fn each_access(profile: &Profile, mut ask: impl FnMut(AccessKind, bool, u32)) {
    let extends = profile.other().is_none_or(|o| o.kernel.has_feature(Feature::Ldsx));
    for (kind, imm) in SPELLINGS {
        for size in [1, 2, 4, 8] {
            if kind != AccessKind::ReadSx || (extends && size != 8) {
                ask(kind, imm, size);
            }
        }
    }
}

/// The access through `base`; loads go to r3, stores come from r2.
fn spell(kind: AccessKind, imm: bool, size: u32, base: u8, off: i16) -> Insn {
    match (kind, imm) {
        (AccessKind::Read, _) => code::load(size, 3, base, off),
        (AccessKind::ReadSx, _) => code::load_sx(size, 3, base, off),
        (AccessKind::Write, false) => code::store(size, base, off, 2),
        (AccessKind::Write, true) => code::store_imm(size, base, off, 0),
    }
}

fn ask(
    kernel: &mut Kernel,
    subject: &Subject,
    insns: &[Insn],
    kind: AccessKind,
    ours: Option<String>,
    what: impl FnOnce() -> String,
    tally: &mut Tally,
) {
    const REFUSALS: [&str; 6] = [
        "invalid bpf_context access",
        " access off=",
        "cannot write into",
        "invalid access to flow keys",
        "BPF_ST stores into R1 ",
        "outside of the allowed memory range",
    ];
    // Before 6.16, and since.
    const CONVERSION: [&str; 2] = ["bpf verifier is misconfigured", "error during ctx access conversion"];
    let answer = kernel.load(&subject.load(insns, 2));
    if answer.errno != 0 && answer.log.is_empty() {
        tally.undecided(format!("{} refused with errno {}", subject.prog.prog_type, answer.errno));
    } else if REFUSALS.iter().any(|r| answer.log.contains(r)) {
        tally.compare(what, ours, None);
    } else if CONVERSION.iter().any(|c| answer.log.contains(c)) {
        tally.compare(what, ours, Some("conversion fails".to_owned()));
    } else if answer.errno != 0 {
        tally.undecided(answer.log.lines().rev().nth(1).unwrap_or("").to_owned());
    } else if kind == AccessKind::Write {
        tally.compare(what, ours, Some(String::new()));
    } else {
        tally.compare(what, ours, Some(shown(answer.log).to_owned()));
    }
}

/// The kind of the register R3 as the log shows it last, up to its parenthesis.
pub fn shown(log: &str) -> &str {
    // Older kernels mark what the instruction wrote, and called numbers something else.
    let value = |at: usize| log[at + 2..].strip_prefix("_w").unwrap_or(&log[at + 2..]).strip_prefix('=');
    let rest = log.rmatch_indices("R3").find_map(|(at, _)| value(at)).unwrap_or("");
    let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(rest.len());
    if &rest[..end] == "inv" { "scalar" } else { &rest[..end] }
}

/// What comes of an accepted access: a register kind as the log names it; nothing for stores.
fn text(kind: AccessKind, found: &CtxAccess) -> String {
    if found.conversion_fails {
        return "conversion fails".to_owned();
    }
    let or_null = |nullable| if nullable { "_or_null" } else { "" };
    if kind == AccessKind::Write {
        return String::new();
    }
    match found.reg {
        CtxReg::Scalar => "scalar".to_owned(),
        CtxReg::Pkt => "pkt".to_owned(),
        CtxReg::PktEnd => "pkt_end".to_owned(),
        CtxReg::PktMeta => "pkt_meta".to_owned(),
        CtxReg::FlowKeys => "flow_keys".to_owned(),
        CtxReg::TpBuffer => "tp_buffer".to_owned(),
        CtxReg::Sock { nullable } => format!("sock{}", or_null(nullable)),
        CtxReg::SockCommon { nullable } => format!("sock_common{}", or_null(nullable)),
        CtxReg::TrustedPtr(name) => format!("trusted_ptr_{name}"),
    }
}

/// Socket-like registers: programs that obtain one in r0, then use it.
fn registers(kernel: &mut Kernel, profile: &Profile, tally: &mut Tally) -> Result<()> {
    let xskmap = xskmap(kernel)?;
    for reg in [FieldReg::Sock, FieldReg::SockCommon, FieldReg::TcpSock, FieldReg::XdpSock, FieldReg::FlowKeys] {
        let (ty, prologue) = obtain(reg, &xskmap);
        let subject = Subject::of(ProgContext::of(ty));
        for off in offsets(ctx::reg_layout(reg, profile.version).size) {
            each_access(profile, |kind, imm, size| {
                // A store through these is refused whatever the field says, and conversion is not reached.
                let found = ctx::reg_access(reg, profile.version, off.into(), size, kind);
                let ours = found.map(|a| text(kind, &a));
                let mut insns = prologue.clone();
                insns.extend([code::set(2, 0), spell(kind, imm, size, 0, off)]);
                insns.extend(code::returning(0));
                ask(kernel, &subject, &insns, kind, ours, || format!("{reg:?} {kind:?} off {off} size {size}"), tally);
            });
        }
    }
    Ok(())
}

fn xskmap(kernel: &Kernel) -> Result<OwnedFd> {
    let attr = CreateAttr {
        map_type: spec::MapType::Xskmap.raw(),
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        ..CreateAttr::default()
    };
    kernel.create_map(&attr, None).map_err(|errno| anyhow!("cannot make an XSKMAP: errno {errno}"))
}

/// The program type and the instructions that leave the register in r0, not null.
fn obtain(reg: FieldReg, xskmap: &OwnedFd) -> (ProgType, Vec<Insn>) {
    const FULLSOCK: u32 = 95;
    const TCP_SOCK: u32 = 96;
    const LOOKUP: u32 = 1;
    let unless_null = |r| [code::if_not(r, 0, 2), code::set(0, 0), code::exit()];
    let skb_sk = code::load(8, 1, 1, 168);
    let cast = |helper| {
        let mut insns = vec![skb_sk];
        insns.extend(unless_null(1));
        insns.push(code::call(helper));
        insns.extend(unless_null(0));
        insns
    };
    match reg {
        FieldReg::SockCommon => {
            let mut insns = vec![code::load(8, 0, 1, 168)];
            insns.extend([code::if_not(0, 0, 1), code::exit()]);
            (ProgType::SchedCls, insns)
        }
        FieldReg::Sock => (ProgType::SchedCls, cast(FULLSOCK)),
        FieldReg::TcpSock => (ProgType::SchedCls, cast(TCP_SOCK)),
        FieldReg::FlowKeys => (ProgType::FlowDissector, vec![code::load(8, 0, 1, 144)]),
        FieldReg::XdpSock => {
            let mut insns = code::map(1, xskmap.as_raw_fd()).to_vec();
            insns.extend([code::store_imm(4, 10, -4, 0), code::copy(2, 10), code::add(2, -4), code::call(LOOKUP)]);
            insns.extend(unless_null(0));
            (ProgType::Xdp, insns)
        }
    }
}
