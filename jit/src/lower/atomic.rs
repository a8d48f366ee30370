//! Atomic operations. x86 orders plain loads and stores as acquire and release want them.

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use isa::{AtomicOp, Decoded, Size};

use crate::desc::Desc;
use crate::emit::{Emitter, Mem, Value};
use crate::lower::memory::{emit_load, emit_store};
use crate::regs::{R9, R10, RAX, reg};

/// A locked machine instruction with a register operand, 32 or 64 bits.
macro_rules! locked {
    ($e:ident, $mnemonic:ident, $size:ident, $m:ident, $src:ident) => {
        match $size {
            Size::B64 => dynasm!($e.a ; .arch x64 ; lock $mnemonic [Rq($m.base) + $m.disp], Rq($src)),
            _ => dynasm!($e.a ; .arch x64 ; lock $mnemonic [Rq($m.base) + $m.disp], Rd($src)),
        }
    };
}

pub(super) fn atomic(e: &mut Emitter<'_>, d: &Decoded, size: Size, op: AtomicOp) {
    let base = if op == AtomicOp::LoadAcquire { d.src } else { d.dst };
    let desc = Desc::access(e.slot, size, base).atomic(op);
    let desc = if op == AtomicOp::LoadAcquire { desc } else { desc.write() };
    let (m, slow) = e.operand(base, d.off, desc);
    let src = reg(d.src);
    match op {
        AtomicOp::Add => locked!(e, add, size, m, src),
        AtomicOp::Or => locked!(e, or, size, m, src),
        AtomicOp::And => locked!(e, and, size, m, src),
        AtomicOp::Xor => locked!(e, xor, size, m, src),
        AtomicOp::FetchAdd => locked!(e, xadd, size, m, src),
        AtomicOp::FetchOr | AtomicOp::FetchAnd | AtomicOp::FetchXor => fetch_loop(e, size, op, m, src),
        AtomicOp::Xchg => match size {
            Size::B64 => dynasm!(e.a ; .arch x64 ; xchg [Rq(m.base) + m.disp], Rq(src)),
            _ => dynasm!(e.a ; .arch x64 ; xchg [Rq(m.base) + m.disp], Rd(src)),
        },
        AtomicOp::Cmpxchg => {
            locked!(e, cmpxchg, size, m, src);
            // A successful 32-bit exchange leaves the upper half of rax alone.
            if size != Size::B64 {
                dynasm!(e.a ; .arch x64 ; mov eax, eax);
            }
        }
        AtomicOp::LoadAcquire => emit_load(e, reg(d.dst), m, size, false),
        AtomicOp::StoreRelease => emit_store(e, m, size, Value::Reg(src)),
    }
    if let Some(at) = slow {
        e.aside_atomic(at, src, d.defines().map(reg), desc);
    }
}

/// x86 fetches only with add: the others compare and exchange until nobody came between. rax is saved in r9, the address in r10.
fn fetch_loop(e: &mut Emitter<'_>, size: Size, op: AtomicOp, m: Mem, src: u8) {
    let again = e.a.new_dynamic_label();
    if m.base != R10 {
        dynasm!(e.a ; .arch x64 ; lea r10, [Rq(m.base) + m.disp]);
    }
    let operand = if src == RAX { R9 } else { src };
    dynasm!(e.a ; .arch x64 ; mov r9, rax);
    match size {
        Size::B64 => dynasm!(e.a ; .arch x64 ; mov rax, [r10] ; =>again ; mov r11, rax),
        _ => dynasm!(e.a ; .arch x64 ; mov eax, [r10] ; =>again ; mov r11d, eax),
    }
    match op {
        AtomicOp::FetchOr => dynasm!(e.a ; .arch x64 ; or r11, Rq(operand)),
        AtomicOp::FetchAnd => dynasm!(e.a ; .arch x64 ; and r11, Rq(operand)),
        _ => dynasm!(e.a ; .arch x64 ; xor r11, Rq(operand)),
    }
    match size {
        Size::B64 => dynasm!(e.a ; .arch x64 ; lock cmpxchg [r10], r11),
        _ => dynasm!(e.a ; .arch x64 ; lock cmpxchg [r10], r11d),
    }
    dynasm!(e.a
        ; .arch x64
        ; jne =>again
        ; mov r11, rax
        ; mov rax, r9
        ; mov Rq(src), r11
    );
}
