//! What programs may attach to, and what its arguments are to them: LSM hooks, iterators, tracepoints, functions that may be modified or
//! slept in, members of struct_ops. The kernel's BTF says what there is; the answers are compared with the verifier's.

use std::collections::BTreeSet;

use anyhow::Result;
use btf::{Btf, Kind};
use isa::Insn;
use program::Program;
use spec::profile::Version;
use spec::prog::{self, AttachType, ProgContext, ProgType};
use spec::{Profile, kfunc};
use verifier::{Options, Verdict, verify};

use super::Tally;
use super::code;
use super::ctx::shown;
use super::subjects::Subject;
use super::sys::Kernel;

/// Functions whose names begin so are those that something may be done to.
const REGISTERED: [&str; 6] =
    ["security_", "__x64_sys_", "__ia32_sys_", "should_fail", "bpf_modify_return_test", "bpf_fentry_test"];
/// Attach types of programs around a function.
const AROUND: [AttachType; 4] =
    [AttachType::TraceFentry, AttachType::TraceFexit, AttachType::ModifyReturn, AttachType::TraceFsession];
/// Words of the log that come after a refusal.
const STATISTICS: [&str; 5] = ["processed ", "verification time", "stack depth", "max_states", "insns"];

pub fn compare(kernel: &mut Kernel, profile: &Profile) -> Result<Tally> {
    let mut asking = Asking { kernel, profile: profile.clone(), tally: Tally::default() };
    asking.profile.modelled = true;
    let btf = profile.btf().clone();
    let functions: Vec<u32> = (1..btf.len()).filter(|&id| btf.kind(id) == Some(Kind::Func)).collect();
    let named = |prefix: &str| -> Vec<u32> {
        functions.iter().copied().filter(|&id| btf.name(id).starts_with(prefix)).collect()
    };
    for hook in named("bpf_lsm_") {
        let name = leak(btf.name(hook));
        for (attach, sleepable) in
            [(AttachType::LsmMac, false), (AttachType::LsmMac, true), (AttachType::LsmCgroup, false)]
        {
            asking.load(ProgType::Lsm, attach.raw(), sleepable, name, hook, Some(0));
        }
    }
    for iterator in named("bpf_iter_") {
        let name = leak(btf.name(iterator));
        for sleepable in [false, true] {
            asking.load(ProgType::Tracing, AttachType::TraceIter.raw(), sleepable, name, iterator, None);
        }
        for arg in pointers(&btf, btf.func_proto(iterator), 0) {
            asking.load(ProgType::Tracing, AttachType::TraceIter.raw(), false, name, iterator, Some(arg));
        }
    }
    for id in (1..btf.len()).filter(|&id| btf.kind(id) == Some(Kind::Typedef)) {
        if btf.name(id).starts_with("btf_trace_") {
            let name = leak(btf.name(id));
            asking.load(ProgType::Tracing, AttachType::TraceRawTp.raw(), true, name, id, None);
            let proto = btf.skip_mods_and_typedefs(id).and_then(|p| btf.ty(p)).and_then(|t| t.type_id());
            for arg in pointers(&btf, proto, 1) {
                asking.load(ProgType::Tracing, AttachType::TraceRawTp.raw(), false, name, id, Some(arg));
            }
        }
    }
    for function in modifiable(&btf, &functions) {
        let name = leak(btf.name(function));
        for attach in AROUND {
            for sleepable in [false, true] {
                asking.load(ProgType::Tracing, attach.raw(), sleepable, name, function, None);
            }
        }
    }
    asking.attach_types(&btf);
    asking.results(&btf);
    asking.struct_ops(&btf);
    Ok(asking.tally)
}

/// The functions that some table names, and those that look like them.
fn modifiable(btf: &Btf, functions: &[u32]) -> BTreeSet<u32> {
    let denied = prog::TRACING_DENIED.iter().map(|(name, _)| name);
    let tabled = denied.chain(&prog::NORETURN).chain(&["vfs_truncate", "tcp_v4_connect"]);
    let mut found: BTreeSet<u32> = tabled.filter_map(|name| btf.find(Kind::Func, name)).collect();
    found.extend(functions.iter().copied().filter(|&id| {
        let name = btf.name(id);
        REGISTERED.iter().any(|p| name.starts_with(p)) || kfunc::fmod_ret_target(name, Version::REFERENCE).is_some()
    }));
    found
}

/// The arguments, without the hidden ones, that are pointers to structs.
fn pointers(btf: &Btf, proto: Option<u32>, hidden: usize) -> Vec<u32> {
    let Some(proto) = proto.filter(|&p| btf.kind(p) == Some(Kind::FuncProto)) else { return Vec::new() };
    let is_pointer = |ty: u32| {
        let id = btf.skip_mods_and_typedefs(ty)?;
        let target = btf.ty(id).filter(|t| t.kind() == Kind::Ptr)?.type_id()?;
        btf.kind(btf.skip_mods_and_typedefs(target)?)
    };
    let params = btf.params(proto).skip(hidden).enumerate();
    params.filter(|(_, p)| is_pointer(p.type_id) == Some(Kind::Struct)).map(|(i, _)| i as u32).collect()
}

/// Names live as long as the process: there are a few thousand.
fn leak(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

struct Asking<'a> {
    kernel: &'a mut Kernel,
    profile: Profile,
    tally: Tally,
}

impl Asking<'_> {
    /// Attach types that programs with a target may have, known or not.
    fn attach_types(&mut self, btf: &Btf) {
        for (ty, name) in [(ProgType::Tracing, "bpf_fentry_test1"), (ProgType::Lsm, "bpf_lsm_file_open")] {
            let Some(id) = btf.find(Kind::Func, name) else { continue };
            for attach in 0..70 {
                self.load(ty, attach, false, name, id, None);
            }
        }
    }

    /// What a program around a function may return, and what it sees behind the arguments.
    fn results(&mut self, btf: &Btf) {
        const TRACED: [&str; 3] = ["bpf_fentry_test1", "security_file_open", "vfs_truncate"];
        for attach in AROUND {
            for name in TRACED {
                let Some(id) = btf.find(Kind::Func, name) else { continue };
                let prog =
                    ProgContext { attach_type: attach.raw(), target: name, ..ProgContext::of(ProgType::Tracing) };
                for value in [-4096, -1, 0, 1, 2] {
                    self.ask(
                        Subject { prog, attach_btf_id: id },
                        &code::returning(value),
                        &format!(" returns {value}"),
                    );
                }
                for arg in 0..5 {
                    self.load(ProgType::Tracing, attach.raw(), false, name, id, Some(arg));
                }
            }
        }
    }

    fn struct_ops(&mut self, btf: &Btf) {
        for id in (1..btf.len()).filter(|&id| btf.kind(id) == Some(Kind::Struct)) {
            let Some(name) = btf.name(id).strip_prefix("bpf_struct_ops_") else { continue };
            let Some(ops) = btf.find(Kind::Struct, name) else { continue };
            for (index, member) in btf.members(ops).enumerate() {
                let target = leak(&format!("{name}.{}", btf.string(member.name_off)));
                for sleepable in [false, true] {
                    self.load(ProgType::StructOps, index as u32, sleepable, target, ops, None);
                }
            }
        }
    }

    /// The errno with its last words. Without the trace nothing else stands in the log.
    fn refusal(&mut self, subject: &Subject, insns: &[Insn]) -> (i32, String) {
        let answer = self.kernel.load(&subject.load(insns, 4));
        (answer.errno, last_words(answer.log))
    }

    /// One program with this target; with `arg` one that reads the argument.
    fn load(
        &mut self,
        ty: ProgType,
        attach_type: u32,
        sleepable: bool,
        target: &'static str,
        id: u32,
        arg: Option<u32>,
    ) {
        let prog = ProgContext { prog_type: ty, attach_type, sleepable, target };
        let mut insns: Vec<Insn> = arg.map(|arg| code::load(8, 3, 1, 8 * arg as i16)).into_iter().collect();
        insns.extend(code::returning(i32::from(ty == ProgType::Lsm && attach_type == AttachType::LsmCgroup.raw())));
        let what = arg.map(|a| format!(" arg {a}")).unwrap_or_default();
        self.ask(Subject { prog, attach_btf_id: id }, &insns, &what);
    }

    fn ask(&mut self, subject: Subject, insns: &[Insn], what: &str) {
        let answer = self.kernel.load(&subject.load(insns, 2));
        let kernels = match answer.errno {
            0 => (0, shown(answer.log).to_owned()),
            _ => self.refusal(&subject, insns),
        };
        if kernels == (1, String::new()) {
            self.tally.undecided(format!("type {} refused with errno 1 before verification", subject.prog.prog_type));
            return;
        }
        if kernels.1.contains("The address of function") {
            self.tally.undecided("a function without a symbol");
            return;
        }
        let ours = verify(&program(&subject, insns), &self.profile, &Options { log_level: 2 });
        let ours = match ours.verdict {
            Verdict::Accept => (0, shown(&ours.log).to_owned()),
            _ => (-ours.errno, last_words(&ours.message)),
        };
        self.tally.compare(|| format!("{}{what}", subject.describe()), ours, kernels);
    }
}

/// The last line that is not statistics.
pub(super) fn last_words(log: &str) -> String {
    let last = log.lines().rfind(|l| !l.is_empty() && !STATISTICS.iter().any(|s| l.starts_with(s)));
    last.unwrap_or("").to_owned()
}

pub(super) fn program(subject: &Subject, insns: &[Insn]) -> Program {
    let load = subject.load(&[], 0);
    Program {
        prog_type: load.prog_type,
        expected_attach_type: load.attach_type,
        flags: load.flags,
        license: load.license.to_owned(),
        attach_btf_id: load.attach_btf_id,
        insns: insns.to_vec(),
        ..Program::default()
    }
}
