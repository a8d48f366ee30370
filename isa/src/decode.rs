//! Slots to instructions and back. Which opcodes exist is in `ops`; judging operands beyond the encoding (initialised,
//! in range, allowed here) is the verifier's.

use std::fmt;

use crate::Insn;
use crate::consts::{LDIMM64, REG_COUNT};
use crate::kind::{AtomicOp, Kind, Pseudo, Rhs, Width};
use crate::ops::{Op, Sel, Version};

/// A valid instruction. Fields that its form does not use are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decoded {
    pub op: Op,
    pub dst: u8,
    pub src: u8,
    pub off: i16,
    pub imm: i32,
    /// imm of the second slot of a 64-bit immediate.
    pub imm2: i32,
}

/// Why a slot is not a valid instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The index is outside the program.
    OutOfRange,
    UnknownOpcode(u8),
    /// A known opcode whose selecting field has a value without meaning.
    UnknownForm(u8),
    /// The form has a text but no kernel takes it.
    Malformed(Op),
    /// A field that must be zero is not.
    ReservedField(Op),
    /// A register beyond r10.
    Register(u8),
    /// A 64-bit immediate without a proper second slot.
    SecondSlot,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange => write!(f, "no instruction there"),
            Self::UnknownOpcode(c) => write!(f, "unknown opcode {c:02x}"),
            Self::UnknownForm(c) => write!(f, "opcode {c:02x} with an operation that does not exist"),
            Self::Malformed(op) => write!(f, "{} is not an instruction that the kernel takes", op.name()),
            Self::ReservedField(op) => write!(f, "{} uses reserved fields", op.name()),
            Self::Register(r) => write!(f, "R{r} is invalid"),
            Self::SecondSlot => write!(f, "64-bit immediate without a proper second slot"),
        }
    }
}

impl std::error::Error for DecodeError {}

impl Sel {
    fn matches(self, i: Insn) -> bool {
        match self {
            Self::Src(v) => i.src == v,
            Self::Off(v) => i.off == v,
            Self::Imm(v) => i.imm == v,
        }
    }
}

/// The form of a slot, reserved fields aside: what the kernel's log would print it as.
pub fn classify(insn: Insn) -> Option<Op> {
    Op::of_code(insn.code).iter().find(|r| r.sel.iter().all(|s| s.matches(insn))).map(|r| r.op)
}

/// The instruction at slot `idx`, with all fields checked for what the encoding demands.
pub fn decode(insns: &[Insn], idx: usize) -> Result<Decoded, DecodeError> {
    let insn = *insns.get(idx).ok_or(DecodeError::OutOfRange)?;
    let Some(op) = classify(insn) else {
        let known = !Op::of_code(insn.code).is_empty();
        return Err(if known { DecodeError::UnknownForm(insn.code) } else { DecodeError::UnknownOpcode(insn.code) });
    };
    if op.since() == Version::Never {
        return Err(DecodeError::Malformed(op));
    }
    let mut d = Decoded { op, dst: insn.dst, src: insn.src, off: insn.off, imm: insn.imm, imm2: 0 };
    if insn.code == LDIMM64 {
        let second = insns.get(idx + 1).ok_or(DecodeError::SecondSlot)?;
        if (Insn { imm: 0, ..*second }) != Insn::default() {
            return Err(DecodeError::SecondSlot);
        }
        d.imm2 = second.imm;
        if matches!(op, Op::LdMapFd | Op::LdMapIdx) && d.imm2 != 0 {
            return Err(DecodeError::ReservedField(op));
        }
    }
    // The only field that the kernel leaves unchecked.
    if op == Op::Exit {
        d.off = 0;
    }
    d.check_fields()?;
    Ok(d)
}

/// Slots of the instruction at `idx`: 2 for a 64-bit immediate, else 1. Total, for walking over malformed programs.
pub fn slots(insns: &[Insn], idx: usize) -> usize {
    match insns.get(idx) {
        Some(i) if i.code == LDIMM64 => 2,
        _ => 1,
    }
}

impl Decoded {
    pub fn kind(&self) -> Kind {
        self.op.kind()
    }

    /// Slots it takes.
    pub fn slots(&self) -> usize {
        1 + usize::from(self.op.row().code == LDIMM64)
    }

    /// imm as the 64-bit operand that ALU and jump instructions use.
    pub fn imm_u64(&self) -> u64 {
        self.imm as i64 as u64
    }

    /// Both halves of a 64-bit immediate.
    pub fn imm64(&self) -> u64 {
        u64::from(self.imm as u32) | (u64::from(self.imm2 as u32) << 32)
    }

    /// Distance of a jump, local call or function reference, counted from the next slot (of a reference: from its second).
    pub fn distance(&self) -> Option<i64> {
        match self.kind() {
            Kind::Ja | Kind::MayGoto | Kind::Cond(..) => Some(self.off.into()),
            Kind::Gotol | Kind::CallLocal | Kind::LdImm64(Pseudo::Func) => Some(self.imm.into()),
            _ => None,
        }
    }

    /// Slot that a jump, local call or function reference at slot `idx` leads to; it may lie outside the program.
    pub fn target(&self, idx: usize) -> Option<i64> {
        self.distance().map(|d| idx as i64 + 1 + d)
    }

    /// The register that is written, apart from those that calls clobber.
    pub fn defines(&self) -> Option<u8> {
        match self.kind() {
            Kind::Atomic(_, AtomicOp::LoadAcquire) => Some(self.dst),
            Kind::Atomic(_, AtomicOp::Cmpxchg) => Some(0),
            Kind::Atomic(_, op) => op.fetches().then_some(self.src),
            Kind::LdAbs(_) | Kind::LdInd(_) | Kind::CallHelper | Kind::CallKfunc | Kind::CallLocal => Some(0),
            Kind::Alu(..) | Kind::Neg(_) | Kind::MovSx(..) | Kind::End(..) | Kind::AddrSpaceCast(_) => Some(self.dst),
            Kind::LdImm64(_) | Kind::Ldx(_) | Kind::Ldsx(_) => Some(self.dst),
            Kind::St(_) | Kind::Stx(_) | Kind::Exit | Kind::Malformed => None,
            Kind::Ja | Kind::Gotol | Kind::MayGoto | Kind::Cond(..) => None,
        }
    }

    /// The slots: the exact inverse of `decode`.
    pub fn encode(&self) -> (Insn, Option<Insn>) {
        let first = self.op.insn(self.dst, self.src, self.off, self.imm);
        let second = (self.slots() == 2).then(|| Insn { imm: self.imm2, ..Insn::default() });
        (first, second)
    }

    fn check_fields(&self) -> Result<(), DecodeError> {
        let free = self.op.free_fields();
        let blank = Self {
            op: self.op,
            dst: if free.dst { 0 } else { self.dst },
            src: if free.src { 0 } else { self.src },
            off: if free.off { 0 } else { self.off },
            imm: if free.imm { 0 } else { self.imm },
            imm2: 0,
        };
        if self.op.insn(0, 0, 0, 0) != (Insn { code: self.op.row().code, ..blank.raw() }) {
            return Err(DecodeError::ReservedField(self.op));
        }
        for (used, reg) in [(free.dst, self.dst), (free.src, self.src)] {
            if used && usize::from(reg) >= REG_COUNT {
                return Err(DecodeError::Register(reg));
            }
        }
        Ok(())
    }

    fn raw(&self) -> Insn {
        Insn { code: self.op.row().code, dst: self.dst, src: self.src, off: self.off, imm: self.imm }
    }
}

impl Op {
    /// The slot of this form with the given operands; selecting fields are filled in.
    pub fn insn(self, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
        let mut i = Insn { code: self.row().code, dst, src, off, imm };
        for sel in self.row().sel {
            match *sel {
                Sel::Src(v) => i.src = v,
                Sel::Off(v) => i.off = v,
                Sel::Imm(v) => i.imm = v,
            }
        }
        i
    }

    /// Form of a two-operand instruction.
    pub fn alu(width: Width, op: crate::AluOp, rhs: Rhs) -> Op {
        Self::of_kind(Kind::Alu(width, op, rhs))
    }

    /// Form of a conditional jump.
    pub fn cond(width: Width, op: crate::JumpOp, rhs: Rhs) -> Op {
        Self::of_kind(Kind::Cond(width, op, rhs))
    }

    /// Form of an atomic; `None` for read-modify-write of 8 and 16 bits.
    pub fn atomic(size: crate::Size, op: AtomicOp) -> Option<Op> {
        Self::valid().find(|o| o.kind() == Kind::Atomic(size, op))
    }

    // Every combination of width, operation and operand has a row (a test says so), so the fallback is never taken.
    fn of_kind(kind: Kind) -> Op {
        Self::valid().find(|o| o.kind() == kind).unwrap_or(Op::Exit)
    }
}
