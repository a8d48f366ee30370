//! Loads, stores and 64-bit immediates.

use dynasmrt::{DynasmApi, dynasm};
use isa::{Decoded, Size};
use program::facts::Fact;
use runtime::Context;
use runtime::ctx::{Family, HIDDEN};

use crate::desc::Desc;
use crate::emit::{Emitter, Mem, Resolved, Value};
use crate::regs::reg;

pub(super) fn imm64(e: &mut Emitter<'_>, d: &Decoded) {
    let value = match e.resolved() {
        Resolved::Imm64(v) => v,
        _ => d.imm64(),
    };
    let dst = reg(d.dst);
    match (u32::try_from(value), i32::try_from(value as i64)) {
        (Ok(v), _) => dynasm!(e.a ; .arch x64 ; mov Rd(dst), v as i32),
        (_, Ok(v)) => dynasm!(e.a ; .arch x64 ; mov Rq(dst), v),
        _ => dynasm!(e.a ; .arch x64 ; mov Rq(dst), QWORD value as i64),
    }
}

pub(super) fn load(e: &mut Emitter<'_>, d: &Decoded, size: Size, signed: bool) {
    let mut desc = Desc::access(e.slot, size, d.src);
    if signed {
        desc = desc.signed();
    }
    if matches!(e.fact(), Fact::Btf { .. }) {
        desc = desc.probe();
    }
    let dst = reg(d.dst);
    if let Some((m, size)) = context_field(e, d, size, signed) {
        return emit_load(e, dst, m, size, false);
    }
    let (m, slow) = e.operand(d.src, d.off, desc);
    emit_load(e, dst, m, size, signed);
    if let Some(at) = slow {
        e.aside_load(at, dst, desc);
    }
}

/// A load that is proven to read a field of a packet context, lowered as the kernel does it: packet pointers come from where
/// the context keeps them, other fields are plain memory. Other contexts may be shorter than what the verifier lets through
/// (a tracepoint's record), so that loads from them are always checked.
fn context_field(e: &Emitter<'_>, d: &Decoded, size: Size, signed: bool) -> Option<(Mem, Size)> {
    let off = u32::try_from(d.off).ok()?;
    let prog_type = e.source.prog_type?;
    let family = Context::family_of(prog_type);
    let inside = off + size.bytes() <= HIDDEN;
    if e.fact() != Fact::Ctx || signed || !inside || family == Family::Plain {
        return None;
    }
    let base = reg(d.src);
    match Context::pointer_field(family, off) {
        Some(hidden) if size == Size::B32 => Some((Mem { base, disp: hidden as i32 }, Size::B64)),
        Some(_) => None,
        None => Some((Mem { base, disp: Context::place(prog_type, off, size.bytes()) as i32 }, size)),
    }
}

/// The bare machine load.
pub(super) fn emit_load(e: &mut Emitter<'_>, dst: u8, m: Mem, size: Size, signed: bool) {
    match (size, signed) {
        (Size::B8, false) => dynasm!(e.a ; .arch x64 ; movzx Rd(dst), BYTE [Rq(m.base) + m.disp]),
        (Size::B16, false) => dynasm!(e.a ; .arch x64 ; movzx Rd(dst), WORD [Rq(m.base) + m.disp]),
        (Size::B32, false) => dynasm!(e.a ; .arch x64 ; mov Rd(dst), DWORD [Rq(m.base) + m.disp]),
        (Size::B64, _) => dynasm!(e.a ; .arch x64 ; mov Rq(dst), QWORD [Rq(m.base) + m.disp]),
        (Size::B8, true) => dynasm!(e.a ; .arch x64 ; movsx Rq(dst), BYTE [Rq(m.base) + m.disp]),
        (Size::B16, true) => dynasm!(e.a ; .arch x64 ; movsx Rq(dst), WORD [Rq(m.base) + m.disp]),
        (Size::B32, true) => dynasm!(e.a ; .arch x64 ; movsxd Rq(dst), DWORD [Rq(m.base) + m.disp]),
    }
}

pub(super) fn store(e: &mut Emitter<'_>, d: &Decoded, size: Size, immediate: bool) {
    let desc = Desc::access(e.slot, size, d.dst).write();
    let value = if immediate { Value::Imm(d.imm) } else { Value::Reg(reg(d.src)) };
    let (m, slow) = e.operand(d.dst, d.off, desc);
    emit_store(e, m, size, value);
    if let Some(at) = slow {
        e.aside_store(at, value, desc);
    }
}

/// The bare machine store.
pub(super) fn emit_store(e: &mut Emitter<'_>, m: Mem, size: Size, value: Value) {
    match (size, value) {
        (Size::B8, Value::Reg(s)) => dynasm!(e.a ; .arch x64 ; mov BYTE [Rq(m.base) + m.disp], Rb(s)),
        (Size::B16, Value::Reg(s)) => dynasm!(e.a ; .arch x64 ; mov WORD [Rq(m.base) + m.disp], Rw(s)),
        (Size::B32, Value::Reg(s)) => dynasm!(e.a ; .arch x64 ; mov DWORD [Rq(m.base) + m.disp], Rd(s)),
        (Size::B64, Value::Reg(s)) => dynasm!(e.a ; .arch x64 ; mov QWORD [Rq(m.base) + m.disp], Rq(s)),
        (Size::B8, Value::Imm(i)) => dynasm!(e.a ; .arch x64 ; mov BYTE [Rq(m.base) + m.disp], i as i8),
        (Size::B16, Value::Imm(i)) => dynasm!(e.a ; .arch x64 ; mov WORD [Rq(m.base) + m.disp], i as i16),
        (Size::B32, Value::Imm(i)) => dynasm!(e.a ; .arch x64 ; mov DWORD [Rq(m.base) + m.disp], i),
        (Size::B64, Value::Imm(i)) => dynasm!(e.a ; .arch x64 ; mov QWORD [Rq(m.base) + m.disp], i),
    }
}
