//! The text of an instruction in a log to what it does, as far as a diagnosis asks. The text is the same in all versions; logs have
//! nothing else to go by.

use super::state::number;

/// Right-hand side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhs {
    Reg(u8),
    Imm(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// `narrow`: only the lower 32 bits (`w1 = w2`).
    Mov {
        dst: u8,
        src: Rhs,
        narrow: bool,
    },
    /// `op` without the `=`: `+`, `<<`, `s>>`.
    Alu {
        dst: u8,
        op: String,
        src: Rhs,
        narrow: bool,
    },
    Imm64 {
        dst: u8,
        value: i64,
    },
    Load {
        dst: u8,
        base: u8,
        off: i32,
        size: u8,
    },
    Store {
        base: u8,
        off: i32,
        size: u8,
        src: Rhs,
    },
    Atomic {
        base: u8,
        off: i32,
        size: u8,
    },
    Jump {
        left: u8,
        op: String,
        right: Rhs,
        by: i32,
        narrow: bool,
    },
    Goto {
        by: i32,
    },
    Helper {
        name: String,
        number: i64,
    },
    Kfunc {
        name: String,
    },
    Call {
        by: i32,
    },
    Exit,
    Other,
}

/// Register and whether it is the 32-bit name.
fn reg(text: &str) -> Option<(u8, bool)> {
    let narrow = text.starts_with('w');
    let n: u8 = text.strip_prefix(['r', 'w'])?.parse().ok()?;
    (n <= 11).then_some((n, narrow))
}

fn rhs(text: &str) -> Option<Rhs> {
    let text = text.trim();
    // A sign extension `(s8)r1`.
    let bare = text.rsplit(')').next().unwrap_or(text);
    match reg(bare) {
        Some((r, _)) => Some(Rhs::Reg(r)),
        None => number(bare.trim_end_matches("ll").trim()).map(Rhs::Imm),
    }
}

/// `*(u32 *)(r1 +4)`: size, base, offset.
fn memory(text: &str) -> Option<(u8, u8, i32)> {
    let rest = text.trim().strip_prefix("*(")?;
    let (ty, rest) = rest.split_once('*')?;
    let size = match ty.trim().trim_start_matches(['u', 's']) {
        "8" => 1,
        "16" => 2,
        "32" => 4,
        "64" => 8,
        _ => return None,
    };
    let inner = rest.split_once('(')?.1.split(')').next()?;
    let inner: String = inner.chars().filter(|c| !c.is_whitespace()).collect();
    let at = inner.find(['+', '-'])?;
    let (base, _) = reg(&inner[..at])?;
    Some((size, base, number(&inner[at..])? as i32))
}

fn target(text: &str) -> Option<i32> {
    number(text.split_whitespace().last()?.strip_prefix("pc")?).map(|n| n as i32)
}

impl Op {
    pub fn parse(text: &str) -> Op {
        parse(text.trim()).unwrap_or(Op::Other)
    }

    /// The register that it writes, if it writes one.
    pub fn writes(&self) -> Option<u8> {
        match self {
            Op::Mov { dst, .. } | Op::Alu { dst, .. } | Op::Imm64 { dst, .. } | Op::Load { dst, .. } => Some(*dst),
            Op::Helper { .. } | Op::Kfunc { .. } | Op::Call { .. } => Some(0),
            _ => None,
        }
    }

    pub fn is_call(&self) -> bool {
        matches!(self, Op::Helper { .. } | Op::Kfunc { .. } | Op::Call { .. })
    }
}

fn parse(text: &str) -> Option<Op> {
    if text == "exit" {
        return Some(Op::Exit);
    }
    if let Some(rest) = text.strip_prefix("call ") {
        let rest = rest.trim();
        if let Some(by) = rest.strip_prefix("pc") {
            return Some(Op::Call { by: number(by)? as i32 });
        }
        let (name, n) = rest.split_once('#').unwrap_or((rest, ""));
        let n = number(n).unwrap_or(-1);
        // The kernel prints kfuncs with the BTF id behind `#`, which no helper number reaches.
        if n > 1000 && !name.starts_with("unknown") {
            return Some(Op::Kfunc { name: name.to_owned() });
        }
        return Some(Op::Helper { name: name.to_owned(), number: n });
    }
    if let Some(rest) = text.strip_prefix("goto ").or_else(|| text.strip_prefix("gotol ")) {
        return Some(Op::Goto { by: target(rest)? });
    }
    if text.starts_with("may_goto ") {
        return Some(Op::Goto { by: 0 });
    }
    if let Some(rest) = text.strip_prefix("if ") {
        let (cond, to) = rest.split_once(" goto ")?;
        let mut words = cond.split_whitespace();
        let (left, narrow) = reg(words.next()?)?;
        let op = words.next()?.to_owned();
        let right = rhs(words.next()?)?;
        return Some(Op::Jump { left, op, right, by: target(to)?, narrow });
    }
    if text.starts_with("lock ") || text.contains("atomic") {
        let at = text.find("*(").or_else(|| text.find('('))?;
        let (size, base, off) = memory(&text[at..])?;
        return Some(Op::Atomic { base, off, size });
    }
    if text.starts_with("*(") {
        let (left, right) = text.rsplit_once(" = ")?;
        let (size, base, off) = memory(left)?;
        return Some(Op::Store { base, off, size, src: rhs(right)? });
    }
    let (left, right) = text.split_once('=')?;
    let left = left.trim();
    let right = right.trim();
    let (name, op) = match left.split_once(' ') {
        Some((n, o)) => (n, o.trim()),
        None => (left, ""),
    };
    let (dst, narrow) = reg(name)?;
    if !op.is_empty() {
        return Some(Op::Alu { dst, op: op.to_owned(), src: rhs(right)?, narrow });
    }
    if right.contains("*(") {
        let (size, base, off) = memory(&right[right.find("*(")?..])?;
        return Some(Op::Load { dst, base, off, size });
    }
    if right.starts_with("be")
        || right.starts_with("le")
        || right.starts_with("bswap")
        || right.starts_with('-') && right[1..].starts_with('r')
    {
        return Some(Op::Alu { dst, op: "swap".into(), src: Rhs::Imm(0), narrow });
    }
    if right.starts_with("map[") || right.starts_with("map ") || right.starts_with("subprog[") {
        return Some(Op::Imm64 { dst, value: 0 });
    }
    Some(Op::Mov { dst, src: rhs(right)?, narrow })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        assert_eq!(Op::parse("r2 = *(u32 *)(r1 +4)"), Op::Load { dst: 2, base: 1, off: 4, size: 4 });
        assert_eq!(Op::parse("*(u8 *)(r10 -8) = r1"), Op::Store { base: 10, off: -8, size: 1, src: Rhs::Reg(1) });
        assert_eq!(Op::parse("*(u64 *)(r10 -8) = 0"), Op::Store { base: 10, off: -8, size: 8, src: Rhs::Imm(0) });
        assert_eq!(Op::parse("w1 = w2"), Op::Mov { dst: 1, src: Rhs::Reg(2), narrow: true });
        assert_eq!(Op::parse("r1 s>>= 32"), Op::Alu { dst: 1, op: "s>>".into(), src: Rhs::Imm(32), narrow: false });
        assert_eq!(
            Op::parse("if w1 s> 0xf goto pc+6"),
            Op::Jump { left: 1, op: "s>".into(), right: Rhs::Imm(15), by: 6, narrow: true }
        );
        assert_eq!(
            Op::parse("if r2 > r1 goto pc-3"),
            Op::Jump { left: 2, op: ">".into(), right: Rhs::Reg(1), by: -3, narrow: false }
        );
        assert_eq!(
            Op::parse("call bpf_map_lookup_elem#1"),
            Op::Helper { name: "bpf_map_lookup_elem".into(), number: 1 }
        );
        assert_eq!(Op::parse("call pc+5"), Op::Call { by: 5 });
        assert_eq!(Op::parse("lock *(u64 *)(r1 +0) += r2"), Op::Atomic { base: 1, off: 0, size: 8 });
        assert_eq!(Op::parse("r2 = (s8)r3"), Op::Mov { dst: 2, src: Rhs::Reg(3), narrow: false });
    }
}
