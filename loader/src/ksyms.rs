//! Kernel symbols that a program refers to: functions (kfuncs) and typed variables by BTF id, others by address.

use crate::externs::{Extern, What};
use crate::{Error, Options};
use btf::core::kinds_compatible;
use btf::{Btf, Kind};

/// What a symbol came out as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symbol {
    BtfId(u32),
    Address(u64),
    /// Weak, and the kernel has none that fits.
    Missing,
}

/// Stands in for the address of a symbol that the kernel has, when no list of addresses is given. Lies where x86-64 kernels do.
const SOME_ADDRESS: u64 = 0xffff_ffff_8100_0000;

pub(crate) fn resolve(local: &Btf, ext: &Extern, target: Option<&Btf>, options: &Options) -> Result<Symbol, Error> {
    let What::Symbol { type_id, function } = ext.what else { return Ok(Symbol::Missing) };
    if type_id == 0 && !function {
        return address(ext, target, options);
    }
    let Some(target) = target else {
        return Err(Error::external(&ext.name, "needs the kernel's BTF"));
    };
    let (name, kind) = if function { (ext.kernel_name(), Kind::Func) } else { (ext.name.as_str(), Kind::Var) };
    let Some(id) = target.find(kind, name) else {
        return match ext.weak {
            true => Ok(Symbol::Missing),
            false => Err(Error::MissingSymbol { name: ext.name.clone(), kind: noun(function) }),
        };
    };
    if target.base().is_some() && id >= target.first_own_id() {
        return Err(Error::external(
            &ext.name,
            "belongs to a kernel module; only the kernel's own symbols are supported",
        ));
    }
    let there = target.ty(id).map_or(0, |t| t.size_or_type);
    let there = if function { there } else { target.skip_mods_and_typedefs(there).unwrap_or(0) };
    if btf::core::types_compatible(local, type_id, target, there) {
        return Ok(Symbol::BtfId(id));
    }
    if ext.weak && function {
        return Ok(Symbol::Missing);
    }
    let kinds = local.kind(type_id).zip(target.kind(there));
    let why = match kinds {
        Some((a, b)) if !kinds_compatible(a, b) => format!("is declared as {a:?}, but the kernel has {b:?}"),
        _ => "is declared with another type than the kernel has".to_owned(),
    };
    Err(Error::external(&ext.name, why))
}

fn noun(function: bool) -> &'static str {
    if function { "func" } else { "var" }
}

fn address(ext: &Extern, target: Option<&Btf>, options: &Options) -> Result<Symbol, Error> {
    if let Some(list) = &options.kallsyms {
        return match list.get(&ext.name) {
            Some(&address) => Ok(Symbol::Address(address)),
            None if ext.weak => Ok(Symbol::Address(0)),
            None => Err(Error::external(&ext.name, "(strong) is no symbol of the kernel")),
        };
    }
    let known =
        target.is_some_and(|t| t.find_by_name(&ext.name).any(|id| matches!(t.kind(id), Some(Kind::Func | Kind::Var))));
    // Without addresses, a strong symbol is taken to exist, and a weak one when BTF knows it.
    Ok(Symbol::Address(if known || !ext.weak { SOME_ADDRESS } else { 0 }))
}
