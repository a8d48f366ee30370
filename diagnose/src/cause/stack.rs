//! The stack: bytes that were not written, accesses outside of it, and functions that take more than there is.

use super::{Cause, Facts, Finding, Mark, Spot, text};
use crate::diagnosis::{Role, Trial};
use crate::log::insn::{Op, Rhs};
use crate::log::state::Place;
use crate::words;

/// Bytes of stack that a call chain may have.
const STACK: i64 = 512;

pub fn rule(f: &Facts<'_>) -> Option<Finding> {
    if f.has("combined stack size")
        || f.has("stack size of subprog")
        || f.has("tail_calls are not allowed when call stack")
        || f.has("BPF stack limit")
        || f.has("stack limit of 512")
        || f.has("call stack of")
    {
        return Some(size(f));
    }
    let stack = f.text.lines().any(|l| {
        l.contains("stack")
            && (l.starts_with("invalid ") || l.contains("variable stack") || l.contains("stack pointer"))
            || l.contains("unbounded variable-offset")
    });
    if !stack || f.has("corrupt") || f.has("register spill") {
        return None;
    }
    if f.has("prohibited for !root") {
        return None;
    }
    let variable = f.has("variable") || f.has("var_off");
    let (off, len) = access(f).or(variable.then_some((0, 0)))?;
    if f.has("variable") || f.has("var_off") {
        if f.has("indirect") && !f.has("unbounded") {
            return Some(uninitialised(f, off, len));
        }
        let found = Finding::sure(Cause::StackSize, "the stack is accessed at an offset that is not limited to it")
            .because("a variable index into an array on the stack must be proven to stay inside")
            .fix("limit the index before the access (unsigned comparison or mask), or keep the array in a per-CPU array map");
        let found = match f.at.zip(f.message_reg()) {
            Some((at, reg)) => {
                let index = f.path.trace(at, reg);
                if index.at < at { found.mark(Role::Made, index.at, "the offset comes from here") } else { found }
            }
            None => found,
        };
        return Some(f.rejected(found, "variable offset into the stack"));
    }
    // Below the stack's end.
    if off < -STACK {
        let mut found =
            Finding::sure(Cause::StackSize, format!("byte {} of the stack is used, a program has {STACK}", -off))
                .because(format!("offset {off} from the frame pointer is below -{STACK}"));
        found = functions(f, found);
        return Some(f.rejected(advice(found), format!("offset {off}, but the stack ends at -{STACK}")));
    }
    // Above the frame: an access that runs past the end of a variable.
    let write = f.has("invalid write to stack") || matches!(f.at.map(|a| &f.path.steps[a].op), Some(Op::Store { .. }));
    let all_unwritten = f.has("invalid indirect read") || f.has("invalid read from stack");
    if off >= 0 || off + len > 0 || write && !f.has("+") {
        let callee = called(f);
        let title = match &callee {
            Some(c) if off < 0 => format!(
                "`{c}` uses {}, from offset {off} of the stack only {} are left",
                words::bytes(len),
                words::bytes(-off)
            ),
            _ => format!("offset {off}, {} is outside of the stack", words::bytes(len)),
        };
        let found = Finding::sure(Cause::MemOob, title)
            .because("the access reaches past the variable, over the end of the stack")
            .fix(match &callee {
                Some(c) => format!(
                    "let the variable be as large as what `{c}` uses: the map's key or value size, or the size argument"
                ),
                None => "stay inside the variable".to_owned(),
            });
        return Some(f.rejected(found, "runs past the end of the stack"));
    }
    if len == 0 || f.has("access_size=0") {
        return super::range::rule(f).or_else(|| {
            let found = Finding::sure(Cause::Range, "a size of zero is passed")
                .because("the size argument may be 0")
                .fix("pass a size that is at least 1");
            Some(f.rejected(found, "size 0"))
        });
    }
    let _ = all_unwritten;
    Some(uninitialised(f, off, len))
}

/// Offset and size that the message names.
fn access(f: &Facts<'_>) -> Option<(i64, i64)> {
    let off = f.number(" off=").or_else(|| f.number(" off ")).or_else(|| f.number("off"))?;
    let len = f.number("size=").or_else(|| f.number("size ")).or_else(|| f.number("size")).unwrap_or(1);
    Some((off, len))
}

fn called(f: &Facts<'_>) -> Option<String> {
    match f.at.map(|a| &f.path.steps[a].op) {
        Some(Op::Helper { name, .. } | Op::Kfunc { name }) => Some(name.clone()),
        _ => None,
    }
}

/// `off -40+20 size 32`: the first byte that was not written.
fn first_bad(f: &Facts<'_>) -> Option<i64> {
    let at = f.text.find(" off ")? + 5;
    let rest = &f.text[at..];
    let plus = rest.find('+').filter(|p| rest[..*p].chars().all(|c| c.is_ascii_digit() || c == '-'))?;
    let digits: String = rest[plus + 1..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn uninitialised(f: &Facts<'_>, off: i64, len: i64) -> Finding {
    let callee = called(f);
    let bad = first_bad(f);
    let reader = callee.clone().map_or_else(|| "this".to_owned(), |c| format!("`{c}`"));
    let what = match bad {
        Some(b) if b > 0 => format!("byte {b} of the {} that {reader} reads was never written", words::bytes(len)),
        _ => format!("{reader} reads {} of stack that were not all written", words::bytes(len)),
    };
    let mut found = Finding::sure(Cause::StackInit, what);
    let first = off + bad.unwrap_or(0);
    // What was written into the region.
    let stores = f.at.map(|at| written(f, at, off, len)).unwrap_or_default();
    let bytes: i64 = stores.iter().map(|s| s.1).sum();
    found = match (stores.is_empty(), bad) {
        (true, _) => found.because("no instruction on this path writes to the variable"),
        (false, Some(b)) if b > 0 => found.because(format!(
            "{} are written, the byte at offset {b} is not: often padding between fields of a struct",
            words::bytes(bytes)
        )),
        _ => found.because(format!("only {} of {} are written on this path", bytes, words::bytes(len))),
    };
    if let Some((step, n)) = stores.last() {
        found = found.mark(Role::Made, *step, format!("{} of it are written here", words::bytes(*n)));
    }
    let name = f.at.and_then(|at| pointee(f, at, &callee));
    let declared = name.as_deref().and_then(|n| f.path.refusal.sources.iter().find(|s| declares(&s.text, n)));
    let n = name.unwrap_or_else(|| "var".to_owned());
    match (declared, bad) {
        (Some(line), None | Some(0)) if line.text.trim_end().ends_with(';') => {
            let line_text = line.text.trim().to_owned();
            let code = if line_text.contains('=') && stores.iter().all(|s| s.1 < len) && callee.is_some() {
                format!(
                    "/* `{n}` has to be {} large: what `{}` reads */",
                    words::bytes(len),
                    callee.clone().unwrap_or_default()
                )
            } else {
                line_text.trim_end_matches(';').to_owned() + " = {};"
            };
            found = found.fixed(crate::diagnosis::Fix {
                text: format!("write all {} of it first", words::bytes(len)),
                code: Some(code),
                how: Some("replace"),
                file: line.file.clone(),
                line: line.line,
                proven: false,
                trial: None,
            });
        }
        _ => {
            if let Some(at) = f.at {
                found = found.fixed(f.before(
                    at,
                    "write every byte before this line, padding as well (`= {}` leaves padding of some structs unwritten)",
                    format!("__builtin_memset(&{n}, 0, sizeof({n}));"),
                ));
            } else {
                found = found.fix(
                    "zero the variable with __builtin_memset before its fields are set: that writes padding as well",
                );
            }
        }
    }
    if let (Some(at), Some(fix)) = (f.at, found.fix.first_mut())
        && f.path.steps[at].frame == 0
        && off >= -STACK
        && off + len <= 0
    {
        fix.trial = Some(Trial::Zero { off, len });
    }
    if !stores.is_empty() && bytes < len && bad.is_none_or(|b| b == 0 || b >= bytes) {
        found = found.note(format!(
            "is the variable as large as what is read ({})? a map's key_size or value_size may be larger than the type",
            words::bytes(len)
        ));
    }
    f.rejected(found, format!("offset {first} of the stack is read, and was not written"))
}

fn declares(line: &str, name: &str) -> bool {
    let line = line.trim();
    !line.starts_with("return") && line.ends_with(';') && !line.contains("if (") && {
        let head = line.split(['=', ';']).next().unwrap_or_default().trim();
        head.split_whitespace().count() >= 2 && head.rsplit([' ', '*']).next() == Some(name)
    }
}

/// Stores into a stretch of stack before a step: step and bytes.
fn written(f: &Facts<'_>, at: usize, off: i64, len: i64) -> Vec<(usize, i64)> {
    let frame = f.path.steps[at].frame;
    let mut out = Vec::new();
    for i in at.saturating_sub(4096)..at {
        let s = f.path.steps[i];
        if let Op::Store { base, off: o, size, .. } = s.op
            && s.frame == frame
            && let Some(o) = f.path.stack_offset(i, base, o)
            && i64::from(o) >= off
            && i64::from(o) < off + len
        {
            out.push((i, i64::from(size)));
        }
    }
    out
}

/// The variable that a call is given: `&key` at the argument's place in the source line.
fn pointee(f: &Facts<'_>, at: usize, callee: &Option<String>) -> Option<String> {
    let line = &f.source(at)?.text;
    let callee = callee.as_deref()?;
    let reg = f.message_reg().filter(|r| (1..=5).contains(r)).or_else(|| stack_argument(f, at))?;
    let args = line.split_once(callee).map_or(line.as_str(), |s| s.1);
    let arg = args.trim_start_matches('(').split(',').nth(usize::from(reg) - 1)?;
    let name = arg.split('&').nth(1)?;
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
    let _ = text::assigned(line);
    (end > 0).then(|| name[..end].to_owned())
}

/// The argument that points to the stack, where the message names no register.
fn stack_argument(f: &Facts<'_>, at: usize) -> Option<u8> {
    (1..=5).rev().find(|r| f.path.value(at, Place::Reg(*r)).is_some_and(|v| v.kind == "fp"))
}

fn functions(f: &Facts<'_>, mut found: Finding) -> Finding {
    let mut all: Vec<_> = f.extra.functions.iter().filter(|x| x.bytes > 0).collect();
    all.sort_by_key(|x| -x.bytes);
    for x in all.iter().take(8) {
        let label = format!("`{}` takes {} of stack", x.name, words::bytes(x.bytes.into()));
        found.marks.push(Mark { role: Role::Function, spot: Spot::Insn(x.insn, x.source.clone()), label });
    }
    // Without the program: the deepest store says how much the function on the path takes.
    if all.is_empty() {
        let deepest = f.path.steps.iter().enumerate().filter_map(|(i, s)| match s.op {
            Op::Store { base: 10, off, .. } => Some((off, i)),
            Op::Alu { dst, ref op, src: Rhs::Imm(n), .. } if op == "+" && n < 0 => f
                .path
                .value(i, Place::Reg(dst))
                .filter(|v| v.kind == "fp")
                .map(|v| (v.constant.unwrap_or(0) as i32 + n as i32, i)),
            _ => None,
        });
        if let Some((off, i)) = deepest.min()
            && off < -8
            && Some(i) != f.at
        {
            found =
                found.mark(Role::Function, i, format!("the function on this path uses the stack down to offset {off}"));
        }
    }
    found
}

fn advice(found: Finding) -> Finding {
    found
        .fix("move large variables into a per-CPU array map with one entry, and look it up: its value can be 32 KiB")
        .fix("or make them smaller, or put parts into `__noinline` functions that are not on the same call chain")
}

fn size(f: &Facts<'_>) -> Finding {
    let used = f.number("is").or_else(|| f.number("combined stack size of"));
    let tail = f.has("tail_calls are not allowed");
    let deep = f.has("too deep");
    let title = if deep {
        "more than eight functions are on one call chain".to_owned()
    } else if tail {
        "with tail calls, the functions that call others may have only 256 bytes of stack".to_owned()
    } else {
        match used {
            Some(n) => format!("{} of stack, a call chain may have {STACK}", words::bytes(n)),
            None => format!("more than {STACK} bytes of stack"),
        }
    };
    let found = Finding::sure(Cause::StackSize, title)
        .because("every function on a call chain adds its stack, rounded up; inlining does not make it smaller");
    let mut found = functions(f, found);
    if found.marks.is_empty() {
        found = f.rejected(found, "refused here");
    }
    if deep { found.fix("call fewer functions deep: inline the small ones (`__always_inline`)") } else { advice(found) }
}
