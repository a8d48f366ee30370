//! Kernel functions that are modelled, by name. Not here: which programs may call them (verifier).

use std::sync::Arc;

use crate::helper::HelperFn;
use crate::image::Meaning;

/// What a kfunc call in a program means. `insn.imm` is a BTF id of the kernel, `insn.off` 0 for vmlinux.
pub fn resolve(insn: isa::Insn, vmlinux: Option<&btf::Btf>) -> Meaning {
    if insn.off != 0 {
        return Meaning::Missing(format!("kfunc #{} of a module", insn.imm).into());
    }
    let Some(btf) = vmlinux else {
        return Meaning::Missing(format!("kfunc #{}: the kernel's BTF is needed to know its name", insn.imm).into());
    };
    let name: Arc<str> = btf.name(insn.imm as u32).into();
    match by_name(&name) {
        Some(function) => Meaning::Kfunc { name, function },
        None => Meaning::Missing(format!("kfunc {name}").into()),
    }
}

/// The function behind a kfunc's name.
pub fn by_name(_name: &str) -> Option<HelperFn> {
    None
}
