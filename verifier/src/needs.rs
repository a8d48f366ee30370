//! What a program needs of a kernel, feature by feature: its types, maps, helpers, instructions, kfuncs. Which kernel has them is
//! `spec::since`'s; whether the program is accepted is the walk's.

use isa::consts::*;
use program::Program;
use spec::since::Need;
use spec::{AttachType, MapType, Profile, ProgType, prog};
use std::collections::BTreeMap;

/// Everything that the program uses and the first instruction that does; `None` for what is no instruction. With `reached` (one entry a
/// slot) only instructions count that a path reaches: code behind a check that is false on every kernel needs nothing.
pub fn needs<'a>(p: &Program, profile: &'a Profile, reached: Option<&[bool]>) -> BTreeMap<Need<'a>, Option<usize>> {
    let mut found = BTreeMap::new();
    let Some(ty) = ProgType::from_raw(p.prog_type) else { return found };
    found.insert(Need::ProgType(ty), None);
    let attach = prog::fixup_attach_type(ty, p.expected_attach_type);
    if let Some(attach) = AttachType::from_raw(attach).filter(|a| attach_type_counts(ty, *a, p)) {
        found.insert(Need::AttachType(ty, attach), None);
    }
    for map in p.maps.iter().flat_map(|m| [Some(m), m.inner.as_ref()]).flatten() {
        if let Some(map) = MapType::from_raw(map.map_type) {
            found.insert(Need::Map(map), None);
        }
    }
    let mut second = false;
    for (i, insn) in p.insns.iter().enumerate() {
        if std::mem::replace(&mut second, insn.code == LDIMM64) || reached.is_some_and(|r| r.get(i) == Some(&false)) {
            continue;
        }
        let need = if insn.code != BPF_JMP | BPF_CALL {
            crate::versions::feature(insn).map(Need::Insn)
        } else if insn.src == 0 {
            u32::try_from(insn.imm).ok().filter(|id| spec::helper::by_id(*id).is_some()).map(|id| Need::Helper(ty, id))
        } else if insn.src == BPF_PSEUDO_KFUNC_CALL && insn.off == 0 && insn.imm > 0 {
            Some(profile.btf().name(insn.imm as u32)).filter(|name| !name.is_empty()).map(Need::Kfunc)
        } else {
            None
        };
        if let Some(need) = need {
            found.entry(need).or_insert(Some(i));
        }
    }
    found
}

/// Whether the program works only where there is this attach type. The excluded ones are what their programs always were: kernels that
/// do not know the number ignore it, or have no such programs either.
fn attach_type_counts(ty: ProgType, attach: AttachType, p: &Program) -> bool {
    p.expected_attach_type != 0
        && !matches!(ty, ProgType::StructOps | ProgType::Syscall | ProgType::Ext)
        && !matches!(
            attach,
            AttachType::Xdp
                | AttachType::SkReuseportSelect
                | AttachType::PerfEvent
                | AttachType::SkLookup
                | AttachType::Netfilter
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use isa::Insn;
    use spec::kernels::Feature;

    #[test]
    fn a_program_needs_what_its_paths_use() {
        let profile = Profile::default();
        let kfunc = profile.btf().find(btf::Kind::Func, "bpf_rcu_read_lock").expect("a kfunc") as i32;
        let insn = |code, src, off, imm| Insn { code, dst: 1, src, off, imm };
        let insns = vec![
            insn(0x85, 0, 0, 14),
            insn(0x85, 2, 0, kfunc),
            // A constant whose second slot looks like a helper call.
            insn(0x18, 0, 0, 0),
            insn(0x85, 0, 0, 1),
            insn(0xbf, 1, 8, 0),
        ];
        let p = Program { prog_type: ProgType::Xdp.raw(), insns, ..Program::default() };
        let all = needs(&p, &profile, None);
        let expected = [
            (Need::ProgType(ProgType::Xdp), None),
            (Need::Helper(ProgType::Xdp, 14), Some(0)),
            (Need::Insn(Feature::Movsx), Some(4)),
            (Need::Kfunc("bpf_rcu_read_lock"), Some(1)),
        ];
        assert_eq!(all, BTreeMap::from(expected));
        let some = needs(&p, &profile, Some(&[false, true, true, false, true]));
        assert!(!some.contains_key(&Need::Helper(ProgType::Xdp, 14)) && some.len() == 3);
    }
}
