//! Which programs are asked about: every type under every attach type and target that a fact could depend on.

use btf::{Btf, Kind};
use spec::Profile;
use spec::profile::Version;
use spec::prog::{self, AttachType, ProgContext, ProgType, ReturnRule};

use super::sys::Load;

/// A program that can be loaded, if the kernel lets it.
#[derive(Clone, Copy)]
pub struct Subject {
    pub prog: ProgContext<'static>,
    pub attach_btf_id: u32,
}

impl Subject {
    pub fn of(prog: ProgContext<'static>) -> Subject {
        Subject { prog, attach_btf_id: 0 }
    }

    /// A value of R0 that the program may exit with.
    pub fn good_return(&self) -> i32 {
        match prog::return_rule(&self.prog, Version::REFERENCE) {
            ReturnRule::Range(low, _) => low as i32,
            ReturnRule::Range32(..) | ReturnRule::Any | ReturnRule::Unchecked => 0,
        }
    }

    pub fn load<'a>(&self, insns: &'a [isa::Insn], log_level: u32) -> Load<'a> {
        Load {
            prog_type: self.prog.prog_type.raw(),
            attach_type: self.prog.attach_type,
            flags: if self.prog.sleepable { prog::flags::SLEEPABLE } else { 0 },
            attach_btf_id: self.attach_btf_id,
            license: "GPL",
            insns,
            log_level,
        }
    }

    pub fn describe(&self) -> String {
        let ProgContext { prog_type, attach_type, sleepable, target } = self.prog;
        let slash = if target.is_empty() { "" } else { "/" };
        format!("{prog_type}@{attach_type}{slash}{target}{}", if sleepable { ":sleepable" } else { "" })
    }
}

/// All of them.
pub fn all(profile: &Profile) -> Vec<Subject> {
    let btf = profile.btf();
    let mut subjects = Vec::new();
    for &ty in ProgType::ALL.iter().filter(|&&ty| profile.has_type(ty)) {
        match ty {
            ProgType::Tracing => subjects.extend(tracing(btf)),
            ProgType::StructOps => subjects.extend(struct_ops(btf)),
            ProgType::Lsm => subjects.extend(lsm(btf, profile.version)),
            // Only meaningful with a target program, whose answers it gets.
            ProgType::Ext => {}
            _ => {
                for attach_type in attach_types(ty).into_iter().filter(|&a| profile.has_attach(ty, a)) {
                    let sleepable = ty == ProgType::Syscall;
                    subjects.push(Subject::of(ProgContext { attach_type, sleepable, ..ProgContext::of(ty) }));
                }
            }
        }
    }
    let sleeper = ProgContext { sleepable: true, ..ProgContext::of(ProgType::Kprobe) };
    if prog::may_be_sleepable(&sleeper, profile.version) {
        subjects.push(Subject::of(sleeper));
    }
    subjects
}

/// One program per column of the helper table, for questions that cost more.
pub fn few(profile: &Profile) -> Vec<Subject> {
    let mut seen = std::collections::HashSet::new();
    all(profile)
        .into_iter()
        .filter(|s| seen.insert(profile.helpers(s.prog).column_index().unwrap_or(usize::MAX)))
        .collect()
}

fn attach_types(ty: ProgType) -> Vec<u32> {
    let known = AttachType::ALL.iter().map(|a| a.raw());
    match ty {
        ProgType::SockOps | ProgType::CgroupDevice | ProgType::CgroupSysctl => known.collect(),
        ProgType::Kprobe => vec![0, 42, 48, 56, 57],
        ProgType::Xdp => vec![0, 33, 35, 37],
        _ => {
            let valid: Vec<u32> = known.filter(|&a| prog::attach_type_valid(ty, a, Version::REFERENCE)).collect();
            // A type that takes anything does not look at it.
            if valid.len() == AttachType::ALL.len() { vec![0] } else { valid }
        }
    }
}

fn tracing(btf: &Btf) -> Vec<Subject> {
    let of = |attach: AttachType, target, attach_btf_id| Subject {
        prog: ProgContext { attach_type: attach.raw(), target, ..ProgContext::of(ProgType::Tracing) },
        attach_btf_id,
    };
    let mut found = Vec::new();
    if let Some(id) = btf.find(Kind::Typedef, "btf_trace_sched_switch") {
        found.push(of(AttachType::TraceRawTp, "sched_switch", id));
    }
    let traced = [
        (AttachType::TraceFentry, "bpf_fentry_test1"),
        (AttachType::TraceFexit, "bpf_fentry_test1"),
        (AttachType::TraceFentry, "vfs_truncate"),
        (AttachType::TraceFexit, "bpf_sk_storage_free"),
        (AttachType::ModifyReturn, "bpf_modify_return_test"),
        (AttachType::ModifyReturn, "security_file_open"),
    ];
    for (attach, name) in traced {
        found.extend(btf.find(Kind::Func, name).map(|id| of(attach, name, id)));
    }
    for target in spec::tracing::ITERATORS {
        if let Some(id) = btf.find(Kind::Func, &format!("bpf_iter_{}", target.name)) {
            found.push(of(AttachType::TraceIter, target.name, id));
        }
    }
    found
}

/// Every hook that is in the kernel, attached as such and to a cgroup.
fn lsm(btf: &Btf, version: Version) -> Vec<Subject> {
    let mut found = Vec::new();
    for hook in spec::lsm::hooks(version).filter(|h| !h.disabled) {
        let Some(attach_btf_id) = btf.find(Kind::Func, &format!("bpf_lsm_{}", hook.name)) else { continue };
        let attaches = [AttachType::LsmMac, AttachType::LsmCgroup];
        for attach in attaches.into_iter().filter(|a| prog::targets_function(*a, version)) {
            let prog = ProgContext { attach_type: attach.raw(), target: hook.name, ..ProgContext::of(ProgType::Lsm) };
            found.push(Subject { prog, attach_btf_id });
        }
    }
    found
}

/// Every function member of the structs that this kernel may have registered.
fn struct_ops(btf: &Btf) -> Vec<Subject> {
    const MEMBERS: [(&str, &[&str]); 2] = [
        (
            "tcp_congestion_ops",
            &["tcp_congestion_ops.ssthresh", "tcp_congestion_ops.init", "tcp_congestion_ops.release"],
        ),
        ("bpf_dummy_ops", &["bpf_dummy_ops.test_1", "bpf_dummy_ops.test_2"]),
    ];
    let mut found = Vec::new();
    for (name, targets) in MEMBERS {
        let Some(id) = btf.find(Kind::Struct, name) else { continue };
        for target in targets {
            let member = &target[name.len() + 1..];
            let Some(index) = btf.members(id).position(|m| btf.string(m.name_off) == member) else { continue };
            let prog = ProgContext { attach_type: index as u32, target, ..ProgContext::of(ProgType::StructOps) };
            found.push(Subject { prog, attach_btf_id: id });
        }
    }
    found
}
