//! Lengths and indexes: not proven, or proven on another value than the one that is used.

use super::{Cause, Facts, Finding, text};
use crate::diagnosis::{Fix, Role, Trial};
use crate::log::insn::{Op, Rhs};
use crate::log::state::{Place, Value};
use crate::path::Check;
use crate::words;

/// What is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Lower,
    Upper,
    NonZero,
}

/// A limit above which no length or index is sane.
const SANE: u64 = 1 << 29;

pub fn rule(f: &Facts<'_>) -> Option<Finding> {
    let missing = if f.has("zero-size") || f.has("invalid zero-sized") {
        Missing::NonZero
    } else if f.has("min value is negative")
        || f.has("unbounded min value")
        || f.has("min value is outside")
        || f.has("is negative, either use unsigned")
    {
        Missing::Lower
    } else if f.has("unbounded memory access")
        || f.has("max value is outside")
        || f.has("unbounded max value")
        || f.has("unbounded variable-offset")
        || (f.has("makes ") && f.has("pointer be out of bounds"))
        || (f.has("pointer offset") && f.has("is not allowed"))
        || (f.has("math between") && f.has("is not allowed"))
    {
        Missing::Upper
    } else if f.has("div by zero") {
        return Some(
            f.rejected(
                Finding::sure(Cause::Range, "division by the constant zero")
                    .because("the divisor is the number 0")
                    .fix("divide by something else; a variable divisor needs no check, the result of x / 0 is 0"),
                "divides by zero",
            ),
        );
    } else if f.has("invalid shift") {
        return Some(
            f.rejected(
                Finding::sure(Cause::Range, "the shift is wider than the value")
                    .because("the shift count is a constant out of range")
                    .fix("shift by less than the width of the type"),
                "shifts too far",
            ),
        );
    } else if f.has("must be a known constant") || f.has("is not a const") || f.has("not a known constant") {
        return Some(
            f.rejected(
                Finding::sure(Cause::Range, "this argument must be a constant that the verifier can see")
                    .because("its value is not known")
                    .fix("pass a compile-time constant; keep the function inlined so that it stays one"),
                "not a constant here",
            ),
        );
    } else {
        return None;
    };
    let reg = f.message_reg().or_else(|| scalar_operand(f))?;
    Some(unproven(f, number_register(f, reg), missing))
}

/// For `math between map_value pointer and register ...` no register is named: it is the operand that is a number.
fn scalar_operand(f: &Facts<'_>) -> Option<u8> {
    let at = f.at?;
    match f.path.steps[at].op {
        Op::Alu { dst, src: Rhs::Reg(src), .. } => {
            let is_number = f.path.value(at, Place::Reg(src)).is_none_or(|v| v.is_scalar());
            Some(if is_number { src } else { dst })
        }
        Op::Alu { dst, .. } => Some(dst),
        _ => None,
    }
}

/// The register with the number: a pointer that was refused got its range from something that was added to it.
fn number_register(f: &Facts<'_>, reg: u8) -> (usize, u8) {
    let at = f.at.unwrap_or(0);
    let (mut step, mut r) = (at, reg);
    if f.at.is_none() || f.path.value(at, Place::Reg(reg)).is_none_or(|v| v.is_scalar()) {
        // For a helper the size is what is missing, and it is in the register behind the pointer's.
        return (at, reg);
    }
    for _ in 0..64 {
        let Some(def) = f.path.definition(step, r) else { break };
        match f.path.steps[def].op {
            Op::Alu { dst, src: Rhs::Reg(src), .. } => {
                let number = if f.path.value(def, Place::Reg(src)).is_none_or(|v| v.is_scalar()) { src } else { dst };
                return (def, number);
            }
            Op::Alu { .. } => step = def,
            Op::Mov { src: Rhs::Reg(src), .. } => (step, r) = (def, src),
            _ => break,
        }
    }
    (at, reg)
}

/// The value of a register after a check, on the side that the path takes.
fn after_check(f: &Facts<'_>, c: &Check, reg: u8) -> Option<Value> {
    f.path.value(c.step + 1, Place::Reg(reg))
}

/// Whether this side of a check proves what is missing for what it compares.
fn proves(f: &Facts<'_>, c: &Check, reg: u8, missing: Missing) -> bool {
    let Some(v) = after_check(f, c, reg) else { return syntactic(c, missing) };
    let most = if c.narrow { v.most().min(v.umax32.unwrap_or(u64::MAX)) } else { v.most() };
    match missing {
        // A 32-bit number is sane only if it stays positive when it is sign-extended.
        Missing::Lower => v.least() >= 0 && (most <= i32::MAX as u64 || (!c.narrow && most > u64::from(u32::MAX))),
        Missing::Upper => most <= SANE,
        Missing::NonZero => v.umin.is_some_and(|u| u > 0) || v.least() > 0,
    }
}

/// Without states: an unsigned upper limit proves both ends.
fn syntactic(c: &Check, missing: Missing) -> bool {
    let small = matches!(c.right, Rhs::Imm(n) if (0..=SANE as i64).contains(&n));
    let upper = match (c.op.as_str(), c.taken) {
        (">" | ">=", false) | ("<" | "<=", true) => small,
        _ => false,
    };
    let upper_signed = matches!((c.op.as_str(), c.taken), ("s>" | "s>=", false) | ("s<" | "s<=", true)) && small;
    match missing {
        Missing::Lower => upper,
        Missing::Upper => upper || upper_signed,
        Missing::NonZero => {
            matches!((c.op.as_str(), c.taken, c.right), ("==", false, Rhs::Imm(0)) | ("!=", true, Rhs::Imm(0)))
        }
    }
}

/// A number whose range is not proven: was it checked somewhere on the way?
pub fn unproven(f: &Facts<'_>, (step, reg): (usize, u8), missing: Missing) -> Finding {
    let value = f.path.value(step, Place::Reg(reg)).unwrap_or_default();
    let known = if value.kind.is_empty() { "not known".to_owned() } else { words::range(&value) };
    let what = match missing {
        Missing::Lower => "may be negative",
        Missing::Upper => "has no upper limit",
        Missing::NonZero => "may be zero",
    };
    let helper = f.at.and_then(|a| match &f.path.steps[a].op {
        Op::Helper { name, .. } | Op::Kfunc { name } => Some(name.clone()),
        _ => None,
    });
    let role = if helper.is_some() { "length" } else { "index" };
    let trace = f.path.trace(step, reg);
    let label = match &helper {
        Some(h) => format!("`{h}` is given a {role} of {known}"),
        None => format!("R{reg}, the {role}, is {known}"),
    };
    if super::pointers::global_argument(f, &trace) {
        return super::pointers::argument_of_global(f, reg, false);
    }
    let ancestors = f.path.ancestors(step, reg);
    let checks: Vec<Check> =
        f.path.checks(step).filter(|c| matches!(c.right, Rhs::Imm(_)) || value_known(f, c)).collect();
    let about = |c: &&Check| -> bool {
        let root = f.path.root(c.step, c.left);
        ancestors.contains(&root) || f.path.ancestors(c.step, c.left).iter().any(|a| ancestors.contains(a))
    };
    let related: Vec<&Check> = checks.iter().filter(about).collect();
    let proving = related.iter().rev().find(|c| proves(f, c, c.left, missing)).copied();
    let name = name_of(f, trace.at);
    let who = name.clone().map_or_else(|| format!("this {role}"), |n| format!("`{n}`"));
    if let Some(c) = proving {
        let mut found = lost(f, step, reg, c, &who, missing);
        if trace.at < c.step {
            found = found.mark(Role::Made, trace.at, "comes from here");
        }
        return f.rejected(found, label);
    }
    // The same memory read again after it was checked.
    if let Some(c) = reread(f, step, &trace, &checks, missing) {
        let found = Finding::sure(
            Cause::RangeLost,
            format!("{who} is read again after the check: the checked copy is another one"),
        )
        .because("memory may change between two reads, so a check of the first says nothing about the second")
        .mark(Role::Checked, c.step, "the first copy is checked here")
        .mark(Role::Lost, trace.at, "read from memory a second time")
        .fix("read the value once into a local variable, check that and use that");
        return f.rejected(found, label);
    }
    let mut found = Finding::sure(Cause::Range, format!("{who} {what}: {known}"));
    found = found.because(match related.last() {
        None => "no comparison on this path limits it".to_owned(),
        Some(_) => format!(
            "what is compared on this path leaves it {}",
            match missing {
                Missing::Lower => "possibly negative",
                Missing::Upper => "without an upper limit",
                Missing::NonZero => "possibly zero",
            }
        ),
    });
    if trace.at < step && trace.origin != crate::path::Origin::Entry {
        found = found.mark(Role::Made, trace.at, format!("comes from here{}", made_range(f, trace.at)));
    }
    if let Some(c) = related.last() {
        let after = after_check(f, c, c.left).map(|v| words::range(&v)).unwrap_or_default();
        let label = if after.is_empty() {
            "this comparison does not limit it on that side".to_owned()
        } else {
            format!("after this comparison: {after}")
        };
        found = found.mark(Role::Checked, c.step, label);
    }
    let n = name.unwrap_or_else(|| role.to_owned());
    found = match missing {
        Missing::Lower if related.iter().any(|c| c.op.starts_with('s')) => found
            .fix(format!("make `{n}` unsigned (`__u32`, or cast it in the comparison): one unsigned comparison excludes negative numbers as well"))
            .fixed(f.before(step, "or exclude negative numbers", format!("if ({n} < 0) {}", f.give_up()))),
        Missing::NonZero => found.fixed(f.before(step, "exclude zero before this line", format!("if (!{n}) {}", f.give_up()))),
        _ => found.fixed(f.before(
            step,
            format!("limit `{n}` before this line, as an unsigned number (a mask with a power of two less one works as well)"),
            format!("if ({n} >= SIZE) {}", f.give_up()),
        )),
    };
    if let Some(fix) = found.fix.last_mut() {
        fix.trial = Some(limit(f, step, reg, missing));
    }
    f.rejected(found, label)
}

/// Limits that make the use safe if anything does: the largest that loads is not looked for.
fn limit(f: &Facts<'_>, step: usize, reg: u8, missing: Missing) -> Trial {
    let least = u64::from(missing == Missing::NonZero);
    Trial::Limit { insn: f.path.steps[step].insn, reg, least, most: vec![63, 31, 15, 7, 3, 1] }
}

fn value_known(f: &Facts<'_>, c: &Check) -> bool {
    matches!(c.right, Rhs::Reg(r) if f.path.value(c.step, Place::Reg(r)).is_some_and(|v| v.is_scalar() && v.most() <= SANE))
}

fn made_range(f: &Facts<'_>, step: usize) -> String {
    let Some(dst) = f.path.steps[step].op.writes() else { return String::new() };
    match f.path.value(step + 1, Place::Reg(dst)) {
        Some(v) if v.is_scalar() => format!(": {}", words::range(&v)),
        _ => String::new(),
    }
}

/// The name that the source gives to what a step makes.
fn name_of(f: &Facts<'_>, step: usize) -> Option<String> {
    let line = &f.source(step)?.text;
    match &f.path.steps.get(step)?.op {
        Op::Helper { name, .. } => text::assigned_from(line, name),
        _ => text::assigned(line),
    }
}

/// Where the proof of a checked number went.
fn lost(f: &Facts<'_>, step: usize, reg: u8, c: &Check, who: &str, missing: Missing) -> Finding {
    let mut found = Finding::sure(Cause::RangeLost, format!("{who} is checked, but the proof does not reach its use"));
    let after = after_check(f, c, c.left).map(|v| words::range(&v)).unwrap_or_else(|| "a limited number".to_owned());
    found = found.mark(
        Role::Checked,
        c.step,
        format!("R{} is checked here{}: {after}", c.left, if c.narrow { ", as 32 bits" } else { "" }),
    );
    // The first step behind the check at which a value of the chain is not limited any more.
    let mut culprit = None;
    let (mut at, mut r) = (step, reg);
    for _ in 0..64 {
        let Some(def) = f.path.definition(at, r).filter(|d| *d > c.step) else { break };
        culprit = Some(def);
        match f.path.steps[def].op {
            Op::Mov { src: Rhs::Reg(src), .. } => (at, r) = (def, src),
            Op::Alu { .. } => at = def,
            _ => break,
        }
        let limited = f.path.value(def, Place::Reg(r)).is_some_and(|v| match missing {
            Missing::Lower => v.least() >= 0,
            Missing::Upper => v.most() <= SANE,
            Missing::NonZero => v.umin.is_some_and(|u| u > 0),
        });
        if limited {
            break;
        }
    }
    match culprit {
        Some(def) => {
            let (why, label) = match &f.path.steps[def].op {
                Op::Mov { narrow: true, .. } => ("the value is copied as 32 bits after the check", "copied as 32 bits"),
                Op::Mov { .. } => (
                    "another register than the checked one is used: the two are no longer connected",
                    "a copy that the check does not reach",
                ),
                Op::Alu { src: Rhs::Reg(_), .. } => (
                    "the checked value is combined with another number",
                    "combined with another number: the range is lost",
                ),
                Op::Alu { op, .. } if op == "<<" || op.contains(">>") => (
                    "the compiler shifts the value to change its width, and the range does not survive",
                    "shifted: the range does not survive",
                ),
                Op::Alu { .. } => ("the checked value is changed before it is used", "changed after the check"),
                Op::Load { .. } => {
                    ("the value is read back from memory, where the check did not reach it", "read back from memory")
                }
                _ => ("the value is made anew after the check", "made anew here"),
            };
            found = found.because(why).mark(Role::Lost, def, label);
        }
        None if c.narrow => {
            found = found.because("the comparison is of the lower 32 bits, the use is of all 64").mark(
                Role::Lost,
                step,
                "used with all 64 bits",
            );
        }
        None => {
            found = found
                .because(format!("R{} was compared, R{reg} is used: the verifier does not connect the two", c.left))
                .mark(Role::Lost, step, "another register than the checked one");
        }
    }
    let n = who.trim_matches('`').to_owned();
    let again = format!(
        "mask or check again right at the use, so that the compiler cannot separate the two: `{0} &= MAX - 1;` behind a `barrier_var({0})`",
        var(&n)
    );
    found
        .fixed(Fix { text: again, trial: Some(limit(f, step, reg, missing)), ..Fix::default() })
        .fix("declare the variable as 64 bits wide (`__u64`): then comparison and use are of the same register")
}

fn var(n: &str) -> &str {
    if n.starts_with("this ") { "len" } else { n }
}

/// A check of an earlier read of the same memory.
fn reread<'c>(
    f: &Facts<'_>,
    step: usize,
    trace: &crate::path::Trace,
    checks: &'c [Check],
    missing: Missing,
) -> Option<&'c Check> {
    let Op::Load { base, off, size, .. } = f.path.steps.get(trace.at)?.op else { return None };
    let mine = (f.path.root(trace.at, base), off, size);
    if trace.at >= step {
        return None;
    }
    checks.iter().rev().find(|c| {
        let other = f.path.trace(c.step, c.left);
        let Some(Op::Load { base, off, size, .. }) = f.path.steps.get(other.at).map(|s| &s.op) else { return false };
        other.at < trace.at && (f.path.root(other.at, *base), *off, *size) == mine && proves(f, c, c.left, missing)
    })
}
