//! Instruction text against what a kernel printed, from a table of recorded pairs.

use isa::{Insn, Names};

struct Recorded;

impl Names for Recorded {
    fn helper(&self, id: i32) -> Option<&str> {
        match id {
            0 => Some("bpf_unspec"),
            1 => Some("bpf_map_lookup_elem"),
            7 => Some("bpf_get_prandom_u32"),
            211 => Some("bpf_cgrp_storage_delete"),
            _ => None,
        }
    }

    fn kfunc(&self, id: i32, _off: i16) -> Option<&str> {
        (id == 0).then_some("")
    }
}

#[test]
fn text_is_the_kernels() {
    let mut forms = std::collections::HashSet::new();
    for line in include_str!("kernel_text.txt").lines().filter(|l| !l.starts_with('#')) {
        let (hex, text) = line.split_once(' ').expect("two columns");
        let slots: Vec<Insn> = (0..hex.len() / 16)
            .map(|i| {
                let word = u64::from_str_radix(&hex[16 * i..16 * (i + 1)], 16).expect("hexadecimal");
                Insn::from_bytes(word.to_be_bytes())
            })
            .collect();
        assert_eq!(isa::disasm(&slots, 0, &Recorded), text, "{hex}");
        forms.insert(isa::classify(slots[0]));
    }
    // All but the 64-bit immediates that refer to something (shown as addresses) or to nothing (refused before the log).
    assert_eq!(forms.iter().flatten().count(), isa::Op::all().count() - 7);
}
