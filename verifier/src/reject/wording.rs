//! Refusals that other kernels put in other words: rows with the versions that print them. The words of 6.18 stand with the refusal in
//! `reject`; whether a kernel refuses at all is not here.

use super::{Reject, TnumText};
use crate::reg::Kind;
use spec::profile::Version;

/// From here to (not including) there.
struct Range(Version, Version);

const fn series(major: u16, minor: u16) -> Version {
    Version { major, minor, patch: 0 }
}

/// Kernels older than this series.
const fn before(major: u16, minor: u16) -> Range {
    Range(series(0, 0), series(major, minor))
}

/// Kernels of this series and newer ones.
const fn from(major: u16, minor: u16) -> Range {
    Range(series(major, minor), Version { major: u16::MAX, minor: u16::MAX, patch: u16::MAX })
}

macro_rules! wordings {
    ($( $range:expr, $pattern:pat $(if $guard:expr)? => $text:literal $(, $arg:expr)*; )*) => {
        /// The kernel's own words, where they are not those of the row. The first row that fits counts.
        fn other_words(reject: &Reject, version: Version) -> Option<String> {
            $( if let (Range(from, to), $pattern) = ($range, reject) && (from..to).contains(&version) $(&& $guard)? {
                return Some(format!($text $(, $arg)*));
            } )*
            None
        }
    };
}

wordings! {
    before(5, 12), Reject::AtomicBase { reg, ty, .. } => "BPF_XADD stores into R{reg} {ty} is not allowed\n";
    before(5, 13), Reject::ArgPointer { arg, .. } => "Unrecognized arg#{arg} type PTR\n";
    before(5, 17), Reject::PointerArithmeticMaybeNull { reg, ty } if ty.kind != Kind::MapValue =>
        "R{reg} pointer arithmetic on {ty} prohibited\n";
    before(5, 18), Reject::NegativeOffset { reg, ty, off } =>
        "dereference of modified {ty} ptr R{reg} off={off} disallowed\n";
    before(6, 1), Reject::TypeNotSleepable => "Only fentry/fexit/fmod_ret and lsm programs can be sleepable\n";
    before(5, 18), Reject::InvalidMemAccess { reg, ty } if ty.kind == Kind::Scalar => "R{reg} invalid mem access 'inv'\n";
    before(6, 12), Reject::StackBoundsVariable { by_call: true, reg, value, mask, size, .. } =>
        "invalid variable-offset indirect access to stack R{reg} var_off=({value:#x}; {mask:#x}) size={size}\n";
    before(6, 12), Reject::StackBoundsVariable { words, reg, value, mask, size, .. } =>
        "invalid variable-offset{words} stack R{reg} var_off=({value:#x}; {mask:#x}) size={size}\n";
    before(6, 17), Reject::VerifierBug { text } if text.starts_with("REG INVARIANTS") => "{text}\n";
    before(6, 16), Reject::StackUnbounded { by_call: true, reg, .. } =>
        "invalid unbounded variable-offset indirect access to stack R{reg}\n";
    before(6, 16), Reject::StackBounds { by_call: true, reg, off, size, .. } =>
        "invalid indirect access to stack R{reg} off={off} size={size}\n";
    before(6, 16), Reject::StackBoundsVariable { by_call: true, reg, value, mask, off, size, .. } =>
        "invalid variable-offset indirect access to stack R{reg} var_off=({value:#x}; {mask:#x}) off={off} size={size}\n";
    before(6, 16), Reject::UninitArg { by_call: true, reg, off, byte, size } =>
        "invalid indirect read from stack R{reg} off {off}+{byte} size {size}\n";
    before(6, 16), Reject::UninitArgVariable { by_call: true, reg, value, mask, byte, size } =>
        "invalid indirect read from stack R{reg} var_off ({value:#x}; {mask:#x})+{byte} size {size}\n";
    before(6, 16), Reject::ReferenceLeak { what } if what.starts_with("BPF_EXIT") || *what == "bpf_throw" => "";
    before(6, 16), Reject::ReferenceLeak { what } if what.starts_with("BPF_LD") =>
        "{what} cannot be mixed with socket references\n";
    before(6, 16), Reject::HeldInRegion { what, region: "bpf_spin_lock", .. } if what.starts_with("BPF_EXIT") =>
        "bpf_spin_unlock is missing\n";
    before(6, 16), Reject::HeldInRegion { what, region: "bpf_rcu_read_lock", .. } if what.starts_with("BPF_EXIT") =>
        "bpf_rcu_read_unlock is missing\n";
    before(6, 16), Reject::HeldInRegion { what, region: "bpf_preempt_disable", times: 1 } if what.starts_with("BPF_EXIT") =>
        "1 bpf_preempt_enable is missing\n";
    before(6, 16), Reject::HeldInRegion { what, region: "bpf_preempt_disable", times } if what.starts_with("BPF_EXIT") =>
        "{times} bpf_preempt_enable(s) are missing\n";
    before(6, 16), Reject::GraphNodeOwned { .. } => "rbtree_remove node input must be non-owning ref\n";
    before(6, 16), Reject::GraphInLess { .. } => "rbtree_remove not allowed in rbtree cb\n";
    before(6, 17), Reject::TracingDenied { .. } => "";
    before(6, 17), Reject::TracesNoreturn { .. } => "Attaching fexit/fmod_ret to __noreturn functions is rejected.\n";
    before(6, 17), Reject::TailCallNoProgArray => "kernel subsystem misconfigured verifier";
    before(6, 17), Reject::RdonlyCastUnknown { .. } | Reject::RdonlyCastType => "kfunc bpf_rdonly_cast type ID argument must be of a struct\n";
    before(6, 16), Reject::MayGotoFields { off, imm } => "invalid may_goto off {off} imm {imm}\n";
    before(6, 12), Reject::KsymNotVarOrFunc { id } => "pseudo btf_id {id} in ldimm64 isn't KIND_VAR.\n";
    before(6, 12), Reject::GlobalCallArgs { func, .. } => "Caller passes invalid args into func#{func}\n";
    before(6, 12), Reject::InfiniteLoop { insn, .. } => "infinite loop detected at insn {insn}\n";
    before(6, 12), Reject::Misaligned { what, var: TnumText(v), fixed, off, size } =>
        "misaligned {what}access off ({:#x}; {:#x})+{fixed}+{off} size {size}\n", v.value, v.mask;
    before(6, 12), Reject::MisalignedPacket { base, var: TnumText(v), fixed, off, size } =>
        "misaligned packet access off {base}+({:#x}; {:#x})+{fixed}+{off} size {size}\n", v.value, v.mask;
    before(6, 12), Reject::ArgReleaseOffset { reg } => "R{reg} must have zero offset when passed to release func\n";
    before(6, 1), Reject::TypeNotSleepable => "Only fentry/fexit/fmod_ret and lsm programs can be sleepable\n";
    before(6, 12), Reject::TypeNotSleepable =>
        "Only fentry/fexit/fmod_ret, lsm, and kprobe/uprobe programs can be sleepable\n";
    before(6, 16), Reject::TracingDenied { .. } => "";
    before(6, 18), Reject::TracesNoreturn { .. } => "Attaching fexit/fmod_ret to __noreturn functions is rejected.\n";
    from(7, 0), Reject::TracesNoreturn { name } =>
        "Attaching fexit/fsession/fmod_ret to __noreturn function '{name}' is rejected.\n";
    from(7, 1), Reject::PrototypeReturn { name, .. } =>
        "Global function {name}() return value not void or scalar. Only those are supported.\n";
    from(7, 1), Reject::GlobalCallSleeps { name, region } =>
        "sleepable global function {name}() called in {region}\n";
    from(7, 1), Reject::InvalidBuffer { reg, what, fixed, insn_off, .. } =>
        "R{reg} invalid negative {what} buffer offset: off={insn_off}, var_off={fixed}\n";
    from(7, 1), Reject::Misaligned { what, var, off, size, .. } => "misaligned {what}access off {var}+{off} size {size}\n";
    from(7, 1), Reject::MisalignedPacket { base, var, off, size, .. } =>
        "misaligned packet access off {base}+{var}+{off} size {size}\n";
    from(7, 1), Reject::KfuncObjectDrop { arg, percpu } => "arg#{arg} expected for bpf_{percpu}obj_drop()\n";
    from(7, 2), Reject::KfuncReleaseNothing { name } =>
        "release kfunc {name} expects referenced PTR_TO_BTF_ID passed to R1\n";
    from(7, 2), Reject::ReleaseUnreferenced { reg, helper } =>
        "release helper bpf_{helper} expects referenced PTR_TO_BTF_ID passed to R{reg}\n";
    from(7, 2), Reject::ArgMaybeNull { reg } => "Possibly NULL pointer passed to helper R{reg}\n";
    from(7, 2), Reject::DynptrConstRelease => "CONST_PTR_TO_DYNPTR cannot be released\n";
    from(7, 2), Reject::DynptrUnacquired { arg } => "Expected an initialized dynptr as R{arg}\n";
    from(7, 2), Reject::KfuncMemoryPair { arg, size, .. } =>
        "arg{arg} and arg{size} memory, len pair leads to invalid memory access\n";
    before(6, 12), Reject::TooManyMaps => "";
    from(7, 2), Reject::BtfArgReadOnly { reg, name, off, size } =>
        "R{reg} cannot write into ptr_{name} at off={off} size={size}\n";
    from(7, 2), Reject::FuncIpAttach { func } =>
        "func {func} supported only for fentry/fexit/fsession/fmod_ret programs\n";
    from(7, 2), Reject::HelperSleeps { func } => "sleepable helper {func} in non-sleepable prog\n";
    before(6, 12), Reject::HelperNotOffered { func } => "unknown func {func}\n";
}

/// Register types that are called something else: the kernels, their word, the word of 6.18 (as rows above left it).
const TYPE_WORDS: [(Range, &str, &str); 5] = [
    (before(6, 12), "alloc_mem", "ringbuf_mem"),
    (before(5, 13), "map_value, mem, rdonly_buf, rdwr_buf", "map_key, map_value, mem, alloc_mem, buf"),
    (before(5, 13), "map_value", "map_key, map_value"),
    (before(5, 17), "mem", "alloc_mem"),
    (before(5, 18), "type=inv ", "type=scalar "),
];

/// What the kernel of this version prints.
pub fn text(reject: &Reject, version: Version) -> String {
    let mut text = other_words(reject, version).unwrap_or_else(|| reject.to_string());
    for (range, old, new) in TYPE_WORDS {
        if (range.0..range.1).contains(&version) && text.contains(new) {
            text = text.replace(new, old);
        }
    }
    if version >= series(7, 2) && is_of_call(reject) { with_registers(&text) } else { text }
}

/// Refusals of one argument of a call. A prototype that is itself not understood still has arguments with numbers.
fn is_of_call(reject: &Reject) -> bool {
    let other = matches!(reject, Reject::GraphNodeType { .. } | Reject::GraphNodeOffset { .. });
    let subprog = matches!(reject, Reject::ArgNoCtx { .. } | Reject::ArgNull { .. });
    let object = reject.id().starts_with("BV10") || reject.id().starts_with("BV07");
    subprog || object && !other
}

/// The text with registers instead of arguments: `arg#0`, `args#0`, `arg #0` and `arg0` are `R1`. Dynptrs count from 1 already.
fn with_registers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("arg") {
        let before = &rest[..at];
        let tail = rest[at + 3..].trim_start_matches(['s', ' ', '#']);
        let digits = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        match tail[..digits].parse::<u32>() {
            Ok(n) => {
                out.push_str(before);
                out.push_str(&format!("R{}", n + 1));
                rest = &tail[digits..];
            }
            Err(_) => {
                out.push_str(&rest[..at + 3]);
                rest = &rest[at + 3..];
            }
        }
    }
    out + rest
}
