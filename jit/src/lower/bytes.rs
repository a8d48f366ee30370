//! Moves that change the representation: sign extension, byte order, address spaces.

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use isa::{ByteOrder, Cast, Decoded, Size, Width};

use crate::emit::Emitter;
use crate::regs::reg;

pub(super) fn sign_extend(e: &mut Emitter<'_>, d: &Decoded, width: Width, from: Size) {
    let (dst, src) = (reg(d.dst), reg(d.src));
    match (width, from) {
        (Width::W64, Size::B8) => dynasm!(e.a ; .arch x64 ; movsx Rq(dst), Rb(src)),
        (Width::W64, Size::B16) => dynasm!(e.a ; .arch x64 ; movsx Rq(dst), Rw(src)),
        (Width::W64, _) => dynasm!(e.a ; .arch x64 ; movsxd Rq(dst), Rd(src)),
        (Width::W32, Size::B8) => dynasm!(e.a ; .arch x64 ; movsx Rd(dst), Rb(src)),
        (Width::W32, Size::B16) => dynasm!(e.a ; .arch x64 ; movsx Rd(dst), Rw(src)),
        (Width::W32, _) => dynasm!(e.a ; .arch x64 ; mov Rd(dst), Rd(src)),
    }
}

pub(super) fn byte_order(e: &mut Emitter<'_>, d: &Decoded, order: ByteOrder, size: Size) {
    let dst = reg(d.dst);
    match (order, size) {
        (ByteOrder::Le, Size::B64) | (_, Size::B8) => {}
        (ByteOrder::Le, Size::B32) => dynasm!(e.a ; .arch x64 ; mov Rd(dst), Rd(dst)),
        (ByteOrder::Le, Size::B16) => dynasm!(e.a ; .arch x64 ; movzx Rd(dst), Rw(dst)),
        (_, Size::B16) => dynasm!(e.a ; .arch x64 ; ror Rw(dst), 8 ; movzx Rd(dst), Rw(dst)),
        (_, Size::B32) => dynasm!(e.a ; .arch x64 ; bswap Rd(dst)),
        (_, Size::B64) => dynasm!(e.a ; .arch x64 ; bswap Rq(dst)),
    }
}

pub(super) fn cast(e: &mut Emitter<'_>, d: &Decoded, to: Cast) {
    let (dst, src) = (reg(d.dst), reg(d.src));
    dynasm!(e.a ; .arch x64 ; mov Rd(dst), Rd(src));
    if to == Cast::User {
        let done = e.a.new_dynamic_label();
        let upper = e.source.arena_base & !0xffff_ffff;
        dynasm!(e.a
            ; .arch x64
            ; test Rd(dst), Rd(dst)
            ; jz =>done
            ; mov r11, QWORD upper as i64
            ; or Rq(dst), r11
            ; =>done
        );
    }
}
