//! Accesses to map values, buffers and other memory of known size that end outside of it, and fields of contexts and kernel structures.

use super::range::{self, Missing};
use super::{Cause, Facts, Finding};
use crate::diagnosis::Role;
use crate::log::insn::{Op, Rhs};
use crate::log::state::{Place, Value};
use crate::words;

pub fn rule(f: &Facts<'_>) -> Option<Finding> {
    if f.has("misaligned") {
        return Some(f.rejected(
            Finding::sure(Cause::Align, "the access is not aligned to its size")
                .because("alignment is checked here: strict alignment was asked for, or the memory always needs it")
                .fix("move the field to an aligned offset, or read it byte by byte (`__builtin_memcpy` from a packed struct)"),
            "misaligned",
        ));
    }
    if let Some(found) = context(f) {
        return Some(found);
    }
    region(f)
}

fn context(f: &Facts<'_>) -> Option<Finding> {
    let says = [
        "invalid bpf_context access",
        "variable ctx access",
        "doesn't have",
        "invalid sock access",
        "invalid access to flow keys",
        "is not multiple of 8",
        "cannot access ptr member",
    ];
    if f.has("variable ctx access") {
        return Some(
            f.rejected(
                Finding::sure(Cause::Ctx, "the context is accessed at an offset that is not a constant")
                    .because("context fields are rewritten by the kernel, so their offsets must be known")
                    .fix("read the field at a constant offset; unroll loops over context arrays"),
                "the offset is a variable here",
            ),
        );
    }
    if !says.iter().any(|s| f.has(s))
        || f.has("doesn't have field")
        || f.has("doesn't have a")
        || f.has("doesn't have size")
    {
        return None;
    }
    let (off, size) = (f.number("off").unwrap_or(0), f.number("size").unwrap_or(0));
    let store = matches!(f.at.map(|a| &f.path.steps[a].op), Some(Op::Store { .. } | Op::Atomic { .. }));
    let verb = if store { "written" } else { "read" };
    let tracing = f.has("doesn't have") && f.has("argument");
    let title = if tracing {
        "the traced function has fewer arguments than the program reads".to_owned()
    } else if let Some(t) = &f.extra.prog_type {
        format!(
            "a program of type {t} has no context field of {} at offset {off} that can be {verb}",
            words::bytes(size)
        )
    } else {
        format!("this program type has no context field of {} at offset {off} that can be {verb}", words::bytes(size))
    };
    let found = Finding::sure(Cause::Ctx, title)
        .because("which fields, sizes and directions there are depends on the program type and the kernel's version")
        .fix("use the context structure of this program's type, with the sizes it declares; what is not in it comes from a helper")
        .fix("check the section name (SEC): it decides which program type this is");
    Some(f.rejected(found, format!("offset {off}, {}", words::bytes(size))))
}

/// `invalid access to map value, value_size=64 off=64 size=4` and its kin.
fn region(f: &Facts<'_>) -> Option<Finding> {
    let line = f.text.lines().find(|l| {
        (l.starts_with("invalid access to ") && !l.contains("packet") && !l.contains("map value pointer"))
            || l.contains("invalid tracepoint buffer access")
            || l.contains("invalid tp_buffer")
            || l.contains("invalid variable buffer offset")
            || l.contains("beyond struct")
            || l.contains("access beyond")
            || l.contains("invalid buffer access")
            || (l.contains("off=") && l.contains("value_size=") && !l.contains("forbidden"))
    });
    let outside = f.has("is outside of the allowed memory range") || f.has("is outside of the array range");
    if line.is_none() && !outside {
        return None;
    }
    let reg = f.message_reg();
    let value = reg.and_then(|r| f.reg(r)).unwrap_or_default();
    let limit = f
        .number("value_size")
        .or(f.number("mem_size"))
        .or(f.number("key_size"))
        .or(value.value_size.map(|v| v as i64))
        .or(value.size.map(|v| v as i64));
    let (off, size) = (f.number(" off").unwrap_or(0), f.number(" size").unwrap_or(1));
    let what = line
        .and_then(|l| l.strip_prefix("invalid access to "))
        .and_then(|l| l.split(',').next())
        .unwrap_or("this memory")
        .to_owned();
    let label = match limit {
        Some(l) => format!("byte {off} to {} of {what}, which has {}", off + size - 1, words::bytes(l)),
        None => format!("byte {off} to {}", off + size - 1),
    };
    let fixed = !value.is_variable() || value.kind.is_empty() && reg.is_none();
    if fixed || f.at.is_none() {
        return Some(f.rejected(constant(f, limit, off, size, &what), label));
    }
    let reg = reg?;
    if value.least() < 0 && f.has("min value") {
        return None;
    }
    Some(variable(f, reg, &value, limit, off, size, &what, label))
}

fn constant(f: &Facts<'_>, limit: Option<i64>, off: i64, size: i64, what: &str) -> Finding {
    let helper = f.at.and_then(|a| match &f.path.steps[a].op {
        Op::Helper { name, .. } => Some(name.clone()),
        _ => None,
    });
    let title = match (limit, &helper) {
        (Some(l), Some(h)) => format!("`{h}` uses {}, {what} has {}", words::bytes(off + size), words::bytes(l)),
        (Some(l), None) => format!("the access ends at byte {}, {what} has {}", off + size, words::bytes(l)),
        (None, _) => format!("the access ends outside of {what}"),
    };
    let mut found = Finding::sure(Cause::MemOob, title).because("offset and size are constants, so no check can help");
    if let (Some(at), Some(reg)) = (f.at, f.message_reg().filter(|r| *r < 10)) {
        let trace = f.path.trace(at, reg);
        if trace.at < at && f.source(trace.at) != f.source(at) {
            found = found.mark(Role::Made, trace.at, "the pointer comes from here");
        }
    }
    match helper {
        Some(h) => found.fix(format!("let the map's declared key or value size be the size of what is passed to `{h}` (`__type(value, ...)`), or pass less")),
        None => found.fix("index within the declared size, or declare it larger: an array of N has the indexes 0 to N - 1"),
    }
}

#[allow(clippy::too_many_arguments, reason = "all of them are facts of the one message")]
fn variable(
    f: &Facts<'_>,
    reg: u8,
    value: &Value,
    limit: Option<i64>,
    off: i64,
    size: i64,
    what: &str,
    label: String,
) -> Finding {
    let at = f.at.unwrap_or(0);
    // The number that was added to the pointer.
    let trace = f.path.trace(at, reg);
    let sums: Vec<(usize, u8)> = trace
        .links
        .iter()
        .filter_map(|(i, _)| match f.path.steps[*i].op {
            Op::Alu { dst, src: Rhs::Reg(src), .. } => {
                let number = if f.path.value(*i, Place::Reg(src)).is_none_or(|v| v.is_scalar()) { src } else { dst };
                Some((*i, number))
            }
            _ => None,
        })
        .collect();
    let Some(&(sum, number)) = sums.first() else {
        return f.rejected(constant(f, limit, off, size, what), label);
    };
    let index = f.path.value(sum, Place::Reg(number)).unwrap_or_default();
    // A limit that the program set itself, but too high: the access really can be outside.
    let ancestors = f.path.ancestors(sum, number);
    let checked = f.path.checks(at).filter(|c| {
        matches!(c.right, Rhs::Imm(n) if n != 0)
            && ancestors.contains(&f.path.root(c.step, c.left))
            && !matches!(c.op.as_str(), "==" | "!=" | "&")
    });
    let check = checked.last();
    let mask = ancestors.iter().find(|(d, _)| {
        matches!(f.path.steps.get(*d).map(|s| &s.op), Some(Op::Alu { op, src: Rhs::Imm(_), .. }) if op == "&" || op == "%")
    });
    let too_high =
        limit.is_some_and(|l| index.most() < 1 << 31 && index.most() as i64 + size > l) || index.most() < 1 << 31;
    let set_by = check.as_ref().map(|c| c.step).or(mask.map(|m| m.0));
    if let (Some(set_by), true) = (set_by, too_high && index.most() < u64::from(u32::MAX)) {
        let proven_enough = check.as_ref().is_some_and(|c| {
            let after = f.path.value(c.step + 1, Place::Reg(c.left));
            limit.is_some_and(|l| {
                after.is_some_and(|v| {
                    (v.most() as i64) < l && v.least() >= 0 && index.most() > v.most().saturating_mul(16)
                })
            })
        });
        if !proven_enough {
            let many = if sums.len() > 1 { "the sum of several offsets" } else { "the offset" };
            let found = Finding::sure(
                Cause::MemOob,
                match limit {
                    Some(l) => format!(
                        "{many} may be {}, plus {}: {what} has {}",
                        words::grouped(value.most().into()),
                        words::bytes(size),
                        words::bytes(l)
                    ),
                    None => {
                        format!("{many} may be {}, which is outside of {what}", words::grouped(value.most().into()))
                    }
                },
            )
            .because("the program limits the index itself, but the limit lets values through that are outside")
            .mark(
                Role::Checked,
                set_by,
                format!(
                    "limits the index to {}",
                    words::range(
                        &f.path
                            .value(set_by + 1, Place::Reg(check.as_ref().map_or(number, |c| c.left)))
                            .unwrap_or(index)
                    )
                ),
            )
            .fix(match limit {
                Some(l) => format!("make the limit smaller: the last allowed byte offset is {}", l - size),
                None => "make the limit smaller".to_owned(),
            });
            return f.rejected(found, label);
        }
    }
    let missing = if f.has("min value") { Missing::Lower } else { Missing::Upper };
    let mut found = range::unproven(f, (sum, number), missing);
    if found.cause == Cause::Range
        && let Some(fix) = found.fix.last_mut()
        && let Some(l) = limit
        && let Some(code) = &mut fix.code
    {
        *code = code.replace("SIZE", &(l / size.max(1)).max(1).to_string());
    }
    found.marks.iter_mut().filter(|m| m.role == Role::Rejected).for_each(|m| m.label.clone_from(&label));
    found
}
