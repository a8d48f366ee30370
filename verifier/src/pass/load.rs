//! What `bpf(2)` refuses before the verifier sees the program: attributes, capabilities, types. No log, no statistics.

use crate::reject::errno::*;
use crate::reject::{R, Reject};
use program::Program;
use spec::{Profile, ProgType, prog};

const MAX_UNPRIV_INSNS: usize = 4096;
/// Largest BTF type id the attribute takes.
const MAX_BTF_ID: u32 = 0xf_ffff;
/// Room for a program name and its NUL.
const NAME_LEN: usize = 16;

fn silent(errno: i32) -> R {
    Err(Reject::Silent { errno })
}

pub fn check(p: &Program, profile: &Profile) -> R {
    if p.flags & !prog::flags::accepted(profile.version) != 0 {
        return silent(EINVAL);
    }
    let caps = profile.caps;
    let ty = ProgType::from_raw(p.prog_type);
    if profile.config.unprivileged_disabled && !caps.has_bpf() {
        return silent(EPERM);
    }
    let limit = if caps.has_bpf() { isa::consts::MAX_INSNS } else { MAX_UNPRIV_INSNS };
    if p.insns.is_empty() || p.insns.len() > limit {
        return silent(E2BIG);
    }
    let Some(ty) = ty else {
        // Any type but two needs CAP_BPF, known or not.
        return silent(if caps.has_bpf() { EINVAL } else { EPERM });
    };
    let needs = prog::load_needs(ty);
    if (needs.bpf && !caps.has_bpf())
        || (needs.net_admin && !caps.has_net_admin())
        || (needs.perfmon && !caps.has_perfmon())
    {
        return silent(EPERM);
    }
    if p.attach_btf_id != 0 && (p.attach_btf_id > MAX_BTF_ID || !prog::may_have_attach_btf_id(ty)) {
        return silent(EINVAL);
    }
    if !profile.has_attach(ty, p.expected_attach_type) {
        return silent(EINVAL);
    }
    if !type_exists(ty, profile) {
        return silent(EINVAL);
    }
    let name = p.name.as_bytes();
    let cut = &name[..name.len().min(NAME_LEN - 1)];
    if !cut.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.')) {
        return silent(EINVAL);
    }
    Ok(())
}

fn type_exists(ty: ProgType, profile: &Profile) -> bool {
    match ty {
        ProgType::LircMode2 => profile.config.lirc_mode2,
        ProgType::Lsm => profile.config.lsm,
        ProgType::Netfilter => profile.config.netfilter_link,
        _ => true,
    }
}
