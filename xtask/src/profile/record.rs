//! Writes down what a kernel offers, in the format that `spec::kernels` reads. Works on kernels that no profile exists for.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::{Context, Result};
use btf::Kind;
use isa::Insn;
use spec::kernels::Feature;
use spec::profile::Version;
use spec::prog::{ProgContext, ProgType};
use spec::{MapType, Profile, kfunc};

use super::code;
use super::helpers;
use super::maps::working;
use super::subjects::{self, Subject};
use super::sys::Kernel;

/// The recording of the running kernel.
pub fn text(kernel: &mut Kernel, profile: &Profile) -> Result<String> {
    let (name, release) = release()?;
    let mut out = String::new();
    writeln!(out, "# {} {}", name.trim(), release.trim())?;
    writeln!(out, "kernel {}", version(&name, &release))?;
    let mut types = Vec::new();
    let mut helper_lines = Vec::new();
    for &ty in ProgType::ALL {
        let Some(offered) = offered(kernel, profile, ty) else { continue };
        types.push(ty);
        if !offered.is_empty() {
            helper_lines.push(format!("helpers {ty} {}", ranges(&offered)));
        }
    }
    writeln!(out, "types {}", types.iter().map(|t| t.name()).collect::<Vec<_>>().join(" "))?;
    for ty in types {
        let attach = attach_types(kernel, ty);
        if !attach.is_empty() {
            writeln!(out, "attach {ty} {}", ranges(&attach))?;
        }
    }
    writeln!(out, "maps {}", maps(kernel).join(" "))?;
    let (has, lacks) = features(kernel);
    if !has.is_empty() {
        writeln!(out, "features {}", has.join(" "))?;
    }
    for line in lacks {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "count {}", helper_count(kernel))?;
    for line in helper_lines {
        writeln!(out, "{line}")?;
    }
    let kfuncs = kfuncs(profile);
    if !kfuncs.is_empty() {
        writeln!(out, "kfuncs {}", kfuncs.into_iter().collect::<Vec<_>>().join(" "))?;
    }
    Ok(out)
}

/// The kernel's name and its build string.
fn release() -> Result<(String, String)> {
    let build = std::fs::read_to_string("/proc/sys/kernel/version").unwrap_or_default();
    let name = std::fs::read_to_string("/proc/sys/kernel/osrelease").context("the kernel's name")?;
    Ok((name, build))
}

pub fn running_version() -> Result<Version> {
    let (name, build) = release()?;
    Ok(Version::parse(&version(&name, &build)))
}

/// Attach types that a program of the type may be loaded with. Types whose programs need a target are not asked.
fn attach_types(kernel: &mut Kernel, ty: ProgType) -> BTreeSet<u32> {
    if matches!(ty, ProgType::Tracing | ProgType::Lsm | ProgType::StructOps | ProgType::Ext) {
        return BTreeSet::new();
    }
    let loads = |attach_type: &u32| {
        let sleepable = ty == ProgType::Syscall;
        let subject = Subject::of(ProgContext { sleepable, attach_type: *attach_type, ..ProgContext::of(ty) });
        kernel.load(&subject.load(&code::returning(subject.good_return()), 1)).errno == 0
    };
    (0..64).filter(loads).collect()
}

/// How many helper numbers the kernel has: the next one is invalid for every program.
fn helper_count(kernel: &mut Kernel) -> u32 {
    let subject = Subject::of(ProgContext::of(ProgType::Xdp));
    let invalid = |id: &u32| {
        let [value, exit] = code::returning(2);
        kernel.load(&subject.load(&[code::call(*id), value, exit], 1)).log.contains("invalid func ")
    };
    (1..1024).find(invalid).unwrap_or(0)
}

/// The stable release: Debian has it in the build string (`... Debian 6.1.192-1 ...`), others in the name.
fn version(name: &str, build: &str) -> String {
    let words = build.split_whitespace().skip_while(|w| *w != "Debian").nth(1);
    let text = words.unwrap_or(name.trim());
    text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect()
}

/// The helpers that some program of the type gets; `None` if the kernel does not have the type.
fn offered(kernel: &mut Kernel, profile: &Profile, ty: ProgType) -> Option<BTreeSet<u32>> {
    let mut found = BTreeSet::new();
    let mut exists = false;
    // Where 6.18's programs of a type differ, one of each kind is asked.
    let mut subjects: Vec<Subject> = subjects::few(profile).into_iter().filter(|s| s.prog.prog_type == ty).collect();
    if subjects.is_empty() {
        let sleepable = ty == ProgType::Syscall;
        let attach_type = (0..64).find(|&a| spec::prog::attach_type_valid(ty, a, Version::REFERENCE)).unwrap_or(0);
        subjects.push(Subject::of(ProgContext { sleepable, attach_type, ..ProgContext::of(ty) }));
    }
    for subject in subjects {
        let answer = kernel.load(&subject.load(&code::returning(subject.good_return()), 1));
        // A type that does not exist is refused without a word; others may want a target.
        exists |= answer.errno == 0 || !answer.log.is_empty();
        if answer.errno == 0 {
            found.extend(
                (1..spec::helper::COUNT).filter(|&id| helpers::is_offered_to(kernel, &subject, id).unwrap_or(false)),
            );
        }
    }
    exists.then_some(found)
}

pub(super) fn ranges(ids: &BTreeSet<u32>) -> String {
    let mut out: Vec<(u32, u32)> = Vec::new();
    for &id in ids {
        match out.last_mut() {
            Some((_, high)) if *high + 1 == id => *high = id,
            _ => out.push((id, id)),
        }
    }
    let words = out.iter().map(|&(low, high)| if low == high { low.to_string() } else { format!("{low}-{high}") });
    words.collect::<Vec<_>>().join(",")
}

/// Map types that can be made, or whose errno is not that of an unknown type. Types that need BTF are told by their check order.
fn maps(kernel: &Kernel) -> Vec<&'static str> {
    let array = kernel.create_map(&working(MapType::Array), None).ok();
    let inner = array.as_ref().map(std::os::fd::AsRawFd::as_raw_fd);
    let exists = |ty: &&MapType| {
        use MapType::*;
        let mut attr = working(**ty);
        match ty {
            SkStorage | InodeStorage | TaskStorage | CgrpStorage => {
                // BTF that is not there: EBADF from a type that exists, EINVAL from one that does not.
                attr.btf_key_type_id = 1;
                attr.btf_value_type_id = 2;
                kernel.create_map(&attr, None).err() == Some(libc::EBADF)
            }
            StructOps => {
                attr.btf_vmlinux_value_type_id = 1;
                kernel.create_map(&attr, None).err() != Some(libc::EINVAL)
            }
            _ => kernel.create_map(&attr, inner).is_ok(),
        }
    };
    MapType::ALL.iter().filter(exists).map(|ty| ty.name()).collect()
}

/// The instructions that the kernel has, and a line for each that it lacks: errno, whether that shows before the walk, its words.
fn features(kernel: &mut Kernel) -> (Vec<&'static str>, Vec<String>) {
    let subject = Subject::of(ProgContext::of(ProgType::Xdp));
    let insn = |code, dst, src, off, imm| vec![Insn { code, dst, src, off, imm }];
    let (mut found, mut lacks) = (Vec::new(), Vec::new());
    for feature in Feature::ALL {
        let tried = match feature {
            Feature::FetchAtomics => insn(0xdb, 10, 1, -8, 1),
            Feature::SignedDivision => insn(0x37, 1, 0, 1, 3),
            Feature::Movsx => insn(0xbf, 1, 1, 8, 0),
            Feature::Ldsx => insn(0x81, 1, 10, -8, 0),
            Feature::Bswap => insn(0xd7, 1, 0, 0, 16),
            // Over an instruction that would be refused, and that nothing else leads to.
            Feature::Gotol => [vec![code::if_not(1, 7, 1)], insn(0x06, 0, 0, 0, 1), vec![code::copy(0, 5)]].concat(),
            Feature::MayGoto => [insn(0xe5, 0, 0, 1, 0), vec![code::set(1, 0)]].concat(),
            Feature::AcquireRelease => insn(0xdb, 1, 10, -8, 0x100),
        };
        let mut insns = vec![code::set(1, 7), code::store_imm(8, 10, -8, 0)];
        insns.extend(tried);
        insns.extend(code::returning(0));
        let answer = kernel.load(&subject.load(&insns, 2));
        if answer.errno == 0 {
            found.push(feature.name());
            continue;
        }
        let walked = answer.log.lines().any(|l| l.starts_with("0: (b7)"));
        let words = answer.log.lines().rfind(|l| !l.starts_with("processed ")).unwrap_or("");
        let stage = if walked { "walk" } else { "form" };
        lacks.push(format!("lacks {} {} {stage} {words}", feature.name(), answer.errno));
    }
    (found, lacks)
}

/// Functions that the BTF marks as kfuncs; before kernels marked them, those of the table that the BTF has.
pub(super) fn kfuncs(profile: &Profile) -> BTreeSet<&str> {
    let btf = profile.btf();
    let functions = || (1..btf.len()).filter(|&id| btf.kind(id) == Some(Kind::Func));
    let marked: BTreeSet<&str> =
        functions().filter(|&id| btf.has_decl_tag(id, -1, "bpf_kfunc")).map(|id| btf.name(id)).collect();
    if !marked.is_empty() {
        return marked;
    }
    functions().map(|id| btf.name(id)).filter(|name| !kfunc::by_name(name).is_empty()).collect()
}
