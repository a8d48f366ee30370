//! References, dynptrs, iterators, locks and other states of the kernel's object rules; helpers and kfuncs that are not offered; return
//! values; functions that are verified alone. Here the message names the cause.

use super::{Cause, Facts, Finding, text};
use crate::diagnosis::Role;
use crate::log::insn::Op;
use crate::words;

pub fn rule(f: &Facts<'_>) -> Option<Finding> {
    references(f)
        .or_else(|| contexts(f))
        .or_else(|| kinds(f))
        .or_else(|| functions(f))
        .or_else(|| offered(f))
        .or_else(|| returned(f))
        .or_else(|| limits(f))
}

fn references(f: &Facts<'_>) -> Option<Finding> {
    let locked = f.has("spin_lock-ed") || f.has("lock-ed region") || f.has("_lock");
    let leak = f.has("Unreleased reference") || f.has("reference leak");
    let wrong = f.has("reference has not been acquired")
        || f.has("is an unacquired reference")
        || f.has("must be referenced when passed to release")
        || f.has("release function")
        || f.has("must be zero") && f.has("release")
        || f.has("is already released")
        || f.has("release kernel function")
        || f.has("arguments before acquire")
        || f.has("more than one arg with ref_obj_id");
    if !leak && (!wrong || locked) {
        return None;
    }
    if f.has("dynptr") && !leak {
        return None;
    }
    if wrong && !leak {
        let found = Finding::sure(Cause::Ref, "this releases something that is not (or not any more) held")
            .because("the pointer given is not one that was acquired and is still to be released; an offset, a second release, or the wrong release function")
            .fix("release exactly the pointer that the acquiring call returned, once, with the function that belongs to it");
        let found = match f.at.map(|at| (at, f.path.trace(at, f.message_reg().unwrap_or(1)))) {
            Some((at, t)) if t.at < at => found.mark(Role::Made, t.at, "the pointer comes from here"),
            _ => found,
        };
        return Some(f.rejected(found, "released here"));
    }
    let acquired = f.number("alloc_insn").and_then(|n| f.path.steps.iter().rposition(|s| i64::from(s.insn) == n));
    let maker = acquired.and_then(|a| match &f.path.steps[a].op {
        Op::Helper { name, .. } | Op::Kfunc { name } => Some(name.clone()),
        _ => None,
    });
    let m = maker.clone().unwrap_or_else(|| "a call".into());
    let release = release_of(&m);
    let cause = match m.as_str() {
        m if m.contains("dynptr") => Cause::Dynptr,
        m if m.contains("iter_") && m.ends_with("_new") => Cause::Iter,
        _ => Cause::Ref,
    };
    let mut found = Finding::sure(cause, format!("what `{m}` returned is not released on this path"))
        .because("this path reaches the end of the program while it still holds the object");
    if let Some(a) = acquired {
        found = found.mark(Role::Made, a, "acquired here");
        // Where this path leaves the one on which it is released: the last condition on it.
        if let Some(c) = f.path.checks(f.path.steps.len()).filter(|c| c.step > a).last()
            && f.source(c.step) != f.source(a)
        {
            found = found.mark(Role::Lost, c.step, "this path leaves here, without a release");
        }
        let name = f.source(a).and_then(|s| text::assigned_from(&s.text, &m).or_else(|| text::assigned(&s.text)));
        let n = name.unwrap_or_else(|| "obj".into());
        let at = f.path.checks(f.path.steps.len()).filter(|c| c.step > a).last().map(|c| c.step).or(f.at);
        if let Some(at) = at {
            let _ = at;
            found = found
                .fix(format!("release it before every return behind this point: `{}`", release.replace("PTR", &n)));
        }
    } else {
        found =
            found.fix(format!("release it on every path, early returns included: `{}`", release.replace("PTR", "ptr")));
    }
    Some(f.rejected(found, "the program ends here, and still holds it"))
}

fn release_of(maker: &str) -> &'static str {
    match maker {
        m if m.contains("ringbuf_reserve_dynptr") => "bpf_ringbuf_discard_dynptr(&PTR, 0)",
        m if m.contains("ringbuf_reserve") => "bpf_ringbuf_submit(PTR, 0) or bpf_ringbuf_discard(PTR, 0)",
        m if m.contains("sk_lookup") || m.contains("skc_lookup") => "bpf_sk_release(PTR)",
        m if m.contains("task") => "bpf_task_release(PTR)",
        m if m.contains("cgroup") => "bpf_cgroup_release(PTR)",
        m if m.contains("percpu_obj_new") => "bpf_percpu_obj_drop(PTR)",
        m if m.contains("obj_new") => "bpf_obj_drop(PTR)",
        m if m.contains("iter") => "its destroy function",
        m if m.contains("kptr_xchg") => "bpf_kptr_xchg it back, or the release function of its type",
        m if m.contains("_ct_") => "bpf_ct_release(PTR)",
        m if m.contains("cpumask") => "bpf_cpumask_release(PTR)",
        _ => "the release function that belongs to it",
    }
}

/// States with rules of their own, by the words of the message.
fn kinds(f: &Facts<'_>) -> Option<Finding> {
    let lower = f.text.to_lowercase();
    let has = |w: &str| lower.contains(w);
    let found = if has("dynptr") {
        Finding::sure(Cause::Dynptr, "a dynptr is used against its rules")
            .because("the message names a dynptr: where it must be, whether it must hold something, and what may touch it")
            .fix("initialise it with the helper that makes it, pass its own address (not one inside it), do not write to its 16 bytes, and do not use slices after it is released or changed")
    } else if (has("iter") && (has("iter_") || has("iterator")))
        && !has("max_iter")
        && !has("type 'iter")
        && !has("bpf_iter program")
    {
        Finding::sure(Cause::Iter, "an iterator is used outside of new, next, destroy")
            .because("the message names an iterator: it must be on the stack, made by `new` before `next`, and ended by `destroy`")
            .fix("use the macro bpf_for_each(), which pairs them; or call destroy on every path, also when `new` failed")
    } else if has("irq flag") || has("irq-disabled") || has("irq save") || has("irq_restore") || has("irq-save") {
        lock(
            f,
            "IRQ flags are not saved and restored in pairs",
            "restore the saved flag once, in the reverse order, on every path",
        )
    } else if has("spin_lock")
        || has("spin_unlock")
        || has("bpf_res_spin")
        || has("lock-ed")
        || has("while holding a lock")
        || has("_unlock without")
        || has("aa deadlock")
        || has("rqspinlock")
        || has("holding a lock")
    {
        lock(
            f,
            "a spin lock is not held where it must be, or something is done that may not be done while it is",
            "lock and unlock once on every path, before every return; do not call helpers or functions in between",
        )
    } else if has("rcu read") || has("rcu_read") || has("rcu critical") || has("rcu cs") || has("rcu pointer") {
        lock(
            f,
            "the RCU read section is not entered or left where it must be",
            "put bpf_rcu_read_lock() and bpf_rcu_read_unlock() in pairs around the use, on every path",
        )
    } else if has("preempt") && !has("preempt_rt") {
        lock(
            f,
            "preemption is not disabled and enabled in pairs",
            "pair bpf_preempt_disable() and bpf_preempt_enable() on every path",
        )
    } else {
        return None;
    };
    let reg = f.message_reg().or_else(|| f.number("arg#").or(f.number("arg #")).and_then(|n| u8::try_from(n + 1).ok()));
    let found = match (f.at, reg.filter(|r| (1..=5).contains(r))) {
        (Some(at), Some(reg)) => {
            let t = f.path.trace(at, reg);
            if t.at < at && f.source(t.at) != f.source(at) {
                found.mark(Role::Made, t.at, "the pointer comes from here")
            } else {
                found
            }
        }
        _ => found,
    };
    let label = f.path.refusal.message.last().cloned().unwrap_or_default();
    Some(f.rejected(found, label))
}

fn lock(f: &Facts<'_>, title: &str, fix: &str) -> Finding {
    let mut found = Finding::sure(Cause::Lock, title)
        .because("the message names the state that is wrong at this instruction")
        .fix(fix);
    let taken = f.path.steps.iter().rposition(|s| match &s.op {
        Op::Helper { name, .. } | Op::Kfunc { name } => {
            (name.ends_with("_lock")
                || name.ends_with("preempt_disable")
                || name.ends_with("_irqsave")
                || name.ends_with("irq_save"))
                && !name.contains("unlock")
        }
        _ => false,
    });
    if let Some(step) = taken.filter(|s| Some(*s) != f.at) {
        found = found.mark(Role::Made, step, "the section begins here");
    }
    found
}

fn contexts(f: &Facts<'_>) -> Option<Finding> {
    let says = [
        "might sleep",
        "sleepable",
        "exception cb",
        "exception callback",
        "in callback",
        "cannot be called from callback",
        "from callback",
        "bpf_throw",
        "only allowed in bpf_lsm",
        "must be sleepable",
        "non-sleepable",
        "rbtree cb",
        "update sockmap",
        "device-bound",
        "cannot call exception",
    ];
    if !says.iter().any(|s| f.has(s)) {
        return None;
    }
    let sleeps = f.has("sleep");
    let found = Finding::sure(Cause::Context, if sleeps { "something that may sleep is used where sleeping is not allowed (or the other way round)" } else { "this call is not allowed in this context" })
        .because("the helper, kfunc or map is known, but not allowed at this place")
        .fix(if sleeps { "make the program sleepable (section with `.s`, such as `lsm.s/`, `fentry.s/`) if its type can be; else use the helper that does not sleep; outside of locks and RCU sections" } else { "call it from the main program, outside of callbacks" });
    Some(f.rejected(found, "not allowed here"))
}

/// Instead of what many look for first.
fn instead(name: &str) -> Option<&'static str> {
    Some(match name.trim_start_matches("bpf_") {
        "trace_printk" | "trace_vprintk" => {
            "events in a ring buffer (bpf_ringbuf_output) can be had in more program types"
        }
        "get_current_pid_tgid" | "get_current_task" | "get_current_comm" | "get_current_uid_gid" => {
            "packets are often handled outside of the process that they belong to; record pid and socket in a map from a kprobe, cgroup or socket program, and look it up here"
        }
        "probe_read" => {
            "bpf_probe_read_kernel or bpf_probe_read_user (Linux 5.5): on some architectures the old one is gone"
        }
        "skb_load_bytes" | "skb_store_bytes" => {
            "in XDP read and write the packet directly, after a check against data_end, or with bpf_xdp_load_bytes / bpf_xdp_store_bytes (5.18)"
        }
        "skb_vlan_pop" | "skb_vlan_push" => "in XDP move the headers yourself and call bpf_xdp_adjust_head",
        "perf_event_output" => "bpf_ringbuf_output (Linux 5.8)",
        "get_socket_cookie" => "another overload of it may exist for this type; the 4-tuple serves as a key as well",
        "skb_under_cgroup" | "sk_lookup_tcp" => "sk_lookup helpers exist for tc, XDP and cgroup socket programs",
        "d_path" => "only certain hooks offer it: use an fentry or LSM hook that is on its list",
        "override_return" => {
            "only functions tagged ALLOW_ERROR_INJECTION, with CONFIG_BPF_KPROBE_OVERRIDE; use an LSM program to deny"
        }
        "send_signal" => "tracing programs offer it",
        "ktime_get_ns" => "it is offered everywhere: check the number in the instruction",
        "redirect" | "clone_redirect" => "tc offers it; XDP has bpf_redirect and bpf_redirect_map",
        _ => return None,
    })
}

fn offered(f: &Facts<'_>) -> Option<Finding> {
    if f.has("195896080") || f.has("0xbad2310") || f.has("invalid CO-RE") {
        return None;
    }
    let helper = f.has("unknown func ") || f.has("cannot use helper") || f.has("invalid func unknown");
    let others = [
        (
            "GPL-restricted",
            "this helper is only for programs under a GPL-compatible licence",
            "declare the licence: `char LICENSE[] SEC(\"license\") = \"GPL\";`, if it is",
        ),
        (
            "non-GPL compatible",
            "this is only for programs under a GPL-compatible licence",
            "declare the licence: `char LICENSE[] SEC(\"license\") = \"GPL\";`, if it is",
        ),
        (
            "must have a GPL compatible license",
            "this program type is only for programs under a GPL-compatible licence",
            "declare the licence: `char LICENSE[] SEC(\"license\") = \"GPL\";`, if it is",
        ),
        (
            "calling kernel function",
            "this program type may not call this kernel function",
            "each kfunc is registered for certain program types; `bpfverdict kernels` shows what they are offered",
        ),
        (
            "not allowed in probe",
            "this helper is allowed only in programs that are attached to certain functions",
            "attach to a function on the helper's list, or do without it",
        ),
        (
            "cannot pass map_type",
            "this helper does not work on this type of map",
            "use the helper for this map type, or another map type",
        ),
        ("map_type", "this type of map is not allowed here", "use another map type"),
        (
            "unknown opcode",
            "this kernel does not know the instruction",
            "compile for an older instruction set: `clang -mcpu=v1`, `v2` or `v3`",
        ),
        (
            "uses reserved fields",
            "this kernel does not know this form of the instruction",
            "compile for an older instruction set: `clang -mcpu=v3` (v4 needs Linux 6.6)",
        ),
        (
            "invalid BPF_ALU opcode",
            "this kernel does not know the instruction",
            "compile for an older instruction set: `clang -mcpu=v3`",
        ),
        (
            "invalid BPF_JMP",
            "this kernel does not know the instruction",
            "compile for an older instruction set: `clang -mcpu=v1` (32-bit jumps need Linux 5.1)",
        ),
        (
            "invalid atomic opcode",
            "this kernel does not know the atomic operation",
            "compile for an older instruction set (`-mcpu=v1`): only atomic addition without a result is old (Linux 5.12 has the others)",
        ),
        (
            "BPF_STX uses reserved",
            "this kernel does not know the atomic operation",
            "compile for an older instruction set",
        ),
        (
            "mixing of tail_calls",
            "this kernel does not take tail calls together with calls of functions",
            "inline the functions (`__always_inline`), or ask for Linux 5.10 on x86-64 (6.0 on arm64)",
        ),
        (
            "is not supported",
            "this kernel or architecture does not support it",
            "use what this kernel supports, or a newer one",
        ),
        (
            "JIT does not support",
            "this architecture's JIT does not support it",
            "avoid the call on this architecture, or use a newer kernel",
        ),
        ("supported only for", "only some attach types of this program type offer it", "attach in another way"),
        (
            "instructions not allowed for this program type",
            "LD_ABS and LD_IND are only for socket filters and tc",
            "read the packet through data and data_end, or with bpf_skb_load_bytes",
        ),
        ("invalid destination", "the call goes nowhere", ""),
        ("Attaching tracing programs", "programs may not be attached to this function", "attach to another function"),
        (
            "is not modifiable",
            "this function's return value cannot be changed",
            "use a function on the list of error injection, or an LSM hook",
        ),
        ("is rejected", "the kernel refuses to attach here", "attach to another function"),
        ("disabled hook", "this kernel does not offer the hook", "use another hook"),
        ("is not a supported struct", "this kernel does not have this struct_ops", "use a kernel that has it"),
    ];
    if helper && !f.has("invalid func unknown#-1") {
        let name = helper_name(f);
        let unknown = name.starts_with("unknown");
        let kind = f.extra.prog_type.clone();
        let title = match (unknown, &kind) {
            (true, _) => format!("this kernel does not know helper number {}", name.trim_start_matches("unknown#")),
            (false, Some(t)) => format!("programs of type {t} are not offered `{name}`"),
            (false, None) => {
                format!("this program type is not offered `{name}` (or this kernel's configuration leaves it out)")
            }
        };
        let number = f.text.rsplit('#').next().and_then(|n| n.trim().parse::<u32>().ok());
        let known = number.and_then(spec::helper::by_id);
        let mut found = Finding::sure(Cause::HelperNa, title).because(if unknown {
            "its number is higher than the kernel's list of helpers"
        } else {
            "the kernel knows the helper by name, so it is not too old: the program type does not have it"
        });
        if let (true, Some(n)) = (unknown, number)
            && let Some(full) = spec::helper::full_name(n)
        {
            found = found.note(format!("number {n} is `{full}`"));
        }
        let who = offered_to(number);
        if !who.is_empty() {
            found = found.note(format!("program types that offer it on Linux 6.18: {who}"));
        }
        if let Some(better) = instead(&name) {
            found = found.fix(better);
        }
        let _ = known;
        found = found.fix(if unknown {
            "use a newer kernel, or guard the call with bpf_core_enum_value_exists / a .rodata flag"
        } else {
            "use a program type that offers it, or do without: check that SEC(...) names the type that is meant"
        });
        return Some(f.rejected(found, format!("`{name}` is not offered here")));
    }
    if f.has("unknown#-1") || f.has("call to invalid destination") || f.has("invalid kernel function call") {
        let found = Finding::sure(Cause::Loader, "a call to something that is not in the program")
            .because("the call was never relocated: the function is not in the object, or the loader did not link it")
            .fix("calls to libc, to a panic handler or to a function of another file have no place in BPF: use `__builtin_memcpy`/`memset` of constant size, mark functions `static __always_inline`, link objects with `bpftool gen object`");
        return Some(f.rejected(found, "calls nothing"));
    }
    if f.has("unknown opcode") && f.has("unknown opcode 00") {
        return None;
    }
    if f.has("Sleepable programs can only use") {
        let found = Finding::sure(Cause::HelperNa, "a sleepable program may not use a map of this type")
            .because("the map's type is not on the list")
            .fix("use an array, hash, ring buffer or local storage map");
        return Some(f.rejected(found, "not for sleepable programs"));
    }
    let (_, title, fix) = others.iter().find(|(m, ..)| f.has(m))?;
    if f.has("_lock") || f.has("value_size") {
        return None;
    }
    let found = Finding::sure(Cause::HelperNa, *title)
        .because(
            "kernel, configuration, program type or licence decide this; the program's data flow has no part in it",
        )
        .fix(*fix);
    Some(f.rejected(found, "not offered here"))
}

/// The name behind `helper ` or `func `, with its number only where there is no name.
fn helper_name(f: &Facts<'_>) -> String {
    let line = f
        .text
        .lines()
        .find(|l| l.contains("unknown func ") || l.contains("cannot use helper") || l.contains("invalid func"))
        .unwrap_or_default();
    let word = line.rsplit(' ').next().unwrap_or_default();
    if word.starts_with("unknown") { word.to_owned() } else { word.split('#').next().unwrap_or(word).to_owned() }
}

/// Program types of 6.18 that are offered a helper.
fn offered_to(number: Option<u32>) -> String {
    let Some(id) = number else { return String::new() };
    let Ok(profile) = spec::Profile::load("6.18") else { return String::new() };
    let names: Vec<String> = spec::ProgType::ALL
        .iter()
        .filter(|t| {
            let program = spec::ProgContext { prog_type: **t, attach_type: 0, target: "", sleepable: false };
            matches!(profile.helper(program, id), spec::helper::HelperAvail::Yes { .. })
        })
        .map(|t| t.libbpf_name())
        .collect();
    let many = names.len();
    if many > 12 {
        return format!("{} and {} more", names[..12].join(", "), many - 12);
    }
    names.join(", ")
}

fn functions(f: &Facts<'_>) -> Option<Finding> {
    let says = [
        "Caller passes invalid args",
        "doesn't return scalar",
        "is not a global function",
        "reg type unsupported for arg",
        "doesn't point to",
        "Global function",
        "invalid return type",
        "Func#",
        "func#",
        "expected pointer to ctx, but got PTR",
        "pointer type UNKNOWN",
        "must point to scalar, or struct with scalar",
        "should be ctx pointer",
        "unrecognized arg",
        "is not supported yet",
        "callback function not static",
    ];
    if !says.iter().any(|s| f.has(s))
        || f.has("arg#") && f.at.is_some_and(|a| matches!(f.path.steps[a].op, Op::Kfunc { .. } | Op::Helper { .. }))
    {
        return None;
    }
    let found = Finding::sure(Cause::Subprog, "a global function is verified alone, by the types of its arguments")
        .because("what the function's prototype says and what callers pass (or it returns) do not fit")
        .fix("make the function `static`: then it is verified as part of each caller; or give it scalar and pointer-to-struct arguments only, and an int result")
        .fix("tag arguments that are more (`__arg_ctx`, `__arg_nonnull`, `__arg_dynptr`, `__arg_trusted`; Linux 6.8)");
    Some(f.rejected(found, "called or defined here"))
}

fn returned(f: &Facts<'_>) -> Option<Finding> {
    let says = f.has("should have been")
        || f.has("At program exit")
        || f.has("is not a known value (")
        || f.has("as return value") && !f.has("leaks addr")
        || f.has("R0 leaks addr as return value");
    if !says {
        return None;
    }
    let allowed =
        f.text.rsplit("should have been in ").next().filter(|r| r.starts_with(['(', '['])).map(|r| r.trim().to_owned());
    let callback = f.has("callback");
    let title = match (&allowed, callback) {
        (Some(a), false) => format!("this hook allows only return values in {a}"),
        (Some(a), true) => format!("this callback may only return values in {a}"),
        (None, _) => "this hook does not allow the return value".to_owned(),
    };
    let mut found = Finding::sure(Cause::Retval, title).because(match f.reg(0) {
        Some(v) if v.is_pointer() => format!("R0 is {} here", words::kind(&v)),
        Some(v) => format!("R0 is {} here", words::range(&v)),
        None => "R0 is not known to be among them here".to_owned(),
    });
    if let Some(at) = f.at {
        let trace = f.path.trace(at, 0);
        if trace.at < at {
            found = found.mark(Role::Made, trace.at, "the value comes from here");
        }
    }
    found = found.fix(
        "return one of the allowed values on every path; map anything else to one of them (`return ret ? 1 : 0;`)",
    );
    if f.has("unknown scalar") {
        found = found.note(
            "if the value is a helper's result or a negative error, limit it first: the verifier must see the range",
        );
    }
    Some(f.rejected(found, "returned here"))
}

fn limits(f: &Facts<'_>) -> Option<Finding> {
    let says = [
        "number of maps per program has reached",
        "only one cgroup storage",
        "Only one arena",
        "too many different",
        "too many subprograms",
        "more than 64 maps",
    ];
    if !says.iter().any(|s| f.has(s)) {
        return None;
    }
    let found = Finding::sure(Cause::ObjLimit, "the program refers to more objects than one program may have")
        .because(
            "the limit is per program: 64 maps, 256 kfuncs, 256 functions, one arena, one cgroup storage of a kind",
        )
        .fix(
            "put several maps into one (a key with a type in it, a struct as value, map in map), or split the program",
        );
    Some(f.rejected(found, "one too many"))
}
