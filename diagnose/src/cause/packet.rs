//! Packet accesses: no check, a check that covers too little, a check on another pointer, an offset that no check can vouch for, and
//! pointers from before the packet moved.

use super::{Cause, Facts, Finding, text};
use crate::diagnosis::{Fix, Role, Trial};
use crate::log::insn::{Op, Rhs};
use crate::log::state::{Place, Value};
use crate::path::{How, Origin};
use crate::words;

/// Largest variable offset at which a check gives a packet pointer a range.
pub const MAX_OFFSET: u64 = 0xffff;

/// Helpers after which packet pointers are gone.
const MOVES_PACKET: &[&str] = &[
    "bpf_skb_store_bytes",
    "bpf_skb_pull_data",
    "bpf_skb_change_proto",
    "bpf_skb_change_head",
    "bpf_skb_change_tail",
    "bpf_skb_adjust_room",
    "bpf_skb_vlan_push",
    "bpf_skb_vlan_pop",
    "bpf_clone_redirect",
    "bpf_l3_csum_replace",
    "bpf_l4_csum_replace",
    "bpf_xdp_adjust_head",
    "bpf_xdp_adjust_tail",
    "bpf_xdp_adjust_meta",
    "bpf_msg_pull_data",
    "bpf_msg_push_data",
    "bpf_msg_pop_data",
    "bpf_lwt_push_encap",
    "bpf_lwt_seg6_store_bytes",
    "bpf_lwt_seg6_adjust_srh",
    "bpf_lwt_seg6_action",
    "bpf_sk_adjust_room",
    "bpf_store_hdr_opt",
    "bpf_reserve_hdr_opt",
    "bpf_tail_call",
];

pub fn rule(f: &Facts<'_>) -> Option<Finding> {
    if f.has("invalid access to packet") || f.has("is outside of the packet") || f.has("pkt pointer offset") {
        return outside(f).or_else(|| Some(bare(f)));
    }
    let at = f.at?;
    let reg = f.message_reg()?;
    let value = f.reg(reg);
    let number = ["mem access 'scalar'", "mem access 'inv'", "type=scalar ", "type=inv ", "type=unknown "];
    if number.iter().any(|n| f.has(n)) {
        return stale(f, at, reg);
    }
    if f.has("min value is") && value.as_ref().is_some_and(Value::is_packet) {
        return outside(f);
    }
    None
}

/// The last call that may have moved the packet between two steps. A call of a function counts if its body has one.
fn moved_between(f: &Facts<'_>, from: usize, to: usize) -> Option<(usize, String)> {
    (from..to).rev().find_map(|i| match &f.path.steps[i].op {
        Op::Helper { name, .. } if MOVES_PACKET.contains(&name.as_str()) => Some((i, name.clone())),
        _ => None,
    })
}

fn stale(f: &Facts<'_>, at: usize, reg: u8) -> Option<Finding> {
    // The refused instruction may be the helper itself that takes the pointer.
    let trace = f.path.trace(at, reg);
    let mut uses = vec![at];
    uses.extend(trace.links.iter().map(|l| l.0));
    uses.push(trace.at);
    // The newest definition at which the value was a packet pointer.
    let made = uses.iter().copied().find(|i| {
        f.path.steps.get(*i).is_some_and(|s| {
            let after = s.after.as_ref().map(|a| a.values.as_slice()).unwrap_or_default();
            let dst = s.op.writes();
            after.iter().any(|(p, v)| Some(*p) == dst.map(Place::Reg) && v.is_packet())
                || loads_packet(f, *i)
                || dst.is_some_and(|d| f.path.value(*i + 1, Place::Reg(d)).is_some_and(|v| v.is_packet()) && *i < at)
        })
    })?;
    let (call, name) = moved_between(f, made, at)?;
    let mut found = Finding::sure(
        Cause::PktStale,
        format!("this packet pointer is from before `{name}`, which may have moved the packet"),
    )
    .because(format!("R{reg} was a packet pointer; {name} makes every packet pointer a plain number"))
    .mark(Role::Made, made, "the pointer is made here")
    .mark(Role::Lost, call, format!("`{name}` invalidates all packet pointers"));
    if let Some(check) = f.path.checks(call).filter(|c| c.step > made).find(|c| is_end_check(f, c.step)) {
        found = found.mark(Role::Checked, check.step, "checked here, before the packet moved");
    }
    let name_of = f.name_given(made);
    found = found.fixed(f.before(
        at,
        format!("after {name} load data and data_end from the context again, and check again"),
        match name_of.as_deref() {
            Some(n) => format!("{n} = (void *)(long)ctx->data; data_end = (void *)(long)ctx->data_end; if ((void *)({n} + 1) > data_end) {}", f.give_up()),
            None => format!("data = (void *)(long)ctx->data; data_end = (void *)(long)ctx->data_end; if (data + SIZE > data_end) {}", f.give_up()),
        },
    ));
    Some(f.rejected(found, "used here, as if nothing had happened"))
}

/// A load of `data` from the context, in logs without states.
fn loads_packet(f: &Facts<'_>, i: usize) -> bool {
    let Some(Op::Load { base, off, size: 4, .. }) = f.path.steps.get(i).map(|s| &s.op) else { return false };
    let ctx = f.path.value(i, Place::Reg(*base)).is_none_or(|v| v.kind == "ctx");
    let text = f.source(i).map(|s| s.text.as_str()).unwrap_or_default();
    ctx && (text.contains("->data") || matches!(off, 76)) && !text.contains("data_end")
}

/// Whether a jump compares a packet pointer with the packet's end.
fn is_end_check(f: &Facts<'_>, step: usize) -> bool {
    let Op::Jump { left, right: Rhs::Reg(right), .. } = f.path.steps[step].op else { return false };
    let l = f.path.value(step, Place::Reg(left));
    let r = f.path.value(step, Place::Reg(right));
    match (l, r) {
        (Some(l), Some(r)) => (l.is_packet() && r.is_packet_end()) || (l.is_packet_end() && r.is_packet()),
        _ => false,
    }
}

/// The packet pointer in such a check.
fn checked_pointer(f: &Facts<'_>, step: usize) -> Option<(u8, Value)> {
    let Op::Jump { left, right: Rhs::Reg(right), .. } = f.path.steps[step].op else { return None };
    [left, right].into_iter().find_map(|r| {
        let v = f.path.value(step, Place::Reg(r)).filter(Value::is_packet)?;
        Some((r, v))
    })
}

/// A message without a path.
fn bare(f: &Facts<'_>) -> Finding {
    let range = f.number(",r=").unwrap_or(0);
    let found = Finding::guess(Cause::PktMissing, "packet bytes are used that no check covers").because(match range {
        0 => "the pointer has no checked range (r=0); without the path it is not known whether another pointer was checked".to_owned(),
        n => format!("{} are checked, the access is behind them", words::bytes(n)),
    });
    f.rejected(found, "refused here")
        .fix("compare the pointer plus the size of the access with data_end, right before the access")
}

/// How many bytes the refused instruction wants: offset and size relative to the pointer's fixed base.
fn wanted(f: &Facts<'_>) -> (i64, i64) {
    let line = f.text.lines().find(|l| l.contains("invalid access to packet")).unwrap_or_default();
    let get = |name: &str| {
        let at = line.find(name)? + name.len();
        let rest = &line[at..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
        rest[..end].parse::<i64>().ok()
    };
    let size = get("size=").unwrap_or(1);
    // Both kernels' `off=` and the one in brackets are from the pointer's base, as the range is.
    (get("off=").unwrap_or(0), size)
}

fn outside(f: &Facts<'_>) -> Option<Finding> {
    let at = f.at?;
    let reg = f.message_reg()?;
    let value = f.reg(reg).unwrap_or_default();
    let (off, size) = wanted(f);
    let range = f.number(",r=").or(value.range).unwrap_or(0).max(0);
    let variable =
        value.id != 0 || value.var_off.is_some_and(|(_, m)| m != 0) || f.number("(id=").is_some_and(|id| id != 0);
    let checks: Vec<(usize, u8, Value)> = f
        .path
        .checks(at)
        .filter(|c| is_end_check(f, c.step))
        .filter_map(|c| checked_pointer(f, c.step).map(|(r, v)| (c.step, r, v)))
        .collect();
    let made = f.path.trace(at, reg);
    let access = format!("reads byte {} to {}", off, off + size - 1);
    let verb = if matches!(f.path.steps[at].op, Op::Store { .. } | Op::Atomic { .. }) {
        access.replace("reads", "writes")
    } else {
        access
    };
    let verb = if size == 1 { verb.split(" to ").next().unwrap_or(&verb).to_owned() } else { verb };
    let helper = match &f.path.steps[at].op {
        Op::Helper { name, .. } | Op::Kfunc { name } => Some(name.clone()),
        _ => None,
    };
    let label = match (&helper, variable) {
        (Some(h), _) => format!("`{h}` uses {} from this pointer", words::bytes(size)),
        (None, true) => format!("{verb} behind the variable offset; checked are {}", words::bytes(range)),
        (None, false) => format!("{verb}; checked are {}", words::bytes(range)),
    };
    // Negative: before the packet's first byte.
    if off < 0 && !variable {
        let found = Finding::sure(Cause::MemOob, "this access lies before the start of the packet")
            .because(format!("its offset from the start is {off}"))
            .fix(
                "access offsets from `data` on; bytes in front of it can be had with bpf_xdp_adjust_head or data_meta",
            );
        return Some(f.rejected(found, format!("byte {off} of the packet")));
    }
    let same = |v: &Value| v.id == value.id;
    if !variable && range > 0 && off + size > range {
        return Some(f.rejected(too_few(f, at, reg, range, off + size, &checks), label));
    }
    if variable {
        if let Some((step, _, v)) = checks.iter().rev().find(|(_, _, v)| same(v)) {
            if range == 0
                && (v.most().saturating_add(v.off.unsigned_abs()) > MAX_OFFSET
                    || value.least() < 0
                    || value.most() > MAX_OFFSET)
            {
                return Some(f.rejected(too_far(f, at, reg, *step, v, &made), label));
            }
            if range > 0 || off + size > range {
                return Some(f.rejected(too_few(f, at, reg, range, off + size, &checks), label));
            }
        }
        // Checks on another pointer with a variable part: the same sum made twice?
        if let Some((step, other, v)) = checks.iter().rev().find(|(_, _, v)| v.id != 0 && !same(v)) {
            let mine = addends(f, at, reg);
            let theirs = addends(f, *step, *other);
            let shared = mine.iter().any(|a| theirs.contains(a));
            if shared {
                return Some(f.rejected(other_pointer(f, at, reg, *step, *other, v, &made), label));
            }
        }
        return Some(f.rejected(unchecked_offset(f, at, reg, off + size, &checks, &made), label));
    }
    // A fixed offset and nothing checked.
    if let Some(step) = length_check(f, at) {
        let found = Finding::likely(
            Cause::PktLost,
            "the length is compared as a number, which proves nothing about the pointer",
        )
        .because("data_end - data makes a plain number; only comparing pointers gives a packet pointer its range")
        .mark(Role::Checked, step, "this compares a length, not a pointer with data_end")
        .fixed(pointer_check(f, at, reg, off + size));
        return Some(f.rejected(found, label));
    }
    let mut found = Finding::sure(Cause::PktMissing, "packet bytes are used that were never compared with data_end")
        .because(match checks.is_empty() {
            true => "no comparison with data_end is on this path".to_owned(),
            false => "the comparison on this path does not go the way that proves a range".to_owned(),
        })
        .fixed(pointer_check(f, at, reg, off + size));
    if let Some((step, ..)) = checks.last() {
        found = found.mark(Role::Checked, *step, "on this side of the comparison nothing is known about the packet");
    }
    if made.at < at {
        found = found.mark(Role::Made, made.at, "the pointer is made here");
    }
    if let Some(step) = skb_len_check(f, at) {
        found = found.mark(
            Role::Checked,
            step,
            "the context's length counts bytes that may lie outside of the linear part",
        );
        found = found.note("skb->len also counts paged data: direct access reaches only up to data_end (bpf_skb_pull_data makes more linear)");
    }
    Some(f.rejected(found, label))
}

/// A jump on a number that was made from data_end and data.
fn length_check(f: &Facts<'_>, at: usize) -> Option<usize> {
    f.path.checks(at).filter(|c| matches!(c.right, Rhs::Imm(_))).map(|c| (c.step, c.left)).find_map(|(step, reg)| {
        f.path
            .ancestors(step, reg)
            .iter()
            .any(|(def, r)| {
                let Some(s) = f.path.steps.get(*def) else { return false };
                let Op::Alu { dst, op, src: Rhs::Reg(src), .. } = &s.op else { return false };
                let is = |r: u8, end: bool| {
                    f.path
                        .value(*def, Place::Reg(r))
                        .is_some_and(|v| if end { v.is_packet_end() } else { v.is_packet() })
                };
                let _ = r;
                op == "-" && ((is(*dst, true) && is(*src, false)) || (is(*dst, false) && is(*src, true)))
            })
            .then_some(step)
    })
}

fn skb_len_check(f: &Facts<'_>, at: usize) -> Option<usize> {
    f.path.checks(at).find_map(|c| {
        f.path
            .ancestors(c.step, c.left)
            .iter()
            .any(|(def, _)| {
                matches!(f.path.steps.get(*def).map(|s| &s.op), Some(Op::Load { base, off: 0, size: 4, .. })
                if f.path.value(*def, Place::Reg(*base)).is_some_and(|v| v.kind == "ctx"))
                    && f.source(*def).is_some_and(|s| s.text.contains("len"))
            })
            .then_some(c.step)
    })
}

/// The numbers that were added to a packet pointer, as roots.
fn addends(f: &Facts<'_>, step: usize, reg: u8) -> Vec<(usize, u8)> {
    let mut out = Vec::new();
    let (mut at, mut reg) = (step, reg);
    for _ in 0..64 {
        let Some(def) = f.path.definition(at, reg) else { break };
        match f.path.steps[def].op {
            Op::Mov { src: Rhs::Reg(r), .. } => (at, reg) = (def, r),
            Op::Alu { dst, src: Rhs::Reg(r), .. } => {
                // The number may be on either side of the sum.
                let number = if f.path.value(def, Place::Reg(r)).is_some_and(|v| v.is_packet()) { dst } else { r };
                out.extend(f.path.ancestors(def, number).into_iter().filter(|r| r.0 != usize::MAX));
                (at, reg) = (def, if number == dst { r } else { dst });
            }
            Op::Alu { dst, .. } => (at, reg) = (def, dst),
            _ => break,
        }
    }
    out
}

/// The names that a program gave to data and data_end.
fn names(f: &Facts<'_>) -> (String, String) {
    let of = |field: &str| {
        f.path.refusal.sources.iter().find_map(|s| {
            let at = s.text.find(field)?;
            let tail = s.text[at + field.len()..].chars().next();
            (!tail.is_some_and(|c| c.is_alphanumeric() || c == '_')).then(|| text::assigned(&s.text)).flatten()
        })
    };
    (of("->data").unwrap_or_else(|| "data".into()), of("->data_end").unwrap_or_else(|| "data_end".into()))
}

fn pointer_check(f: &Facts<'_>, at: usize, reg: u8, needed: i64) -> Fix {
    let (data, end) = names(f);
    let fix = f.before(
        at,
        format!("compare the pointer with {end} before this line: {} are needed from {data}", words::bytes(needed)),
        format!("if ((void *){data} + {needed} > (void *){end}) {}", f.give_up()),
    );
    Fix { trial: f.packet_trial(at, reg, from_register(f, at)), ..fix }
}

/// Bytes from the register on that the refused instruction uses.
fn from_register(f: &Facts<'_>, at: usize) -> i64 {
    match f.path.steps[at].op {
        Op::Load { off, size, .. } | Op::Store { off, size, .. } | Op::Atomic { off, size, .. } => {
            i64::from(off) + i64::from(size)
        }
        _ => f.number("size").unwrap_or(1),
    }
}

/// Kernels before 5.16 give a pointer that is known to be below data_end one byte too little.
fn off_by_one(f: &Facts<'_>, range: i64, needed: i64, check: Option<&(usize, u8, Value)>) -> Option<Finding> {
    let (step, reg, v) = check?;
    let Op::Jump { left, ref op, by, .. } = f.path.steps[*step].op else { return None };
    let to = i64::from(f.path.steps[*step].insn) + 1 + i64::from(by);
    let taken = f.path.steps.get(step + 1).is_some_and(|s| i64::from(s.insn) == to);
    let below = matches!(
        (op.as_str(), taken, left == *reg),
        (">=", false, true) | ("<", true, true) | ("<=", false, false) | (">", true, false)
    );
    (below && needed == range + 1 && v.off == range).then(|| {
        Finding::sure(Cause::KernelBug, "the check is right, but this kernel counts one byte too few for it")
            .because("a pointer that is below data_end has at least one byte behind it; kernels before 5.16 (5.10.82, 5.15.5) do not count it")
            .mark(Role::Checked, *step, "proves one byte more than this kernel sees")
            .fix("write the comparison so that it names the bytes: `if (ptr + 1 > data_end)` instead of `if (ptr >= data_end)`")
    })
}

fn too_few(f: &Facts<'_>, at: usize, reg: u8, range: i64, needed: i64, checks: &[(usize, u8, Value)]) -> Finding {
    let check = checks.iter().rev().find(|(_, _, v)| v.off == range || v.off + 1 == range).or(checks.last());
    if let Some(found) = off_by_one(f, range, needed, check) {
        return found;
    }
    // A later comparison of a length: the check that was meant for these bytes.
    if let Some(step) = length_check(f, at).filter(|s| check.is_none_or(|c| c.0 < *s)) {
        return Finding::likely(
            Cause::PktLost,
            "the length is compared as a number, which proves nothing about the pointer",
        )
        .because("the difference of two packet pointers is a plain number; only comparing pointers gives a packet pointer its range")
        .mark(Role::Checked, step, "this compares a length, not a pointer with data_end")
        .fixed(pointer_check(f, at, reg, needed));
    }
    let mut found = Finding::sure(
        Cause::PktMissing,
        format!("the check covers {}, this needs {}", words::bytes(range), words::bytes(needed)),
    )
    .because(format!("R{reg} has a checked range of {range}; the access ends at byte {needed}"));
    let Some((step, ..)) = check else {
        return found.fixed(pointer_check(f, at, reg, needed));
    };
    found = found.mark(Role::Checked, *step, format!("proves {}", words::bytes(range)));
    let line = f.source(*step).map(|s| s.text.clone()).unwrap_or_default();
    let changed = text::with_number(&line, range, needed).or_else(|| {
        // Past a comparison with `>=` the range is one more than the number.
        text::with_number(&line, range - 1, needed - 1)
    });
    match changed {
        Some(code) => {
            let fix = f.replace(*step, format!("let the check cover {}", words::bytes(needed)), code);
            found.fixed(Fix { trial: f.packet_trial(at, reg, from_register(f, at)), ..fix })
        }
        None => found.fixed(pointer_check(f, at, reg, needed)),
    }
}

fn too_far(f: &Facts<'_>, at: usize, reg: u8, step: usize, v: &Value, made: &crate::path::Trace) -> Finding {
    let least = v.smin.unwrap_or(0);
    let limit = words::grouped(MAX_OFFSET.into());
    let mut found = Finding::sure(
        Cause::PktLost,
        format!("the check gives no range: the offset may be {}, more than {limit}", over(v)),
    )
    .because(format!(
        "R{reg} and the checked pointer are the same, but a comparison counts only while the offset is at most {limit}"
    ))
    .mark(Role::Checked, step, "compared with data_end here, in vain");
    let sum = made
        .links
        .iter()
        .map(|l| l.0)
        .chain([made.at])
        .find(|i| matches!(f.path.steps[*i].op, Op::Alu { src: Rhs::Reg(_), .. }));
    if let Some(sum) = sum {
        let number = match f.path.steps[sum].op {
            Op::Alu { src: Rhs::Reg(r), .. } => f.path.value(sum, Place::Reg(r)),
            _ => None,
        };
        let range = number.as_ref().map_or_else(|| over(v), words::range);
        found = found.mark(Role::Lost, sum, format!("a number of {range} is added to the pointer"));
        let number = match f.path.steps[sum].op {
            Op::Alu { dst, src: Rhs::Reg(src), .. } => {
                if f.path.value(sum, Place::Reg(src)).is_some_and(|v| v.is_packet()) { dst } else { src }
            }
            _ => reg,
        };
        let most = vec![0x7fff, 0xfff, 0xff];
        let trial = Some(Trial::Limit { insn: f.path.steps[sum].insn, reg: number, least: 0, most });
        let fix = f.before(
            sum,
            "bound the offset before it is added, in a way that the compiler cannot undo",
            format!("if (offset > 0x7fff) {} /* or: offset &= 0x7fff; */", f.give_up()),
        );
        found = found.fixed(Fix { trial, ..fix });
    } else {
        found = found.fix("bound the offset to 0x7fff before it is added to the pointer");
    }
    if least < 0 || v.most() > u64::from(u32::MAX) / 2 {
        found = found.note(
            "subtracting in 32 bits can wrap: if the difference may be negative, the verifier sees up to 4,294,967,295",
        );
    }
    let _ = at;
    found
}

fn over(v: &Value) -> String {
    match v.umax {
        Some(u) => words::grouped(u.into()),
        None => "anything".to_owned(),
    }
}

fn other_pointer(
    f: &Facts<'_>,
    at: usize,
    reg: u8,
    step: usize,
    other: u8,
    v: &Value,
    made: &crate::path::Trace,
) -> Finding {
    let mut found = Finding::sure(Cause::PktLost, "the check was made on another copy of this pointer")
        .because(format!(
            "R{other} was compared with data_end, R{reg} is computed again from the same number: the verifier does not know that they are equal"
        ))
        .mark(Role::Checked, step, format!("proves a range for R{other} (id {}), not for R{reg}", v.id));
    if made.at < at {
        let sum =
            made.links.iter().map(|l| l.0).find(|i| matches!(f.path.steps[*i].op, Op::Alu { src: Rhs::Reg(_), .. }));
        found = found.mark(
            Role::Lost,
            sum.unwrap_or(made.at),
            "the sum is computed a second time: a new pointer without a range",
        );
    }
    let text = "compute the pointer once, check it and use that same variable; keep the compiler from computing it again with `asm volatile(\"\" : \"+r\"(ptr));` after the sum";
    let trial = f.packet_trial(at, reg, from_register(f, at));
    found.fixed(Fix { text: text.to_owned(), trial, ..Fix::default() })
}

fn unchecked_offset(
    f: &Facts<'_>,
    at: usize,
    reg: u8,
    needed: i64,
    checks: &[(usize, u8, Value)],
    made: &crate::path::Trace,
) -> Finding {
    let mut found = Finding::sure(
        Cause::PktMissing,
        "after the variable offset is added, the pointer is not compared with data_end",
    )
    .because(format!("no comparison on this path is about the pointer in R{reg} after the sum"));
    let sum = made
        .links
        .iter()
        .map(|l| l.0)
        .chain([made.at])
        .find(|i| matches!(f.path.steps[*i].op, Op::Alu { src: Rhs::Reg(_), .. }));
    if let Some(sum) = sum {
        found =
            found.mark(Role::Made, sum, "a variable offset is added: what was checked before does not count any more");
    } else if let Origin::Call { name } = &made.origin {
        found = found.mark(Role::Made, made.at, format!("from {name}"));
    }
    if let Some((step, ..)) = checks.last() {
        found = found.mark(Role::Checked, *step, "this checks the part before the variable offset");
    }
    let (_, end) = names(f);
    let pointer = sum.and_then(|s| f.name_given(s)).unwrap_or_else(|| "ptr".into());
    let _ = made.has(How::Copy);
    let fix = f.before(
        at,
        format!("compare the pointer after the sum with {end}: {} are needed from it", words::bytes(needed)),
        format!("if ((void *){pointer} + {needed} > (void *){end}) {}", f.give_up()),
    );
    found.fixed(Fix { trial: f.packet_trial(at, reg, from_register(f, at)), ..fix })
}
