//! One function per class of instruction. Shared machinery is in `emit`.

mod alu;
mod atomic;
mod bytes;
mod call;
pub(crate) mod jump;
mod memory;

use isa::{Decoded, Kind};

use crate::desc::Trap;
use crate::emit::Emitter;

/// Emits the machine code of one instruction.
pub(crate) fn lower(e: &mut Emitter<'_>, d: &Decoded) {
    match d.kind() {
        Kind::Alu(width, op, rhs) => alu::binary(e, d, width, op, rhs),
        Kind::Neg(width) => alu::negate(e, d, width),
        Kind::MovSx(width, from) => bytes::sign_extend(e, d, width, from),
        Kind::End(order, size) => bytes::byte_order(e, d, order, size),
        Kind::AddrSpaceCast(cast) => bytes::cast(e, d, cast),
        Kind::LdImm64(_) => memory::imm64(e, d),
        Kind::LdAbs(_) => call::packet(e, d, false),
        Kind::LdInd(_) => call::packet(e, d, true),
        Kind::Ldx(size) => memory::load(e, d, size, false),
        Kind::Ldsx(size) => memory::load(e, d, size, true),
        Kind::St(size) => memory::store(e, d, size, true),
        Kind::Stx(size) => memory::store(e, d, size, false),
        Kind::Atomic(size, op) => atomic::atomic(e, d, size, op),
        Kind::Ja | Kind::Gotol => jump::always(e, d),
        Kind::MayGoto => jump::may_goto(e, d),
        Kind::Cond(width, op, rhs) => jump::conditional(e, d, width, op, rhs),
        Kind::CallHelper | Kind::CallKfunc => call::host(e),
        Kind::CallLocal => call::local(e),
        Kind::Exit => jump::exit(e),
        Kind::Malformed => e.trap_here(Trap::Instruction),
    }
}
