//! Instructions to text, byte for byte as the kernel's verifier log has it. Malformed instructions have a text too: the log
//! prints before it judges. Names of functions and addresses of maps come from the caller.

use std::fmt::Write;

use crate::consts::{BPF_LD, BPF_LDX, BPF_ST, LDIMM64, class};
use crate::decode::{classify, slots};
use crate::{Insn, Kind, Pseudo};

/// What the text needs from outside the instruction set. Every method may answer `None`.
pub trait Names {
    /// Full name (`bpf_map_lookup_elem`); without one the text is `unknown#ID`, as for helpers that the kernel does not know.
    fn helper(&self, _id: i32) -> Option<&str> {
        None
    }

    /// Name of a kfunc by BTF id and BTF object (the off field). The kernel prints an empty name for id 0.
    fn kfunc(&self, _id: i32, _off: i16) -> Option<&str> {
        None
    }

    /// Value that a 64-bit immediate other than a constant is printed as: the kernel's log shows resolved addresses. Without
    /// one the text says what the immediate refers to (`r1 = map[0]`), which the assembler reads back without loss.
    fn imm64(&self, _idx: usize, _pseudo: Pseudo, _imm: i32, _imm2: i32) -> Option<u64> {
        None
    }
}

/// Knows nothing: helpers are `unknown#1`, kfuncs `kfunc#1`, maps `map[1]`. The assembler reads all of it back.
pub struct Plain;

impl Names for Plain {}

/// The text of slot `idx` with its opcode: `(bf) r6 = r1`. Empty outside the program.
pub fn disasm(insns: &[Insn], idx: usize, names: &(impl Names + ?Sized)) -> String {
    let mut out = String::with_capacity(40);
    write_disasm(&mut out, insns, idx, names);
    out
}

/// The text of slot `idx` without its opcode: `r6 = r1`.
pub fn text(insns: &[Insn], idx: usize, names: &(impl Names + ?Sized)) -> String {
    let mut out = String::with_capacity(40);
    write_text(&mut out, insns, idx, names);
    out
}

/// The program as a listing, one line per instruction: `0: (bf) r6 = r1`.
pub fn disasm_program(insns: &[Insn], names: &(impl Names + ?Sized)) -> String {
    let mut out = String::with_capacity(insns.len() * 32);
    let mut idx = 0;
    while idx < insns.len() {
        put(&mut out, format_args!("{idx}: "));
        write_disasm(&mut out, insns, idx, names);
        out.push('\n');
        idx += slots(insns, idx);
    }
    out
}

// Writing to a String cannot fail.
fn put(out: &mut String, args: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(args);
}

fn write_disasm(out: &mut String, insns: &[Insn], idx: usize, names: &(impl Names + ?Sized)) {
    let Some(insn) = insns.get(idx) else { return };
    if classify(*insn).is_some() {
        put(out, format_args!("({:02x}) ", insn.code));
    }
    write_text(out, insns, idx, names);
}

fn write_text(out: &mut String, insns: &[Insn], idx: usize, names: &(impl Names + ?Sized)) {
    let Some(insn) = insns.get(idx).copied() else { return };
    let Some(op) = classify(insn) else {
        let class = match class(insn.code) {
            BPF_LD => "ld_",
            BPF_LDX => "ldx_",
            BPF_ST => "st_",
            _ => "",
        };
        put(out, format_args!("BUG_{class}{:02x}", insn.code));
        return;
    };
    let imm2 = if insn.code == LDIMM64 { insns.get(idx + 1).map_or(0, |i| i.imm) } else { 0 };
    let imm64 = u64::from(insn.imm as u32) | (u64::from(imm2 as u32) << 32);
    if let Kind::LdImm64(pseudo) = op.kind()
        && pseudo != Pseudo::Const
        && let Some(value) = names.imm64(idx, pseudo, insn.imm, imm2)
    {
        put(out, format_args!("r{} = {value:#x}", insn.dst));
        return;
    }
    let mut rest = op.row().text;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let hole = rest.as_bytes().get(open + 1).copied().unwrap_or(b'}');
        rest = rest.get(open + 3..).unwrap_or("");
        match hole {
            b'd' => put(out, format_args!("{}", insn.dst)),
            b's' => put(out, format_args!("{}", insn.src)),
            b'o' => put(out, format_args!("{:+}", insn.off)),
            b'j' => put(out, format_args!("pc{:+}", insn.off)),
            b'J' | b'f' => put(out, format_args!("pc{:+}", insn.imm)),
            b'x' => put(out, format_args!("{:#x}", insn.imm)),
            b'q' => put(out, format_args!("{imm64:#x}")),
            b'v' => put(out, format_args!("{}", imm2 as u32)),
            b'h' => put(out, format_args!("{}", insn.imm as u32 >> 16)),
            b'l' => put(out, format_args!("{}", insn.imm as u32 & 0xffff)),
            b'n' => put(out, format_args!("{}#{}", names.helper(insn.imm).unwrap_or("unknown"), insn.imm)),
            b'k' => put(out, format_args!("{}#{}", names.kfunc(insn.imm, insn.off).unwrap_or("kfunc"), insn.imm)),
            _ => put(out, format_args!("{}", insn.imm)),
        }
    }
    out.push_str(rest);
}
