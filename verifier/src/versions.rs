//! Other kernels than the reference: what such a kernel is recorded to lack is refused with its words. Where its walk is not modelled, what
//! the walk of 6.18 refuses stays refused only if an older kernel cannot have been more lenient; everything else is `unsupported` and says
//! what 6.18 would do. No rule of a walk is here: how modelled kernels differ is asked of `spec::profile::Changes` where it matters.

use crate::env::Verifier;
use crate::reg::Kind;
use crate::reject::errno::EINVAL;
use crate::reject::{R, Reject};
use isa::Insn;
use isa::consts::*;
use program::Program;
use spec::kernels::{Feature, Refusal};
use spec::profile::{Other, Version};
use spec::{AttachType, MapType, Profile, ProgType};

/// The series whose rules are told where those of the kernel are not known.
const REFERENCE: &str = "6.18";
/// What the kernel refuses before it verifies anything: maps of a type that it does not have, then the program's own types, then the
/// form of instructions.
pub fn before_load(p: &Program, other: &Other) -> R {
    let kernel = other.kernel;
    let lacks = |what: String| {
        Err(Reject::KernelLacks { what: format!("Linux {} has no {what}", kernel.series()), errno: EINVAL })
    };
    for map in p.maps.iter().flat_map(|m| [Some(m), m.inner.as_ref()]).flatten() {
        if let Some(ty) = MapType::from_raw(map.map_type).filter(|ty| !kernel.has_map(*ty)) {
            return lacks(format!("map type {ty} (map `{}`)", map.name));
        }
    }
    let Some(ty) = ProgType::from_raw(p.prog_type) else { return Ok(()) };
    if !kernel.has_type(ty) {
        return lacks(format!("program type {ty}"));
    }
    let attach = p.expected_attach_type;
    if kernel.has_attach(ty, attach) == Some(false) {
        let name = AttachType::from_raw(attach).map_or_else(|| attach.to_string(), |a| a.to_string());
        return lacks(format!("attach type {name} for program type {ty}"));
    }
    let mut second = false;
    for insn in &p.insns {
        // The second slot of a 64-bit immediate is no instruction.
        if !std::mem::replace(&mut second, insn.code == LDIMM64)
            && let Some(refusal) = refusal(other, insn).filter(|r| r.before_walk)
        {
            return Err(words(insn, refusal));
        }
    }
    Ok(())
}

/// What the kernel refuses when a path reaches the instruction.
pub fn on_path(insn: &Insn, other: &Other) -> R {
    match refusal(other, insn) {
        Some(refusal) if !refusal.before_walk => Err(words(insn, refusal)),
        _ => Ok(()),
    }
}

fn refusal(other: &Other, insn: &Insn) -> Option<Refusal> {
    other.kernel.refuses(feature(insn)?)
}

fn words(insn: &Insn, refusal: Refusal) -> Reject {
    // The words were recorded of a load_acquire; the kernel prints the number that it finds.
    let text = match refusal.words.strip_suffix(" 100") {
        Some(rest) => format!("{rest} {:02x}", insn.imm),
        None => refusal.words.to_owned(),
    };
    Reject::KernelRefuses { text, errno: refusal.errno }
}

/// What 6.18's answer to the program means for the kernel of this profile.
pub fn settle(v: Option<&Verifier<'_>>, profile: &Profile, result: R) -> R {
    let Some(other) = profile.other() else { return result };
    let version = Version::parse(other.kernel.version);
    let privileged = profile.caps.has_bpf() && profile.caps.has_perfmon();
    if profile.modelled && privileged {
        return result;
    }
    let loader = if privileged { "" } else { " for a loader without CAP_BPF and CAP_PERFMON" };
    let unmodelled = |answer: String| {
        let name = other.kernel.series();
        Err(Reject::unsupported(format!(
            "the walk of Linux {name}{loader} is not modelled; by the rules of {REFERENCE}: {answer}"
        )))
    };
    let reject = match result {
        Ok(()) => return unmodelled("accept".to_owned()),
        Err(reject) => reject,
    };
    match reject {
        Reject::KernelLacks { .. } | Reject::KernelRefuses { .. } | Reject::Unsupported { .. } => Err(reject),
        // A later kernel may see that a path cannot be, or may allow what 6.18 does not.
        _ if version > Version::parse(REFERENCE) => unmodelled(format!("reject: {}", brief(&reject))),
        Reject::HelperNotOffered { func } => {
            let withheld = v.is_some_and(|v| v.profile.helpers(v.prog_context()).withheld(func.0 as u32));
            if withheld { Err(reject) } else { unmodelled(format!("reject: {}", brief(&reject))) }
        }
        _ if as_strict_before(&reject) => Err(reject),
        _ => unmodelled(format!("reject: {}", brief(&reject))),
    }
}

/// Rules that are as old as the oldest kernel here, with the same words, that later kernels at most relaxed.
fn as_strict_before(reject: &Reject) -> bool {
    match reject {
        Reject::Silent { .. }
        | Reject::UnknownOpcode { .. }
        | Reject::JumpOutOfRange { .. }
        | Reject::UnreachableInsn { .. }
        | Reject::RegNotReadable { .. }
        | Reject::HelperInvalid { .. }
        | Reject::HelperUnknown { .. } => true,
        Reject::InvalidMemAccess { ty, .. } => ty.kind == Kind::Scalar,
        _ => false,
    }
}

fn brief(reject: &Reject) -> String {
    let text = reject.to_string();
    let line = text.trim_end().lines().last().unwrap_or("");
    if line.is_empty() { format!("errno -{}", reject.errno()) } else { line.to_owned() }
}

/// The instruction's entry among those that not every kernel has.
pub fn feature(insn: &Insn) -> Option<Feature> {
    let alu = matches!(class(insn.code), BPF_ALU | BPF_ALU64);
    match op(insn.code) {
        _ if class(insn.code) == BPF_STX && mode(insn.code) == BPF_ATOMIC => match insn.imm {
            0 => None,
            0x100 | 0x110 => Some(Feature::AcquireRelease),
            _ => Some(Feature::FetchAtomics),
        },
        _ if class(insn.code) == BPF_LDX => (mode(insn.code) == BPF_MEMSX).then_some(Feature::Ldsx),
        BPF_DIV | BPF_MOD if alu && insn.off == 1 => Some(Feature::SignedDivision),
        BPF_MOV if alu && insn.off != 0 && insn.code & BPF_X != 0 => match insn.off {
            8 | 16 | 32 => Some(Feature::Movsx),
            _ => None,
        },
        BPF_END if class(insn.code) == BPF_ALU64 => Some(Feature::Bswap),
        _ if insn.code == BPF_JMP32 | BPF_JA => Some(Feature::Gotol),
        _ if insn.code == MAY_GOTO => Some(Feature::MayGoto),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Outcome, Verdict, verify};

    /// r0 = 0 between `body` and exit, judged for a kernel as if its walk were not modelled.
    fn judged(kernel: &str, ty: ProgType, body: &[(u8, u8, u8, i16, i32)]) -> Outcome {
        let insn = |&(code, dst, src, off, imm): &(u8, u8, u8, i16, i32)| Insn { code, dst, src, off, imm };
        let mut insns: Vec<Insn> = body.iter().map(insn).collect();
        insns.extend([(0xb7, 0, 0, 0, 0), (0x95, 0, 0, 0, 0)].iter().map(insn));
        let program = Program { prog_type: ty.raw(), insns, license: "GPL".to_owned(), ..Program::default() };
        let mut profile = Profile::load(kernel).expect("in the source tree");
        profile.modelled &= profile.other().is_none();
        verify(&program, &profile, &Options::default())
    }

    fn said(o: &Outcome) -> (Verdict, i32, &str) {
        (o.verdict, o.errno, o.message.lines().last().unwrap_or(""))
    }

    #[test]
    fn another_kernel_is_never_said_to_accept() {
        for kernel in ["5.10", "6.1", "6.12", "7.2"] {
            let o = judged(kernel, ProgType::Xdp, &[]);
            let text = format!("unsupported: the walk of Linux {kernel} is not modelled; by the rules of 6.18: accept");
            assert_eq!(said(&o), (Verdict::Unsupported, -95, text.as_str()));
            assert!(o.facts.is_none());
        }
        assert_eq!(judged("6.18", ProgType::Xdp, &[]).verdict, Verdict::Accept);
    }

    #[test]
    fn rules_for_the_unprivileged_are_those_of_6_18_only() {
        let program =
            Program { prog_type: ProgType::SocketFilter.raw(), license: "GPL".to_owned(), ..Program::default() };
        let insn = |(code, imm)| Insn { code, dst: 0, src: 0, off: 0, imm };
        let program = Program { insns: [(0xb7, 0), (0x95, 0)].map(insn).to_vec(), ..program };
        let profile = Profile::load("6.12").expect("in the source tree");
        assert_eq!(verify(&program, &profile, &Options::default()).verdict, Verdict::Accept);
        let caps = spec::profile::Caps { bpf: true, perfmon: false, net_admin: true, sys_admin: false };
        let said = verify(&program, &profile.with_caps(caps), &Options::default());
        assert_eq!(said.verdict, Verdict::Unsupported);
        assert!(said.message.contains("without CAP_BPF and CAP_PERFMON"), "{}", said.message);
    }

    #[test]
    fn what_is_lacking_is_refused_in_the_kernels_words() {
        let reject = |text| (Verdict::Reject, -22, text);
        // get_current_pid_tgid in XDP came later; cgrp_storage_get did not exist.
        let call = |id| [(0x85, 0, 0, 0, id)];
        let xdp = ProgType::Xdp;
        assert_eq!(said(&judged("6.1", xdp, &call(14))), reject("unknown func bpf_get_current_pid_tgid#14"));
        assert_eq!(said(&judged("6.1", xdp, &call(210))), reject("invalid func unknown#210"));
        assert_eq!(
            said(&judged("6.12", xdp, &call(9))),
            reject("program of this type cannot use helper bpf_skb_store_bytes#9")
        );
        let movsx = [(0xbf, 2, 1, 8, 0)];
        assert_eq!(said(&judged("6.1", xdp, &movsx)), reject("BPF_MOV uses reserved fields"));
        let release = [(0x7a, 10, 0, -8, 0), (0xdb, 10, 1, -8, 0x110)];
        assert_eq!(said(&judged("6.1", xdp, &release)), reject("BPF_ATOMIC uses invalid atomic opcode 110"));
        let netfilter = judged("6.1", ProgType::Netfilter, &[]);
        assert_eq!(said(&netfilter), reject("Linux 6.1 has no program type NETFILTER"));
        assert_eq!(netfilter.id, Some("BV0003"));
    }

    #[test]
    fn what_no_path_reaches_is_not_missed() {
        // r1 = 0; if r1 == 0 goto +1; call cgrp_storage_get
        let dead = [(0xb7, 1, 0, 0, 0), (0x15, 1, 0, 1, 0), (0x85, 0, 0, 0, 210)];
        assert_eq!(judged("6.1", ProgType::Xdp, &dead).verdict, Verdict::Unsupported);
        // Its form is looked at all the same.
        let bswap = [(0xb7, 1, 0, 0, 0), (0x15, 1, 0, 1, 0), (0xd7, 1, 0, 0, 16)];
        assert_eq!(said(&judged("6.1", ProgType::Xdp, &bswap)), (Verdict::Reject, -22, "unknown opcode d7"));
    }

    #[test]
    fn only_old_rules_hold_for_old_kernels() {
        let uninitialised = [(0xbf, 0, 7, 0, 0)];
        assert_eq!(said(&judged("5.10", ProgType::Xdp, &uninitialised)), (Verdict::Reject, -13, "R7 !read_ok"));
        assert_eq!(judged("7.2", ProgType::Xdp, &uninitialised).verdict, Verdict::Unsupported);
        let number = [(0xb7, 1, 0, 0, 7), (0x61, 0, 1, 0, 0)];
        assert_eq!(said(&judged("5.10", ProgType::Xdp, &number)).2, "R1 invalid mem access 'inv'");
        assert_eq!(said(&judged("6.1", ProgType::Xdp, &number)).2, "R1 invalid mem access 'scalar'");
        let outside = [(0x61, 0, 1, 400, 0)];
        assert_eq!(judged("6.1", ProgType::Xdp, &outside).verdict, Verdict::Unsupported);
    }
}
