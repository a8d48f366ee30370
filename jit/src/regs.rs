//! Where BPF registers live: one to one in machine registers, the same ones that Linux uses, so that arguments of calls are in
//! place. What instructions do with them is in `lower`.

/// Machine numbers of r0 to r10: rax, rdi, rsi, rdx, rcx, r8, rbx, r13, r14, r15, rbp.
const MAP: [u8; 11] = [0, 7, 6, 2, 1, 8, 3, 13, 14, 15, 5];

pub(crate) const RAX: u8 = 0;
pub(crate) const RCX: u8 = 1;
pub(crate) const RDX: u8 = 2;
/// Scratch: values to store, saved rax.
pub(crate) const R9: u8 = 9;
/// Scratch: addresses.
pub(crate) const R10: u8 = 10;
/// Scratch: everything else.
pub(crate) const R11: u8 = 11;
/// The address of the `State`, always.
pub(crate) const R12: u8 = 12;

/// The machine register of a BPF register. Decoded instructions have none beyond r10.
pub(crate) fn reg(bpf: u8) -> u8 {
    MAP.get(usize::from(bpf)).copied().unwrap_or(R11)
}
