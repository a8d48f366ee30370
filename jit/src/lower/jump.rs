//! Jumps, exit, and the prologue of functions. Jumps backwards pay for the slots that they go over, so that no loop is free.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use isa::{Decoded, JumpOp, Rhs, Width};

use crate::emit::{Emitter, Mem};
use crate::regs::{R12, reg};
use crate::state::LOOPS;

/// How often `may_goto` falls through in one call of a function (the kernel's limit of a loop).
const MAX_LOOPS: i32 = 8 * 1024 * 1024;

/// Where the counter of `may_goto` is, from r10: in the gap above the frame, which no access of a program reaches.
const LOOP_COUNTER: i32 = 64;

/// Each frame has a counter. Where r10 may be anything, it is no place to keep one: all functions of the program share one then, that
/// starts anew whenever a function is entered.
fn loop_counter(e: &Emitter<'_>) -> Mem {
    match e.constant_fp() {
        true => Mem { base: reg(isa::consts::REG_FP), disp: LOOP_COUNTER },
        false => Mem { base: R12, disp: LOOPS },
    }
}

/// Emitted where a function is entered, in programs with a `may_goto` somewhere.
pub(crate) fn prologue(e: &mut Emitter<'_>) {
    let m = loop_counter(e);
    dynasm!(e.a ; .arch x64 ; mov QWORD [Rq(m.base) + m.disp], MAX_LOOPS);
}

pub(super) fn exit(e: &mut Emitter<'_>) {
    dynasm!(e.a ; .arch x64 ; ret);
}

pub(super) fn always(e: &mut Emitter<'_>, d: &Decoded) {
    let target = e.target(d);
    match backwards(d) {
        Some(slots) => e.count_and_jump(slots, target),
        None => dynasm!(e.a ; .arch x64 ; jmp =>target),
    }
}

pub(super) fn may_goto(e: &mut Emitter<'_>, d: &Decoded) {
    let go_on = e.a.new_dynamic_label();
    let m = loop_counter(e);
    dynasm!(e.a
        ; .arch x64
        ; sub QWORD [Rq(m.base) + m.disp], 1
        ; jns =>go_on
        ; mov QWORD [Rq(m.base) + m.disp], 0
    );
    always(e, d);
    dynasm!(e.a ; .arch x64 ; =>go_on);
}

/// Slots that a jump backwards repeats.
fn backwards(d: &Decoded) -> Option<i64> {
    d.distance().filter(|n| *n < 0).map(|n| -n)
}

pub(super) fn conditional(e: &mut Emitter<'_>, d: &Decoded, width: Width, op: JumpOp, rhs: Rhs) {
    compare(e, d, width, op, rhs);
    match backwards(d) {
        None => {
            let target = e.target(d);
            jump_if(e, Condition::Is(op), target);
        }
        Some(slots) => {
            let not_taken = e.a.new_dynamic_label();
            jump_if(e, Condition::Not(op), not_taken);
            let target = e.target(d);
            e.count_and_jump(slots, target);
            dynasm!(e.a ; .arch x64 ; =>not_taken);
        }
    }
}

fn compare(e: &mut Emitter<'_>, d: &Decoded, width: Width, op: JumpOp, rhs: Rhs) {
    let (dst, src, imm) = (reg(d.dst), reg(d.src), d.imm);
    match (op, width, rhs) {
        (JumpOp::Set, Width::W64, Rhs::X) => dynasm!(e.a ; .arch x64 ; test Rq(dst), Rq(src)),
        (JumpOp::Set, Width::W32, Rhs::X) => dynasm!(e.a ; .arch x64 ; test Rd(dst), Rd(src)),
        (JumpOp::Set, Width::W64, Rhs::K) => dynasm!(e.a ; .arch x64 ; test Rq(dst), imm),
        (JumpOp::Set, Width::W32, Rhs::K) => dynasm!(e.a ; .arch x64 ; test Rd(dst), imm),
        (_, Width::W64, Rhs::X) => dynasm!(e.a ; .arch x64 ; cmp Rq(dst), Rq(src)),
        (_, Width::W32, Rhs::X) => dynasm!(e.a ; .arch x64 ; cmp Rd(dst), Rd(src)),
        (_, Width::W64, Rhs::K) => dynasm!(e.a ; .arch x64 ; cmp Rq(dst), imm),
        (_, Width::W32, Rhs::K) => dynasm!(e.a ; .arch x64 ; cmp Rd(dst), imm),
    }
}

/// What a compare says, as the condition of a machine jump.
#[derive(Clone, Copy)]
enum Condition {
    Is(JumpOp),
    Not(JumpOp),
}

fn jump_if(e: &mut Emitter<'_>, condition: Condition, to: DynamicLabel) {
    use JumpOp::{Eq, Ge, Gt, Le, Lt, Ne, Set, Sge, Sgt, Sle, Slt};
    match condition {
        Condition::Is(Eq) | Condition::Not(Ne | Set) => dynasm!(e.a ; .arch x64 ; je =>to),
        Condition::Is(Ne | Set) | Condition::Not(Eq) => dynasm!(e.a ; .arch x64 ; jne =>to),
        Condition::Is(Gt) | Condition::Not(Le) => dynasm!(e.a ; .arch x64 ; ja =>to),
        Condition::Is(Ge) | Condition::Not(Lt) => dynasm!(e.a ; .arch x64 ; jae =>to),
        Condition::Is(Lt) | Condition::Not(Ge) => dynasm!(e.a ; .arch x64 ; jb =>to),
        Condition::Is(Le) | Condition::Not(Gt) => dynasm!(e.a ; .arch x64 ; jbe =>to),
        Condition::Is(Sgt) | Condition::Not(Sle) => dynasm!(e.a ; .arch x64 ; jg =>to),
        Condition::Is(Sge) | Condition::Not(Slt) => dynasm!(e.a ; .arch x64 ; jge =>to),
        Condition::Is(Slt) | Condition::Not(Sge) => dynasm!(e.a ; .arch x64 ; jl =>to),
        Condition::Is(Sle) | Condition::Not(Sgt) => dynasm!(e.a ; .arch x64 ; jle =>to),
    }
}
