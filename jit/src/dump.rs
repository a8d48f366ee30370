//! BPF beside the x86 that it became, for people; also how tests look at encodings.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter};
use runtime::{Image, Meaning};

use crate::Compiled;

/// Names of what a program calls, for its text.
#[derive(Debug, Default)]
pub(crate) struct CalledNames {
    helpers: BTreeMap<i32, String>,
    kfuncs: BTreeMap<(i32, i16), Arc<str>>,
}

impl CalledNames {
    pub(crate) fn of(image: &Image) -> Self {
        let mut names = Self::default();
        for (insn, meaning) in image.insns.iter().zip(&image.meaning) {
            match meaning {
                Meaning::Helper { name, .. } => {
                    names.helpers.entry(insn.imm).or_insert_with(|| format!("bpf_{name}"));
                }
                Meaning::Kfunc { name, .. } => {
                    names.kfuncs.insert((insn.imm, insn.off), name.clone());
                }
                _ => {}
            }
        }
        names
    }
}

impl isa::Names for CalledNames {
    fn helper(&self, id: i32) -> Option<&str> {
        self.helpers.get(&id).map(String::as_str)
    }

    fn kfunc(&self, id: i32, off: i16) -> Option<&str> {
        self.kfuncs.get(&(id, off)).map(|n| &**n)
    }
}

/// One block per BPF instruction: its text, then its machine code. Code that belongs to no instruction alone (failed checks,
/// faults) comes last; the stubs, which are the same in all programs, are left out.
pub fn dump(compiled: &Compiled) -> String {
    let inner = &*compiled.0;
    let mut out = String::new();
    let mut slot = 0;
    while slot < inner.insns.len() {
        let next = slot + isa::slots(&inner.insns, slot);
        let start = inner.entries.get(slot).copied().unwrap_or(inner.tail);
        let end = inner.entries.get(next).copied().unwrap_or(inner.tail);
        put(&mut out, format_args!("{slot}: {}\n", isa::disasm(&inner.insns, slot, &inner.names)));
        machine_code(&mut out, inner.code.bytes(), start, end);
        slot = next;
    }
    out.push_str("out of line:\n");
    machine_code(&mut out, inner.code.bytes(), inner.tail, inner.code.bytes().len() as u32);
    out
}

fn machine_code(out: &mut String, code: &[u8], start: u32, end: u32) {
    let Some(bytes) = code.get(start as usize..end as usize) else { return };
    let mut formatter = IntelFormatter::new();
    formatter.options_mut().set_hex_prefix("0x");
    formatter.options_mut().set_hex_suffix("");
    formatter.options_mut().set_uppercase_hex(false);
    formatter.options_mut().set_branch_leading_zeros(false);
    let mut decoder = Decoder::with_ip(64, bytes, start.into(), DecoderOptions::NONE);
    let mut insn = Instruction::default();
    let mut text = String::new();
    while decoder.can_decode() {
        decoder.decode_out(&mut insn);
        text.clear();
        formatter.format(&insn, &mut text);
        put(out, format_args!("    {:5x}  {text}\n", insn.ip()));
    }
}

// Writing to a String cannot fail.
fn put(out: &mut String, args: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(args);
}
