//! Two-operand arithmetic and negation.

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use isa::{AluOp, Decoded, Rhs, Width};

use crate::emit::Emitter;
use crate::regs::{R9, R10, R11, RAX, RCX, RDX, reg};

/// A plain two-operand machine instruction in all four forms.
macro_rules! plain {
    ($e:ident, $mnemonic:ident, $width:ident, $dst:ident, $rhs:expr) => {
        match ($width, $rhs) {
            (Width::W64, Operand::Reg(s)) => dynasm!($e.a ; .arch x64 ; $mnemonic Rq($dst), Rq(s)),
            (Width::W32, Operand::Reg(s)) => dynasm!($e.a ; .arch x64 ; $mnemonic Rd($dst), Rd(s)),
            (Width::W64, Operand::Imm(i)) => dynasm!($e.a ; .arch x64 ; $mnemonic Rq($dst), i),
            (Width::W32, Operand::Imm(i)) => dynasm!($e.a ; .arch x64 ; $mnemonic Rd($dst), i),
        }
    };
}

/// A shift in all forms; the count is in cl or constant.
macro_rules! shift {
    ($e:ident, $mnemonic:ident, $width:ident, $dst:expr, $count:expr) => {
        match ($width, $count) {
            (Width::W64, None) => dynasm!($e.a ; .arch x64 ; $mnemonic Rq($dst), cl),
            (Width::W32, None) => dynasm!($e.a ; .arch x64 ; $mnemonic Rd($dst), cl),
            (Width::W64, Some(n)) => dynasm!($e.a ; .arch x64 ; $mnemonic Rq($dst), n),
            (Width::W32, Some(n)) => dynasm!($e.a ; .arch x64 ; $mnemonic Rd($dst), n),
        }
    };
}

/// The right-hand side.
#[derive(Clone, Copy)]
enum Operand {
    /// A machine register.
    Reg(u8),
    Imm(i32),
}

pub(super) fn binary(e: &mut Emitter<'_>, d: &Decoded, width: Width, op: AluOp, rhs: Rhs) {
    let dst = reg(d.dst);
    let operand = match rhs {
        Rhs::X => Operand::Reg(reg(d.src)),
        Rhs::K => Operand::Imm(d.imm),
    };
    match op {
        AluOp::Add => plain!(e, add, width, dst, operand),
        AluOp::Sub => plain!(e, sub, width, dst, operand),
        AluOp::Or => plain!(e, or, width, dst, operand),
        AluOp::And => plain!(e, and, width, dst, operand),
        AluOp::Xor => plain!(e, xor, width, dst, operand),
        AluOp::Mov => mov(e, width, dst, operand),
        AluOp::Mul => multiply(e, width, dst, operand),
        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => shift(e, width, op, dst, operand),
        AluOp::Div | AluOp::Mod | AluOp::Sdiv | AluOp::Smod => divide(e, width, op, dst, operand),
    }
}

pub(super) fn negate(e: &mut Emitter<'_>, d: &Decoded, width: Width) {
    let dst = reg(d.dst);
    match width {
        Width::W64 => dynasm!(e.a ; .arch x64 ; neg Rq(dst)),
        Width::W32 => dynasm!(e.a ; .arch x64 ; neg Rd(dst)),
    }
}

fn mov(e: &mut Emitter<'_>, width: Width, dst: u8, operand: Operand) {
    match (width, operand) {
        (Width::W64, Operand::Reg(s)) if s == dst => {}
        (Width::W64, Operand::Reg(s)) => dynasm!(e.a ; .arch x64 ; mov Rq(dst), Rq(s)),
        (Width::W32, Operand::Reg(s)) => dynasm!(e.a ; .arch x64 ; mov Rd(dst), Rd(s)),
        // A 32-bit move zeroes the upper half and is shorter.
        (Width::W64, Operand::Imm(i)) if i < 0 => dynasm!(e.a ; .arch x64 ; mov Rq(dst), i),
        (_, Operand::Imm(i)) => dynasm!(e.a ; .arch x64 ; mov Rd(dst), i),
    }
}

fn multiply(e: &mut Emitter<'_>, width: Width, dst: u8, operand: Operand) {
    match (width, operand) {
        (Width::W64, Operand::Reg(s)) => dynasm!(e.a ; .arch x64 ; imul Rq(dst), Rq(s)),
        (Width::W32, Operand::Reg(s)) => dynasm!(e.a ; .arch x64 ; imul Rd(dst), Rd(s)),
        (Width::W64, Operand::Imm(i)) => dynasm!(e.a ; .arch x64 ; imul Rq(dst), Rq(dst), i),
        (Width::W32, Operand::Imm(i)) => dynasm!(e.a ; .arch x64 ; imul Rd(dst), Rd(dst), i),
    }
}

/// x86 masks the count as BPF does, but wants it in cl, which is r4. A count of zero still clears the upper half of a 32-bit
/// result.
fn shift(e: &mut Emitter<'_>, width: Width, op: AluOp, dst: u8, operand: Operand) {
    let src = match operand {
        Operand::Imm(i) => {
            let mask = if width == Width::W64 { 63 } else { 31 };
            return shift_by(e, width, op, dst, Some((i & mask) as i8));
        }
        Operand::Reg(s) => s,
    };
    if dst == RCX {
        dynasm!(e.a ; .arch x64 ; mov r11, rcx ; mov rcx, Rq(src));
        shift_by(e, width, op, R11, None);
        dynasm!(e.a ; .arch x64 ; mov rcx, r11);
    } else if src == RCX {
        shift_by(e, width, op, dst, None);
    } else {
        dynasm!(e.a ; .arch x64 ; mov r11, rcx ; mov rcx, Rq(src));
        shift_by(e, width, op, dst, None);
        dynasm!(e.a ; .arch x64 ; mov rcx, r11);
    }
}

/// By a constant, or by cl.
fn shift_by(e: &mut Emitter<'_>, width: Width, op: AluOp, dst: u8, count: Option<i8>) {
    match op {
        AluOp::Lsh => shift!(e, shl, width, dst, count),
        AluOp::Rsh => shift!(e, shr, width, dst, count),
        _ => shift!(e, sar, width, dst, count),
    }
}

/// Division by zero and the overflowing signed division trap on x86 and must not.
fn divide(e: &mut Emitter<'_>, width: Width, op: AluOp, dst: u8, operand: Operand) {
    let is_mod = matches!(op, AluOp::Mod | AluOp::Smod);
    let signed = matches!(op, AluOp::Sdiv | AluOp::Smod);
    match operand {
        Operand::Imm(0) => return by_zero(e, width, is_mod, dst),
        Operand::Imm(-1) if signed => return by_minus_one(e, width, is_mod, dst),
        Operand::Imm(i) if !signed && i > 0 && i.count_ones() == 1 => {
            return by_power_of_two(e, width, is_mod, dst, i);
        }
        Operand::Imm(i) => {
            // Sign-extended to the width.
            match width {
                Width::W64 => dynasm!(e.a ; .arch x64 ; mov r11, i),
                Width::W32 => dynasm!(e.a ; .arch x64 ; mov r11d, i),
            }
            return divide_by_r11(e, width, is_mod, signed, dst);
        }
        Operand::Reg(s) => dynasm!(e.a ; .arch x64 ; mov r11, Rq(s)),
    }
    let (zero, minus_one, done) = (e.a.new_dynamic_label(), e.a.new_dynamic_label(), e.a.new_dynamic_label());
    match width {
        Width::W64 => dynasm!(e.a ; .arch x64 ; test r11, r11),
        Width::W32 => dynasm!(e.a ; .arch x64 ; test r11d, r11d),
    }
    dynasm!(e.a ; .arch x64 ; jz =>zero);
    if signed {
        match width {
            Width::W64 => dynasm!(e.a ; .arch x64 ; cmp r11, -1),
            Width::W32 => dynasm!(e.a ; .arch x64 ; cmp r11d, -1),
        }
        dynasm!(e.a ; .arch x64 ; je =>minus_one);
    }
    divide_by_r11(e, width, is_mod, signed, dst);
    dynasm!(e.a ; .arch x64 ; jmp =>done ; =>zero);
    by_zero(e, width, is_mod, dst);
    if signed {
        dynasm!(e.a ; .arch x64 ; jmp =>done ; =>minus_one);
        by_minus_one(e, width, is_mod, dst);
    }
    dynasm!(e.a ; .arch x64 ; =>done);
}

fn by_zero(e: &mut Emitter<'_>, width: Width, is_mod: bool, dst: u8) {
    match (is_mod, width) {
        (false, _) => dynasm!(e.a ; .arch x64 ; xor Rd(dst), Rd(dst)),
        (true, Width::W32) => dynasm!(e.a ; .arch x64 ; mov Rd(dst), Rd(dst)),
        (true, Width::W64) => {}
    }
}

fn by_minus_one(e: &mut Emitter<'_>, width: Width, is_mod: bool, dst: u8) {
    match (is_mod, width) {
        (true, _) => dynasm!(e.a ; .arch x64 ; xor Rd(dst), Rd(dst)),
        (false, Width::W64) => dynasm!(e.a ; .arch x64 ; neg Rq(dst)),
        (false, Width::W32) => dynasm!(e.a ; .arch x64 ; neg Rd(dst)),
    }
}

fn by_power_of_two(e: &mut Emitter<'_>, width: Width, is_mod: bool, dst: u8, divisor: i32) {
    let log = divisor.trailing_zeros() as i8;
    match (is_mod, width) {
        (true, _) => dynasm!(e.a ; .arch x64 ; and Rd(dst), divisor - 1),
        (false, Width::W64) => dynasm!(e.a ; .arch x64 ; shr Rq(dst), log),
        (false, Width::W32) => {
            dynasm!(e.a ; .arch x64 ; mov Rd(dst), Rd(dst) ; shr Rd(dst), log);
        }
    }
}

/// x86 divides rdx:rax; both are BPF registers, kept in scratch meanwhile.
fn divide_by_r11(e: &mut Emitter<'_>, width: Width, is_mod: bool, signed: bool, dst: u8) {
    dynasm!(e.a ; .arch x64 ; mov Rq(R9), rax ; mov Rq(R10), rdx);
    if dst != RAX {
        dynasm!(e.a ; .arch x64 ; mov rax, Rq(dst));
    }
    match (width, signed) {
        (Width::W64, true) => dynasm!(e.a ; .arch x64 ; cqo ; idiv r11),
        (Width::W32, true) => dynasm!(e.a ; .arch x64 ; cdq ; idiv r11d),
        (Width::W64, false) => dynasm!(e.a ; .arch x64 ; xor edx, edx ; div r11),
        (Width::W32, false) => dynasm!(e.a ; .arch x64 ; xor edx, edx ; div r11d),
    }
    let result = if is_mod { RDX } else { RAX };
    // 32-bit results are zero-extended by the division itself.
    dynasm!(e.a
        ; .arch x64
        ; mov r11, Rq(result)
        ; mov rax, Rq(R9)
        ; mov rdx, Rq(R10)
        ; mov Rq(dst), r11
    );
}
