//! Calls out of the function: helpers, kfuncs, subprograms, and the packet loads of the classic BPF.

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use isa::Decoded;

use crate::desc::Trap;
use crate::emit::{Emitter, Resolved};
use crate::regs::reg;

/// A helper or kfunc.
pub(super) fn host(e: &mut Emitter<'_>) {
    let (slot, stub) = (e.slot, e.stubs.call);
    if e.resolved() != Resolved::Host {
        return e.trap_here(Trap::Missing);
    }
    dynasm!(e.a
        ; .arch x64
        ; mov r10d, slot as i32
        ; call =>stub
    );
}

/// A function of this program. r6 to r10 are the caller's again afterwards.
pub(super) fn local(e: &mut Emitter<'_>) {
    let Resolved::Subprog(entry) = e.resolved() else { return e.trap_here(Trap::Jump) };
    let callee = e.entry(entry);
    let (slot, stubs) = (e.slot, e.stubs);
    dynasm!(e.a
        ; .arch x64
        ; push rbx
        ; push r13
        ; push r14
        ; push r15
        ; push rbp
        ; mov r10d, slot as i32
        ; call =>stubs.enter
        ; call =>callee
        ; call =>stubs.leave
        ; pop rbp
        ; pop r15
        ; pop r14
        ; pop r13
        ; pop rbx
    );
}

/// `r0 = *(u16 *)skb[r7 + 14]`: the offset goes to Rust, which also knows the magic negative ones.
pub(super) fn packet(e: &mut Emitter<'_>, d: &Decoded, indirect: bool) {
    let (slot, stub, imm) = (e.slot, e.stubs.packet, d.imm);
    dynasm!(e.a ; .arch x64 ; mov r11d, imm);
    if indirect {
        let src = reg(d.src);
        dynasm!(e.a ; .arch x64 ; add r11d, Rd(src));
    }
    dynasm!(e.a
        ; .arch x64
        ; mov r10d, slot as i32
        ; call =>stub
    );
}
