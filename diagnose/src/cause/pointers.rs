//! Pointers: NULL, numbers that are used as addresses, pointers whose kind was lost, operations that no pointer allows, registers that hold
//! nothing, arguments of the wrong kind.

use super::{Cause, Facts, Finding, text};
use crate::diagnosis::{Role, Trial};
use crate::log::insn::{Op, Rhs};
use crate::log::state::{Place, Value};
use crate::path::{How, Origin, Trace};
use crate::words;

/// A pointer that may be NULL.
pub fn null(f: &Facts<'_>) -> Option<Finding> {
    let says = (f.has("_or_null") && f.has("invalid mem access"))
        || f.has("null-check it first")
        || f.has("Possibly NULL pointer")
        || or_null_argument(f);
    if !says {
        return None;
    }
    let reg = f.message_reg().or_else(|| argument(f));
    let (Some(at), Some(reg)) = (f.at, reg) else {
        return Some(
            Finding::sure(Cause::Null, "a pointer that may be NULL is used without a test")
                .because("its type ends in `or_null`")
                .fix("test the pointer right after the call that gave it, before this use"),
        );
    };
    let trace = f.path.trace(at, reg);
    if global_argument(f, &trace) {
        return Some(argument_of_global(f, reg, true));
    }
    let maker = match &trace.origin {
        Origin::Call { name } => name.clone(),
        _ => String::new(),
    };
    let line = f.source(trace.at).map(|s| s.text.as_str()).unwrap_or_default();
    let name = text::assigned_from(line, &maker).or_else(|| text::assigned(line));
    let who = name.clone().map_or_else(|| format!("R{reg}"), |n| format!("`{n}`"));
    let mut found = Finding::sure(Cause::Null, format!("{who} may be NULL here and is used without a test")).because(
        format!("R{reg} is {}", f.reg(reg).map_or_else(|| "a pointer or NULL".to_owned(), |v| words::kind(&v))),
    );
    if trace.at < at || matches!(trace.origin, Origin::Call { .. }) {
        let what = match maker.as_str() {
            "" => "comes from here and may be NULL".to_owned(),
            m if m.ends_with("lookup_elem") => format!("`{m}` returns NULL when nothing is found"),
            m => format!("`{m}` may return NULL"),
        };
        found = found.mark(Role::Made, trace.at, what);
    }
    // A test on another copy of it that the verifier does not connect with this one.
    let tested = f.path.checks(at).find(|c| {
        c.right == Rhs::Imm(0)
            && c.step > trace.at
            && f.path.trace(c.step, c.left).at == trace.at
            && !f.path.value(c.step, Place::Reg(c.left)).is_some_and(|v| v.is_scalar() && v.constant.is_some())
    });
    if let Some(c) = tested {
        found = found
            .mark(Role::Checked, c.step, format!("this tests a copy (R{}) that has lost its connection with R{reg}", c.left))
            .because("a test exists on this path, but on a copy that changed since: the verifier connects only unchanged copies");
    }
    let n = name.unwrap_or_else(|| "ptr".to_owned());
    let mut fix = f.before(
        at,
        format!("test it before this line: it is NULL when {}", when_null(&maker)),
        format!("if (!{n}) {}", f.give_up()),
    );
    fix.trial = Some(Trial::NotNull { insn: f.path.steps[at].insn, reg });
    found = found.fixed(fix);
    Some(f.rejected(
        found,
        format!("{who} is {} here", f.reg(reg).map_or_else(|| "a pointer or NULL".to_owned(), |v| words::kind(&v))),
    ))
}

fn when_null(maker: &str) -> &'static str {
    match maker {
        m if m.ends_with("lookup_elem") => "the key is not in the map",
        m if m.contains("ringbuf_reserve") => "the ring buffer is full",
        m if m.contains("storage_get") => "there is no storage and none could be made",
        m if m.contains("sk_lookup") || m.contains("skc_lookup") => "there is no such socket",
        m if m.contains("dynptr") => "the slice is out of bounds",
        m if m.contains("obj_new") => "there is no memory",
        _ => "there is nothing to point to",
    }
}

fn or_null_argument(f: &Facts<'_>) -> bool {
    f.text.lines().any(|l| {
        l.split_once(" type=").is_some_and(|(_, r)| r.split(' ').next().is_some_and(|t| t.contains("or_null")))
    })
}

/// `arg1` of "Possibly NULL pointer passed to trusted arg1".
fn argument(f: &Facts<'_>) -> Option<u8> {
    let n = f.number("arg#").or_else(|| f.number("arg"))?;
    u8::try_from(n + 1).ok().filter(|r| (1..=5).contains(r))
}

/// Whether a value is what a global function was given.
pub fn global_argument(f: &Facts<'_>, trace: &Trace) -> bool {
    f.path.refusal.validating.is_some() && trace.origin == Origin::Entry
}

pub fn argument_of_global(f: &Facts<'_>, reg: u8, null: bool) -> Finding {
    let name = f.path.refusal.validating.clone().unwrap_or_default();
    let what =
        if null { "its pointer arguments may be NULL" } else { "nothing is known about its arguments but their types" };
    let found = Finding::sure(Cause::Subprog, format!("the global function `{name}` is verified alone: {what}"))
        .because(format!("the log says `Validating {name}()`, and R{reg} is an argument of it"));
    let found = if null {
        found.fix("test the argument for NULL inside the function, or tag it `__arg_nonnull` (Linux 6.8)")
    } else {
        found.fix("check the argument inside the function")
    };
    f.rejected(
        found.fix(format!("or make `{name}` static, so that it is verified with what each caller knows")),
        format!("R{reg} is an argument here"),
    )
}

pub fn rule(f: &Facts<'_>) -> Option<Finding> {
    never_allowed(f).or_else(|| unreadable(f)).or_else(|| wrong_argument(f)).or_else(|| number_as_address(f))
}

/// Operations on pointers.
fn never_allowed(f: &Facts<'_>) -> Option<Finding> {
    if f.has("partial copy of pointer") || f.has("sign-extension part of pointer") {
        let found = Finding::sure(Cause::ProvLost, "a pointer is copied as 32 bits: half of it is lost")
            .because("the instruction moves only the lower half of a pointer")
            .fix("keep the pointer in a 64-bit variable: do not cast it to int or __u32");
        return Some(with_origin(f, found, "the pointer is copied in part here"));
    }
    if f.has("same insn cannot be used with different pointers") {
        let found = Finding::sure(Cause::ProvLost, "two branches meet here with pointers of different kinds")
            .because("one instruction is reached with different kinds of pointers in the same register")
            .fix("do the access in each branch, before they meet; keep the compiler from merging them with a barrier (`barrier_var`, `asm volatile(\"\")`)");
        return Some(f.rejected(found, "reached with pointers of different kinds"));
    }
    if f.has("attempt to corrupt spilled pointer")
        || f.has("invalid size of register spill")
        || f.has("invalid size of register fill")
        || f.has("corrupted spill memory")
    {
        let found = Finding::sure(Cause::ProvLost, "a pointer on the stack is written or read in part")
            .because("pointers on the stack keep their kind only in whole slots of eight bytes, aligned")
            .fix("copy structs that hold pointers field by field, eight bytes at a time, aligned to eight");
        return Some(f.rejected(found, "touches part of a pointer on the stack"));
    }
    if f.has("dereference of modified")
        || f.has("disallowed") && f.has("ptr R") && f.has("off=") && !f.has("negative offset")
    {
        let found = Finding::likely(Cause::ProvLost, "the offset was added to the pointer itself instead of being part of the access")
            .because("pointers of this kind must be used as they were given; the compiler made a sum of two accesses' addresses")
            .fix("read the fields one by one through the unmodified pointer; keep the compiler from combining them (`barrier_var(ctx)`, volatile access, or `__builtin_preserve_access_index`)");
        return Some(with_origin(f, found, "a pointer that was moved is dereferenced"));
    }
    let op = [
        (
            "pkt_end prohibited",
            "arithmetic on data_end is not allowed: it is a mark to compare with",
            "compute with `data`, and compare with `data_end`",
        ),
        (
            "bitwise operator",
            "bit operations on pointers are not allowed",
            "keep flags in a number of their own; align offsets, not pointers",
        ),
        (
            "32-bit pointer arithmetic",
            "a pointer is computed with in 32 bits",
            "use 64-bit types for everything that is added to a pointer",
        ),
        (
            "subtract pointer from scalar",
            "a pointer is subtracted from a number",
            "subtract the number from the pointer instead",
        ),
        (
            "subtraction from stack pointer",
            "subtracting from a stack pointer is not allowed",
            "add a negative number instead",
        ),
        (
            "pointer += pointer",
            "two pointers are added",
            "only a number can be added to a pointer; often one of them should have been read (`*p`)",
        ),
        (
            "pointer comparison prohibited",
            "these pointers may not be compared",
            "compare what they point to, or indexes",
        ),
        (
            "leaks addr",
            "a kernel address would leave the program",
            "store a number or a copy of the data, not the pointer",
        ),
        (
            "cannot write into packet",
            "this program type may not write to the packet directly",
            "use bpf_skb_store_bytes, or a type that may write",
        ),
        ("cannot write into", "this memory is read-only", "copy it, and change the copy"),
        (
            "write into map forbidden",
            "this map is read-only for programs (a constant, or BPF_F_RDONLY_PROG)",
            "do not write to const data; drop `const` or the flag",
        ),
        ("read from map forbidden", "programs may not read this map (BPF_F_WRONLY_PROG)", "drop the flag"),
        ("write to change key", "keys of a map cannot be changed in place", "delete the element and insert another"),
        ("only read is supported", "kernel objects are read-only here", "use the helper or kfunc that changes it"),
        (
            "pointer arithmetic on",
            "this pointer must not be computed with",
            "use it as it was given; copy the data if other offsets are needed",
        ),
        (
            "pointer arithmetic with",
            "pointers can only be added to and subtracted from",
            "compute with a number, and add that to the pointer",
        ),
        ("pointer arithmetic prohibited", "this pointer must not be computed with", "use it as it was given"),
        ("pointer operation prohibited", "this pointer must not be computed with", "use it as it was given"),
        (" pointer -= pointer", "two pointers are subtracted", "subtract indexes instead"),
        (
            "cannot spill pointers",
            "a pointer may not be stored in the caller's frame",
            "return it, or store a copy of the data",
        ),
        (
            "cannot be accessed directly by",
            "this field is managed by the kernel",
            "use the helper or kfunc that is made for it",
        ),
        (
            "kptr",
            "a kernel pointer in a map is used in a way that is not allowed",
            "exchange it with bpf_kptr_xchg, whole and at its own offset",
        ),
        ("is not allowed", "this instruction is not allowed on this pointer", "use plain loads and stores"),
    ];
    let (_, title, fix) = op.iter().find(|(m, ..)| f.has(m))?;
    if f.has("calling kernel function") || f.has("direct value offset") {
        return None;
    }
    let found = Finding::sure(Cause::PtrOp, *title)
        .because("the rule is about the kind of pointer, not about its bounds")
        .fix(*fix);
    Some(with_origin(f, found, title))
}

/// Marks the refused place and where the pointer was made.
fn with_origin(f: &Facts<'_>, mut found: Finding, label: &str) -> Finding {
    if let (Some(at), Some(reg)) = (f.at, f.message_reg())
        && reg < 10
    {
        let trace = f.path.trace(at, reg);
        if trace.at < at && f.source(trace.at) != f.source(at) {
            found = found.mark(Role::Made, trace.at, "the pointer comes from here");
        }
    }
    f.rejected(found, label)
}

/// `R2 !read_ok`.
fn unreadable(f: &Facts<'_>) -> Option<Finding> {
    if !f.has("!read_ok") {
        return None;
    }
    let reg = f.message_reg()?;
    let Some(at) = f.at else {
        return Some(
            Finding::likely(Cause::Sig, format!("R{reg} holds nothing and is used"))
                .fix("initialise the variable on every path"),
        );
    };
    let trace = f.path.trace(at, reg);
    let depth = f.path.steps[at].frame;
    let found = match trace.origin {
        Origin::Clobbered => Finding::sure(Cause::Sig, format!("R{reg} is used after a call, which destroyed it"))
            .because("calls destroy R1 to R5")
            .mark(Role::Lost, trace.at, "this call destroys R1 to R5")
            .fix("in C this means a call with a wrong signature: declare the function with the arguments that it takes; in assembly keep the value in R6 to R9"),
        Origin::Entry if depth == 0 && (2..=5).contains(&reg) && f.path.refusal.validating.is_none() => {
            Finding::sure(Cause::Sig, format!("the program uses argument {reg}, but a BPF program is given only the context, in R1"))
                .because(format!("R{reg} is read without being written, from the entry on"))
                .fix("take one argument, the context; for arguments by name use the macro of the program type: BPF_PROG (tracing, LSM, struct_ops), BPF_KPROBE, BPF_USDT")
        }
        Origin::Call { ref name } if name == "bpf_tail_call" => {
            Finding::sure(Cause::Sig, "R0 holds nothing after a tail call that did not happen")
                .because("bpf_tail_call returns only when it fails, and then without a value")
                .mark(Role::Lost, trace.at, "when this fails, the program goes on, and R0 holds nothing")
                .fix("return a value of your own after bpf_tail_call")
        }
        Origin::Entry if reg == 0 && matches!(f.path.steps[at].op, Op::Exit) => {
            Finding::sure(Cause::Sig, "the program ends without a return value on this path")
                .because("R0 is not written on the way to this exit")
                .fix("return a value on every path")
        }
        Origin::Slot(off) => Finding::sure(Cause::Sig, "a local variable is read that was not written on this path")
            .because(format!("stack offset {off} was not written"))
            .fix("initialise the variable where it is declared"),
        _ => Finding::sure(Cause::Sig, format!("R{reg} holds nothing on this path: a variable is used before it is set"))
            .because(format!("no instruction on this path writes R{reg}"))
            .fix("initialise the variable where it is declared, so that every path sets it"),
    };
    Some(f.rejected(found, format!("R{reg} is read here")))
}

/// `R1 type=scalar expected=fp`.
fn wrong_argument(f: &Facts<'_>) -> Option<Finding> {
    let line = f.text.lines().rev().find(|l| l.contains(" type=") && l.contains("expected="))?;
    let reg = f.message_reg()?;
    let seen = line.split_once(" type=")?.1.split(' ').next()?;
    let wanted = line.split_once("expected=")?.1;
    let callee = f.at.and_then(|a| match &f.path.steps[a].op {
        Op::Helper { name, .. } | Op::Kfunc { name } => Some(name.clone()),
        _ => None,
    });
    let callee = callee.unwrap_or_else(|| "the function".into());
    let label = format!("argument {reg} of `{callee}` is {}", plain(seen));
    if matches!(seen, "inv" | "scalar" | "imm")
        && let Some(at) = f.at
    {
        let trace = f.path.trace(at, reg);
        if let Origin::Const { value, imm64 } = trace.origin
            && (wanted.contains("map_ptr") || imm64)
        {
            let found = Finding::sure(Cause::Loader, "the address was never filled in: the loader did not apply a relocation")
                .because(format!("R{reg} is the bare number {value} where the address of a map or of data should be"))
                .mark(Role::Made, trace.at, "a constant, where a relocation should have put an address")
                .fix("let libbpf (or a loader that knows relocations) open the object: maps in section `.maps`, strings and constants in `.rodata`, and no section stripped");
            return Some(f.rejected(found, label));
        }
        if let Some(lost) = lost_pointer(f, at, reg, &trace) {
            return Some(f.rejected(lost, label));
        }
        if global_argument(f, &trace) {
            return Some(argument_of_global(f, reg, false));
        }
    }
    if wanted.contains("map_ptr") && matches!(seen, "inv" | "scalar" | "imm") {
        let found = Finding::likely(Cause::Loader, "the address of a map was never filled in: the loader did not apply a relocation")
            .because("where the map's address should be there is a plain number")
            .fix("declare the map in section `.maps` (or `maps` for old loaders) and load the object with a loader that relocates it");
        return Some(f.rejected(found, label));
    }
    let found = Finding::sure(Cause::ArgType, format!("`{callee}` wants {} as argument {reg}, this is {}", expected(wanted), plain(seen)))
        .because("the kind of the argument is wrong, whatever its value")
        .fix(match (seen, wanted) {
            (_, w) if w.contains("map_ptr") => "pass the map itself: `&name_of_the_map`",
            ("ctx", _) => "copy what is needed from the context to a variable, and pass that variable's address",
            (_, w) if w.contains("ctx") => "pass the context that the program was given",
            ("map_value" | "pkt" | "ptr_", _) => "copy the data to a variable on the stack, and pass its address",
            _ => "pass a pointer of the kind that is wanted: the address of a variable, of a map value, or what another helper returned",
        });
    Some(with_origin(f, found, &label))
}

fn plain(seen: &str) -> String {
    words::kind(&Value::parse(&seen.replace("inv", "scalar")))
}

fn expected(list: &str) -> String {
    let kinds: Vec<String> = list.split(',').map(|k| plain(k.trim())).collect();
    kinds.join(", ")
}

/// `R1 invalid mem access 'scalar'`.
fn number_as_address(f: &Facts<'_>) -> Option<Finding> {
    if !(f.has("invalid mem access 'scalar'") || f.has("invalid mem access 'inv'") || f.has("invalid mem access")) {
        return None;
    }
    let reg = f.message_reg()?;
    let kind =
        f.text.split("invalid mem access '").nth(1).and_then(|r| r.split('\'').next()).unwrap_or("scalar").to_owned();
    let Some(at) = f.at else {
        return Some(
            Finding::guess(Cause::RawDeref, "a plain number is used as an address")
                .fix("read kernel or user memory with bpf_probe_read_kernel, bpf_probe_read_user or BPF_CORE_READ"),
        );
    };
    if !matches!(kind.as_str(), "scalar" | "inv") {
        let v = Value { kind: kind.clone(), ..Value::default() };
        let title = match kind.as_str() {
            "fp" => "memory is accessed through a pointer that is not to be dereferenced".to_owned(),
            _ => format!("{} cannot be read or written directly", words::kind(&v)),
        };
        let cause = if kind.contains("untrusted") || kind.contains("ptr_") || kind == "map_ptr" {
            Cause::RawDeref
        } else {
            Cause::PtrOp
        };
        let found = Finding::likely(cause, title)
            .because(format!("R{reg} is {}", words::kind(&v)))
            .fix("read through the helper or kfunc that is made for it (bpf_probe_read_kernel, BPF_CORE_READ for kernel structures)");
        return Some(with_origin(f, found, "accessed here"));
    }
    let trace = f.path.trace(at, reg);
    if global_argument(f, &trace) {
        return Some(argument_of_global(f, reg, false));
    }
    if let Some(found) = null_constant(f, at, reg, &trace) {
        return Some(found);
    }
    if let Some(lost) = lost_pointer(f, at, reg, &trace) {
        return Some(f.rejected(lost, "a plain number to the verifier by now"));
    }
    Some(raw(f, at, reg, &trace))
}

/// On the side of a test where the pointer is known to be NULL.
fn null_constant(f: &Facts<'_>, at: usize, reg: u8, trace: &Trace) -> Option<Finding> {
    let value = f.reg(reg)?;
    let made = match trace.origin {
        Origin::Const { value: 0, imm64: false } if f.path.source(trace.at).is_some() || trace.links.is_empty() => {
            trace.at
        }
        Origin::Call { .. } if value.constant == Some(0) => trace.at,
        _ => return None,
    };
    let mut found = Finding::sure(Cause::Null, "on this path the pointer is NULL")
        .because(format!("R{reg} is known to be 0 here"))
        .mark(
            Role::Made,
            made,
            match &trace.origin {
                Origin::Call { name } => format!("`{name}` returned it"),
                _ => "set to NULL here".to_owned(),
            },
        );
    let root = f.path.root(at, reg);
    if let Some(c) = f.path.checks(at).filter(|c| c.right == Rhs::Imm(0) && f.path.root(c.step, c.left) == root).last()
    {
        found = found.mark(Role::Checked, c.step, "tested here; this path goes on with NULL");
        found = found
            .fix("leave the function in the branch in which the pointer is NULL (is the test the wrong way round?)");
    } else {
        found = found.fix("give the pointer a value before it is used, or leave when there is none");
    }
    Some(f.rejected(found, "a NULL pointer is dereferenced"))
}

/// Whether a value was a pointer once, and where that was lost.
fn lost_pointer(f: &Facts<'_>, at: usize, reg: u8, trace: &Trace) -> Option<Finding> {
    let fix =
        "keep the pointer as a pointer: in one 64-bit variable, not in an integer, not combined with other values";
    // From the use back: the step before which the value was a pointer, and after which it is none.
    for (step, how) in &trace.links {
        let s = f.path.steps[*step];
        let source = match s.op {
            Op::Mov { src: Rhs::Reg(r), .. } => Some(r),
            Op::Alu { dst, .. } => Some(dst),
            Op::Store { src: Rhs::Reg(r), .. } => Some(r),
            _ => None,
        };
        let was = source.and_then(|r| f.path.value(*step, Place::Reg(r)));
        let other = match s.op {
            Op::Alu { src: Rhs::Reg(r), .. } => f.path.value(*step, Place::Reg(r)),
            _ => None,
        };
        let Some(pointer) = [was, other].into_iter().flatten().find(Value::is_pointer) else { continue };
        if pointer.is_packet() && *how == How::Copy {
            continue;
        }
        let what = words::kind(&pointer);
        let (title, label) = match how {
            How::Narrow => (
                format!("{what} is copied as 32 bits"),
                "only the lower 32 bits are copied: a plain number from here on",
            ),
            How::Arith => (
                format!("{what} is computed with in a way that makes it a plain number"),
                "from here on it is a plain number",
            ),
            How::Spill if !matches!(s.op, Op::Store { size: 8, .. }) => {
                (format!("{what} is stored in part"), "stored with less than eight bytes")
            }
            How::Spill | How::Fill | How::Copy => continue,
        };
        let cause = Cause::ProvLost;
        return Some(
            Finding::sure(cause, title)
                .because(format!("R{reg} goes back to {what}"))
                .mark(Role::Lost, *step, label)
                .fix(fix),
        );
    }
    // A slot that held a pointer and was overwritten in part, or is read in part.
    let (fill, _) = trace.links.iter().find(|l| l.1 == How::Fill)?;
    let Op::Load { base, off, size, .. } = f.path.steps[*fill].op else { return None };
    let slot = f.path.stack_offset(*fill, base, off)?;
    let frame = f.path.steps[*fill].frame;
    let stored = (0..*fill).rev().find(|i| {
        let s = f.path.steps[*i];
        match s.op {
            Op::Store { base, off, size: 8, src: Rhs::Reg(r) } if s.frame == frame => {
                f.path
                    .stack_offset(*i, base, off)
                    .is_some_and(|o| crate::path::slot_of(o) == crate::path::slot_of(slot))
                    && f.path.value(*i, Place::Reg(r)).is_some_and(|v| v.is_pointer())
            }
            _ => false,
        }
    })?;
    if size == 8 && f.path.store(*fill, slot) == Some(stored) {
        return None;
    }
    let mut found = Finding::sure(Cause::ProvLost, "a pointer on the stack was read or overwritten in part")
        .because("pointers on the stack keep their kind only in whole slots of eight bytes")
        .mark(Role::Made, stored, "a pointer is stored here");
    match f.path.store(*fill, slot) {
        Some(over) if over != stored => found = found.mark(Role::Lost, over, "overwritten in part here"),
        _ => found = found.mark(Role::Lost, *fill, "read back with less than eight bytes"),
    }
    let _ = at;
    Some(found.fix(fix))
}

fn raw(f: &Facts<'_>, at: usize, reg: u8, trace: &Trace) -> Finding {
    let read = "read the memory with bpf_probe_read_kernel (kernel), bpf_probe_read_user (user), or BPF_CORE_READ for fields of kernel structures";
    let name = f.source(trace.at).and_then(|s| text::assigned(&s.text));
    let who = name.map_or_else(|| format!("R{reg}"), |n| format!("`{n}`"));
    let (certainty, why, label) = match &trace.origin {
        Origin::Const { value, .. } => {
            (true, format!("the address is the constant {value:#x}"), "a constant as an address".to_owned())
        }
        Origin::Call { name } if name.contains("get_current_task") && !name.contains("btf") => (
            true,
            format!("`{name}` returns an address as a number"),
            format!("`{name}` gives the address as a plain number"),
        ),
        Origin::Call { name } => {
            (true, format!("`{name}` returns a number, not a pointer"), format!("`{name}` returns a plain number"))
        }
        Origin::Load { base, .. } if base.kind == "ctx" => (
            true,
            "the context holds this address as a plain number".to_owned(),
            "an address read from the context: a plain number to the verifier".to_owned(),
        ),
        Origin::Load { base, .. } if base.kind.contains("ptr_") => (
            true,
            format!("a field of {} that is not a pointer known to BTF", words::kind(base)),
            "the chain of typed pointers ends here".to_owned(),
        ),
        Origin::Load { base, .. }
            if base.is_packet() || base.kind.contains("map_value") || base.kind.contains("mem") =>
        {
            (
                true,
                format!("the address was read from {}: memory keeps numbers, not pointers", words::kind(base)),
                format!("read from {}", words::kind(base)),
            )
        }
        Origin::Slot(_) => (
            true,
            "the address was written to the stack by a helper (a probe read), so it is a plain number".to_owned(),
            "read from the stack, where a helper put it".to_owned(),
        ),
        Origin::Entry => (
            false,
            "where the address comes from is not in the log".to_owned(),
            "comes from before the log begins".to_owned(),
        ),
        _ => (false, "where the address comes from is not in the log".to_owned(), "comes from here".to_owned()),
    };
    let title = format!("{who} is only a number to the verifier, and is dereferenced as an address");
    let mut found =
        if certainty { Finding::sure(Cause::RawDeref, title) } else { Finding::guess(Cause::RawDeref, title) };
    found = found.because(why);
    if trace.at < at && trace.origin != Origin::Entry {
        found = found.mark(Role::Made, trace.at, label);
    }
    found = found.fix(read);
    if matches!(&trace.origin, Origin::Call { name } if name == "bpf_get_current_task") {
        found =
            found.fix("or take bpf_get_current_task_btf, which returns a typed pointer that can be followed directly");
    }
    f.rejected(found, "dereferenced here")
}
