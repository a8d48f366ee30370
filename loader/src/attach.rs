//! The BTF id of what a program attaches to, looked up in the kernel's BTF.

use crate::section_name::Target;
use btf::{Btf, Kind};

/// Finds the id for a program whose section names `rest` as its target. `Ok(0)` for programs that need none.
pub(crate) fn btf_id(target: Target, rest: &str, section: &str, kernel: Option<&Btf>) -> Result<u32, String> {
    let Target::Btf { prefix, typedef } = target else { return Ok(0) };
    if !section.contains('/') {
        return Err("its section names no attach target, expected `TYPE/TARGET`".into());
    }
    let Some(kernel) = kernel else { return Err("finding its attach target needs the kernel's BTF".into()) };
    // `module:function` names the module whose BTF has it.
    let (module, name) = rest.rsplit_once(':').map_or((None, rest), |(module, name)| (Some(module), name));
    let kind = if typedef { Kind::Typedef } else { Kind::Func };
    let wanted = format!("{prefix}{name}");
    kernel.find(kind, &wanted).ok_or_else(|| match module {
        Some(module) => format!("attach target `{name}` of module `{module}`: modules' BTF is not looked at"),
        None => format!("attach target `{name}`: the kernel's BTF has no `{wanted}`"),
    })
}
