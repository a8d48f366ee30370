//! What is not in the program's data flow: logs that hide the error, BTF and CO-RE, builds and loaders, privileges, the kernel itself.

use super::{Cause, Facts, Finding};
use crate::diagnosis::Role;
use crate::log::insn::Op;

/// Logs that end before the error.
pub fn hidden(f: &Facts<'_>) -> Option<Finding> {
    let refusal = f.path.refusal;
    if f.extra.id == Some("BV0003") {
        let found = Finding::sure(Cause::HelperNa, f.text.clone())
            .because("this kernel lacks it, and refuses before it looks at a single instruction")
            .fix("use a newer kernel, or what this one has");
        return Some(f.rejected(found, "this kernel lacks what is used here"));
    }
    let said = refusal.message.iter().any(|l| crate::ids::by_message(l).is_some());
    let notes = refusal.notes.join("\n");
    if said || refusal.report.is_some() {
        return None;
    }
    // Tools may have said it.
    if let Some(found) = tools(f, &notes) {
        return Some(found);
    }
    let unfinished = !refusal.steps.is_empty() && refusal.message.is_empty();
    let space = notes.contains("No space left")
        || notes.contains("ENOSPC")
        || notes.contains("errno 28")
        || notes.contains("error: 28");
    let fault = notes.contains("Bad address") || notes.contains("EFAULT");
    if space || fault || unfinished {
        let why = if space {
            "the loader says ENOSPC: the log did not fit its buffer, and then the kernel reports that instead of the refusal"
        } else if fault {
            "the loader says EFAULT: the log's buffer could not be written"
        } else {
            "the log ends with an instruction, and no error follows"
        };
        let found = Finding::sure(Cause::Log, "the log is cut: the refusal itself is not in it")
            .because(why)
            .fix("give the loader a larger log buffer (16 MiB; libbpf: `kernel_log_size`, cilium/ebpf: `LogSizeStart`, aya: `verifier_log_level`), or use log level 1 instead of 2: it keeps only the failing path")
            .fix("or judge the object here: `bpfverdict verify OBJECT` needs no log");
        return Some(f.rejected(found, "the log ends here"));
    }
    if refusal.message.is_empty() {
        return Some(only_errno(&notes, f.extra.maps));
    }
    None
}

/// A loader's words without a verifier log.
fn only_errno(notes: &str, maps: usize) -> Finding {
    let lower = notes.to_lowercase();
    if maps > 64 {
        return Finding::sure(Cause::ObjLimit, format!("the program refers to {maps} maps, 64 are allowed"))
            .because("this kernel says E2BIG and nothing else")
            .fix("put several maps into one (a key with a type in it, a struct as value, map in map), or split the program");
    }
    if lower.contains("argument list too long") || lower.contains("e2big") || lower.contains("(-7)") {
        return Finding::likely(Cause::Complex, "E2BIG: the program is too large or too complex for this kernel")
            .because("without a log this errno means the budget of instructions, or a limit of objects")
            .fix("load once with a log to see which; 4,096 instructions is the limit before Linux 5.2 and without privileges")
            .note("64 maps per program give the same errno");
    }
    if lower.contains("operation not permitted") || lower.contains("eperm") || lower.contains("(-1)") {
        return Finding::likely(Cause::Priv, "EPERM without a log: privileges are missing")
            .because("the kernel refuses before it looks at the program")
            .fix("run with CAP_BPF and what the type needs (CAP_PERFMON, CAP_NET_ADMIN), raise RLIMIT_MEMLOCK before Linux 5.11, check kernel.unprivileged_bpf_disabled, lockdown and the container's seccomp profile");
    }
    if lower.contains("524") || lower.contains("enotsupp") {
        return Finding::guess(
            Cause::KernelBug,
            "ENOTSUPP (524): the kernel or its JIT does not support something in it",
        )
        .because("524 is an internal errno: a JIT that lacks a feature, hardening, or an attach type")
        .fix("check net.core.bpf_jit_enable and bpf_jit_harden, architecture and kernel version");
    }
    Finding::likely(Cause::Log, "there is no verifier log here: the real error is not shown")
        .because("only the loader speaks, and it repeats the errno")
        .fix("load again with the verifier's log turned on (libbpf prints it with a print callback at debug level; cilium/ebpf: `%+v` of the VerifierError; bpftool: `-d`)")
}

/// What loaders report themselves.
fn tools(f: &Facts<'_>, notes: &str) -> Option<Finding> {
    let all = format!("{notes}\n{}", f.text);
    let has = |w: &str| all.contains(w);
    let found = if has("195896080")
        || has("0xbad2310")
        || has("invalid CO-RE")
        || has("failed to resolve CO-RE")
        || has("no matching targets found")
        || has("relocation failed: ") && has("CO-RE")
    {
        core()
    } else if has("failed to find valid kernel BTF")
        || has("vmlinux BTF is not found")
        || has("Error loading vmlinux BTF")
        || has("kernel doesn't support BTF")
        || has("failed to find kernel BTF")
        || has("no BTF found for kernel")
        || has("Error loading .BTF into kernel")
        || has("BTF is required, but is missing")
    {
        Finding::sure(Cause::CoreBtf, "the kernel's or the object's BTF is missing or not understood")
            .because("the loader needs BTF before the verifier sees the program")
            .fix("use a kernel with CONFIG_DEBUG_INFO_BTF (/sys/kernel/btf/vmlinux), give the loader a BTF file for this kernel (BTFHub), and compile with -g")
    } else if has("failed to open") && has("object")
        || has("unrecognized") && has("section")
        || has("relocation")
        || has("relo #")
        || has("extern ") && has("not found")
        || has("failed to find BTF info for")
        || has("unsupported legacy map")
        || has("legacy map definitions")
        || has("failed to find program")
    {
        Finding::likely(Cause::Loader, "the object does not fit its loader: section, relocation or symbol")
            .because("the loader refuses before the kernel sees the program")
            .fix("use section names and map definitions that this loader knows, build with -O2 -g -target bpf, and do not strip sections")
    } else if has("Operation not permitted") && f.path.refusal.steps.is_empty() {
        only_errno("operation not permitted", 0)
    } else {
        return None;
    };
    Some(found)
}

fn core() -> Finding {
    Finding::sure(Cause::CoreBtf, "a CO-RE relocation found no match in this kernel's BTF")
        .because("libbpf replaces an instruction that it cannot relocate by a call of helper 195896080 (0xbad2310), which no kernel has")
        .fix("guard the access with bpf_core_field_exists(), bpf_core_type_exists() or bpf_core_enum_value_exists(), and name older layouts as `struct name___old`")
        .fix("check that the field is still called so on this kernel (`bpftool btf dump file /sys/kernel/btf/vmlinux format c`)")
}

pub fn rule(f: &Facts<'_>) -> Option<Finding> {
    if f.has("195896080") || f.has("0xbad2310") || f.has("invalid CO-RE relocation") {
        return Some(f.rejected(core(), "the access that could not be relocated"));
    }
    if f.has("verifier bug")
        || f.has("INVARIANTS VIOLATION")
        || f.has("kernel subsystem misconfigured")
        || f.has("verifier internal error")
        || f.has("verifier is misconfigured")
        || f.has("BUG")
    {
        let found = Finding::sure(Cause::KernelBug, "the verifier itself reports that something is inconsistent in it")
            .because("these words are the kernel's for a state that should not exist")
            .fix("use another stable release of the kernel; judging with other kernels (`--kernel`) shows which take the program");
        return Some(f.rejected(found, "the verifier gave up here"));
    }
    if f.has("!root")
        || f.has("are allowed for CAP")
        || f.has("CAP_PERFMON")
        || f.has("CAP_SYS")
        || f.has("unprivileged")
        || f.has("lockdown")
    {
        let found = Finding::sure(Cause::Priv, "this is allowed only with more privileges")
            .because("the message names who may do it")
            .fix("load with CAP_BPF and CAP_PERFMON (or as root)");
        return Some(f.rejected(found, "needs privileges"));
    }
    let btf = [
        "func_info",
        "line_info",
        "btf_id",
        "BTF",
        "func info",
        "is not a struct",
        "doesn't have field at",
        "beyond the end of member",
        "not a function",
        "func_proto",
    ];
    if btf.iter().any(|b| f.has(b)) && !f.has("must provide btf_id") && f.at.is_none() {
        let found = Finding::sure(Cause::CoreBtf, "the BTF of object and kernel do not fit together")
            .because("the message is about type information, not about the program's data flow")
            .fix("compile object and skeleton with the same compiler and -g; load against the BTF of the kernel that runs; check that the kernel has the function or type at all");
        return Some(f.rejected(found, "what the BTF says does not fit"));
    }
    if f.has("access beyond struct")
        || f.has("doesn't have field at offset")
        || f.has("access beyond the end of member")
        || f.has("is not a struct")
    {
        let found = Finding::likely(Cause::CoreBtf, "the access does not fit the layout of the structure on this kernel")
            .because("offsets were compiled in and not relocated, or the wrong type is used")
            .fix("mark the structure `__attribute__((preserve_access_index))` (vmlinux.h does), so that offsets follow the kernel");
        return Some(f.rejected(found, "outside of the structure"));
    }
    if f.has("last insn is not an exit")
        || f.has("jump out of range")
        || f.has("unreachable insn")
        || f.has("falls through")
        || f.has("invalid bpf_ld_imm64")
        || f.has("unrecognized bpf_ld_imm64")
        || f.has("is not pointing to valid bpf_map")
        || f.has("unknown opcode 00")
        || f.has("jump into the middle")
        || f.has("no program exit")
        || f.has("insn_off")
        || f.has("direct value offset")
        || f.has("access to map value pointer")
        || f.has("fd_idx without")
    {
        let found = Finding::sure(Cause::Loader, "the bytecode is not what was meant: it is incomplete, cut or not relocated")
            .because("a compiler never makes this from C; the loader took the wrong part of the object, or a function that does not return was called")
            .fix("load the object with libbpf or a loader of its kind; build with -O2; look for code behind __builtin_unreachable(), panics and calls to functions without a body");
        let found = match f.number("unreachable insn").or(f.number("from insn")) {
            Some(n) if f.at.is_none() => {
                let mut found = found;
                let label = "this instruction".to_owned();
                found.marks.push(super::Mark { role: Role::Rejected, spot: super::Spot::Insn(n as u32, None), label });
                found
            }
            _ => found,
        };
        return Some(f.rejected(found, "the bytecode goes wrong here"));
    }
    if f.has("must provide btf_id") || f.has("attach_btf") {
        return Some(
            f.rejected(
                Finding::likely(Cause::Loader, "what the program attaches to was not told to the kernel")
                    .because("the loader sets the target from the section's name")
                    .fix("name the target in the section: SEC(\"fentry/FUNCTION\"), SEC(\"lsm/HOOK\")"),
                "refused before the first instruction",
            ),
        );
    }
    None
}

/// Messages that nothing more precise took.
pub fn last_resort(f: &Facts<'_>) -> Option<Finding> {
    let kfunc = f.at.is_some_and(|a| f.path.steps[a].op.is_call() && !matches!(f.path.steps[a].op, Op::Call { .. }));
    if kfunc || f.has("arg#") || f.has("arg ") {
        let found = Finding::likely(Cause::ArgType, "an argument of this call is not of the kind that it takes")
            .because("the message is about an argument of a helper or kfunc")
            .fix("compare the arguments with the prototype");
        return Some(f.rejected(found, f.path.refusal.message.last().cloned().unwrap_or_default()));
    }
    if let Some(map) = f.path.refusal.message.iter().find_map(|l| uncreated(l)) {
        let found = Finding::sure(
            Cause::HelperNa,
            format!("the kernel does not make the map `{map}` as it is defined"),
        )
        .because("BPF_MAP_CREATE refuses it, and no program of an object loads without its maps")
        .fix("compare key size, value size, max_entries and flags of the definition with what this map type takes");
        return Some(f.rejected(found, "refused before the program was looked at"));
    }
    if f.has("map") {
        let found = Finding::guess(Cause::HelperNa, "the map is not allowed here")
            .because("the message is about a map")
            .fix("use another map type or other flags");
        return Some(f.rejected(found, "refused here"));
    }
    None
}

/// The map of libbpf's `map 'st': failed to create: -EINVAL`.
fn uncreated(line: &str) -> Option<&str> {
    let (map, _) = line.strip_prefix("map '")?.split_once("': failed to create: ")?;
    Some(map)
}
