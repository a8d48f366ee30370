//! The few pieces of machine code that every program has: entering, leaving, and asking Rust. Machine code reaches Rust only
//! through these, so that the lowering never thinks about the C calling convention.
//!
//! Each stub aligns the stack itself. Scratch registers r9, r10, r11 carry its operands; everything else survives unless said.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, VecAssembler, dynasm, x64::X64Relocation};

use crate::state::{ARGS, FP, HOST_RSP, RET, STATUS};

pub(crate) type Asm = VecAssembler<X64Relocation>;

/// Addresses of the Rust functions behind the stubs (see `host`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hooks {
    pub load: usize,
    pub store: usize,
    pub atomic: usize,
    pub call: usize,
    pub enter: usize,
    pub leave: usize,
    pub packet: usize,
    pub trap: usize,
}

/// What the hooks `call` and `packet` answer.
pub(crate) const GO_ON: u64 = 0;
pub(crate) const LEAVE: u64 = 1;
/// Return from the current function with `State::ret` as r0.
pub(crate) const RETURN: u64 = 2;

/// Where the stubs are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stubs {
    /// Address r10, descriptor r11 -> value r11.
    pub load: DynamicLabel,
    /// Address r10, descriptor r11, value r9.
    pub store: DynamicLabel,
    /// Address r10, descriptor r11, operand r9; reads rax -> value r11.
    pub atomic: DynamicLabel,
    /// Slot r10d; arguments in place -> rax.
    pub call: DynamicLabel,
    /// Slot r10d -> rbp; r1 to r5 survive.
    pub enter: DynamicLabel,
    /// rax survives; r1 to r5 do not.
    pub leave: DynamicLabel,
    /// Slot r10d, offset r11d -> rax.
    pub packet: DynamicLabel,
    /// Descriptor r11; never returns.
    pub trap: DynamicLabel,
    pub exit: DynamicLabel,
}

/// Emits all stubs. The entry stub is the first byte: `extern "C" fn(state, code)`.
pub(crate) fn emit(a: &mut Asm, hooks: &Hooks) -> Stubs {
    let mut label = || a.new_dynamic_label();
    let stubs = Stubs {
        load: label(),
        store: label(),
        atomic: label(),
        call: label(),
        enter: label(),
        leave: label(),
        packet: label(),
        trap: label(),
        exit: label(),
    };
    entry(a, stubs.exit);
    memory(a, &stubs, hooks);
    calls(a, &stubs, hooks);
    dynasm!(a
        ; .arch x64
        ; =>stubs.trap
        ; mov rdi, r12
        ; mov rsi, r11
    );
    call_rust(a, hooks.trap);
    dynasm!(a ; .arch x64 ; jmp =>stubs.exit);
    stubs
}

fn entry(a: &mut Asm, exit: DynamicLabel) {
    dynasm!(a
        ; .arch x64
        ; push rbp
        ; push rbx
        ; push r12
        ; push r13
        ; push r14
        ; push r15
        ; mov r12, rdi
        ; mov [r12 + HOST_RSP], rsp
        ; mov r11, rsi
        ; mov rbp, [r12 + FP]
    );
    restore_args(a);
    // Nothing of the host is visible in r0 and r6 to r9.
    dynasm!(a
        ; .arch x64
        ; xor eax, eax
        ; xor ebx, ebx
        ; xor r13d, r13d
        ; xor r14d, r14d
        ; xor r15d, r15d
        ; call r11
        ; mov [r12 + RET], rax
        ; =>exit
        ; mov rsp, [r12 + HOST_RSP]
        ; pop r15
        ; pop r14
        ; pop r13
        ; pop r12
        ; pop rbx
        ; pop rbp
        ; ret
    );
}

/// The stubs of memory accesses keep all BPF registers, because they stand in for a single machine instruction.
fn memory(a: &mut Asm, stubs: &Stubs, hooks: &Hooks) {
    for (label, hook) in [(stubs.load, hooks.load), (stubs.store, hooks.store), (stubs.atomic, hooks.atomic)] {
        dynasm!(a
            ; .arch x64
            ; =>label
            ; push rax
            ; push rdi
            ; push rsi
            ; push rdx
            ; push rcx
            ; push r8
            ; mov rdi, r12
            ; mov rsi, r11
            ; mov rdx, r10
            ; mov rcx, r9
            ; mov r8, rax
        );
        call_rust(a, hook);
        dynasm!(a
            ; .arch x64
            ; mov r11, rax
            ; pop r8
            ; pop rcx
            ; pop rdx
            ; pop rsi
            ; pop rdi
            ; pop rax
            ; cmp QWORD [r12 + STATUS], 0
            ; jne =>stubs.exit
            ; ret
        );
    }
}

fn calls(a: &mut Asm, stubs: &Stubs, hooks: &Hooks) {
    for (label, hook) in [(stubs.call, hooks.call), (stubs.packet, hooks.packet)] {
        dynasm!(a ; .arch x64 ; =>label);
        save_args(a);
        dynasm!(a
            ; .arch x64
            ; mov [r12 + FP], rbp
            // A tail call that does not happen leaves r0 alone.
            ; mov [r12 + RET], rax
            ; mov rdi, r12
            ; mov esi, r10d
            ; mov edx, r11d
            ; mov rcx, rbx
        );
        call_rust(a, hook);
        restore_args(a);
        dynasm!(a
            ; .arch x64
            ; cmp eax, LEAVE as i32
            ; mov rax, [r12 + RET]
            ; je =>stubs.exit
            ; ja >returning
            ; ret
            ; returning:
            // Drop the return address into the function: its own is next.
            ; add rsp, 8
            ; ret
        );
    }
    dynasm!(a ; .arch x64 ; =>stubs.enter);
    save_args(a);
    dynasm!(a
        ; .arch x64
        ; mov rdi, r12
        ; mov esi, r10d
    );
    call_rust(a, hooks.enter);
    restore_args(a);
    dynasm!(a
        ; .arch x64
        ; test rax, rax
        ; jz =>stubs.exit
        ; mov rbp, rax
        ; ret
        ; =>stubs.leave
        ; mov [r12 + RET], rax
        ; mov rdi, r12
    );
    call_rust(a, hooks.leave);
    dynasm!(a
        ; .arch x64
        ; mov rax, [r12 + RET]
        ; ret
    );
}

fn save_args(a: &mut Asm) {
    dynasm!(a
        ; .arch x64
        ; mov [r12 + ARGS], rdi
        ; mov [r12 + ARGS + 8], rsi
        ; mov [r12 + ARGS + 16], rdx
        ; mov [r12 + ARGS + 24], rcx
        ; mov [r12 + ARGS + 32], r8
    );
}

fn restore_args(a: &mut Asm) {
    dynasm!(a
        ; .arch x64
        ; mov rdi, [r12 + ARGS]
        ; mov rsi, [r12 + ARGS + 8]
        ; mov rdx, [r12 + ARGS + 16]
        ; mov rcx, [r12 + ARGS + 24]
        ; mov r8, [r12 + ARGS + 32]
    );
}

/// Calls a Rust function with an aligned stack; arguments are in place.
fn call_rust(a: &mut Asm, address: usize) {
    dynasm!(a
        ; .arch x64
        ; push rbp
        ; mov rbp, rsp
        ; and rsp, -16
        ; mov rax, QWORD address as i64
        ; call rax
        ; mov rsp, rbp
        ; pop rbp
    );
}
