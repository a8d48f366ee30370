//! Externs: `.kconfig` variables and `.ksyms` functions and variables. Finds them in the symbol table and BTF, lays out the
//! `.kconfig` map, and rewrites their BTF so that the kernel takes it. Values of kernel symbols are found in `ksyms`.

use crate::Error;
use crate::elf::{Elf, Symbol};
use btf::{Btf, Editor, Kind, VarLinkage, essential_name};
use std::collections::{HashMap, HashSet};

/// A scalar kernel configuration value can be stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConfigType {
    Char { signed: bool },
    Bool,
    Int { signed: bool },
    Tristate,
    CharArray,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Config {
        ty: ConfigType,
        size: u32,
        align: u32,
        offset: u32,
    },
    /// Type 0: declared as `void`, only its address is wanted.
    Symbol {
        type_id: u32,
        function: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extern {
    pub name: String,
    pub symbol: usize,
    pub weak: bool,
    pub btf_id: u32,
    pub what: What,
}

impl Extern {
    /// Name in the kernel: functions may carry a flavour.
    pub(crate) fn kernel_name(&self) -> &str {
        essential_name(&self.name)
    }

    fn rank(&self) -> (u8, std::cmp::Reverse<u32>, u32) {
        match self.what {
            What::Config { size, align, .. } => (0, std::cmp::Reverse(align), size),
            What::Symbol { .. } => (1, std::cmp::Reverse(0), 0),
        }
    }
}

/// All externs, in libbpf's order (it numbers unresolved ones by it).
#[derive(Debug)]
pub(crate) struct Externs {
    pub list: Vec<Extern>,
    pub by_symbol: HashMap<usize, usize>,
    pub config_size: u32,
}

/// More than any set of configuration values takes.
const MAX_CONFIG: u32 = 1 << 20;
const KCONFIG: &str = ".kconfig";
const KSYMS: &str = ".ksyms";

/// Finds the externs and changes their BTF (through `edit`) into variables that have a place.
pub(crate) fn collect(elf: &Elf, btf: Option<&Btf>, edit: &mut Option<Editor>) -> Result<Externs, Error> {
    let mut list = Vec::new();
    let sections = btf.map(datasec_of_vars).unwrap_or_default();
    let mut known = HashMap::new();
    for (index, symbol) in elf.symbols.iter().enumerate() {
        if !symbol.is_extern() || symbol.name.is_empty() {
            continue;
        }
        let Some(btf) = btf else {
            return Err(Error::external(symbol.name, "undefined symbol, and the object has no BTF to say what it is"));
        };
        let declared = *known.entry(symbol.name).or_insert_with(|| declaration(btf, symbol.name));
        list.push(read(btf, &sections, declared, symbol, index)?);
    }
    list.sort_by(|a, b| a.rank().cmp(&b.rank()).then_with(|| a.name.cmp(&b.name)));
    let mut size = 0u32;
    for ext in &mut list {
        if let What::Config { size: bytes, align, ref mut offset, .. } = ext.what {
            let too_big = || Error::section(KCONFIG, "is too large");
            *offset = size.checked_next_multiple_of(align.max(1)).ok_or_else(too_big)?;
            size = offset.checked_add(bytes).filter(|&s| s <= MAX_CONFIG).ok_or_else(too_big)?;
        }
    }
    let by_symbol = list.iter().enumerate().map(|(i, e)| (e.symbol, i)).collect();
    let externs = Externs { list, by_symbol, config_size: size };
    if let (Some(btf), Some(edit)) = (btf, edit.as_mut()) {
        rewrite(btf, edit, &externs)?;
    }
    Ok(externs)
}

/// Which DATASEC lists a variable or function.
fn datasec_of_vars(btf: &Btf) -> HashMap<u32, u32> {
    let mut of = HashMap::new();
    for id in 1..btf.len() {
        if btf.kind(id) == Some(Kind::Datasec) {
            for var in btf.vars(id) {
                of.entry(var.type_id).or_insert(id);
            }
        }
    }
    of
}

/// The variable or function of a name.
fn declaration(btf: &Btf, name: &str) -> Option<u32> {
    btf.find_by_name(name).find(|&id| matches!(btf.kind(id), Some(Kind::Var | Kind::Func)))
}

fn read(
    btf: &Btf,
    sections: &HashMap<u32, u32>,
    declared: Option<u32>,
    symbol: &Symbol,
    index: usize,
) -> Result<Extern, Error> {
    let name = symbol.name;
    let bad = |problem: &str| Err(Error::external(name, problem));
    let Some(btf_id) = declared else { return bad("not declared in BTF") };
    let declared = match btf.kind(btf_id) {
        Some(Kind::Func) => btf.ty(btf_id).and_then(|t| t.func_linkage()) == Some(btf::FuncLinkage::Extern),
        _ => btf.var_linkage(btf_id) == Some(VarLinkage::Extern),
    };
    if !declared {
        return bad("BTF does not say that it is extern");
    }
    let Some(&section) = sections.get(&btf_id) else { return bad("not listed in a BTF section (.kconfig or .ksyms)") };
    let type_id = btf.ty(btf_id).map_or(0, |t| t.size_or_type);
    let what = match btf.name(section) {
        KCONFIG => {
            let Some((ty, size)) = config_type(btf, type_id) else { return bad("type is not supported in .kconfig") };
            let Some(align) = btf.align_of(type_id).filter(|&a| a > 0) else { return bad("has no alignment") };
            What::Config { ty, size, align, offset: 0 }
        }
        KSYMS => {
            let function = btf.kind(btf_id) == Some(Kind::Func);
            let Some(type_id) = btf.skip_mods_and_typedefs(type_id) else { return bad("has a cyclic type") };
            What::Symbol { type_id, function }
        }
        other => return Err(Error::external(name, format!("externs in section `{other}` are not supported"))),
    };
    Ok(Extern { name: name.to_owned(), symbol: index, weak: symbol.is_weak(), btf_id, what })
}

fn config_type(btf: &Btf, id: u32) -> Option<(ConfigType, u32)> {
    let (id, ty) = btf.resolve(id)?;
    let size = btf.resolve_size(id).filter(|&s| s > 0)?;
    let kind = match ty.kind() {
        Kind::Int => {
            let int = btf.int(id)?;
            match size {
                1 if int.is_bool => ConfigType::Bool,
                _ if int.is_bool => return None,
                1 => ConfigType::Char { signed: int.signed },
                2 | 4 | 8 => ConfigType::Int { signed: int.signed },
                _ => return None,
            }
        }
        Kind::Enum | Kind::Enum64 if size == 4 && btf.name(id) == "libbpf_tristate" => ConfigType::Tristate,
        Kind::Array => match config_type(btf, btf.array(id)?.elem)?.0 {
            ConfigType::Char { .. } => ConfigType::CharArray,
            _ => return None,
        },
        _ => return None,
    };
    Some((kind, size))
}

/// The first 32-bit integer, or a new one.
fn int_id(btf: &Btf, edit: &mut Editor) -> u32 {
    let found = (1..btf.len()).find(|&id| btf.int(id).is_some_and(|i| i.bits == 32));
    found.unwrap_or_else(|| {
        let name = edit.add_string("int");
        edit.add_type(name, Kind::Int, 0, 4, &[1 << 24 | 32])
    })
}

/// Words of a DATASEC's record: fixed part, then type, offset and size of each variable.
const FIXED: usize = 3;

fn rewrite(btf: &Btf, edit: &mut Editor, externs: &Externs) -> Result<(), Error> {
    let by_name: HashMap<&str, &Extern> = externs.list.iter().map(|e| (e.name.as_str(), e)).collect();
    let of = |id: u32| {
        let name = btf.name(id);
        by_name.get(name).copied().ok_or_else(|| Error::external(name, "declared in BTF, but there is no such symbol"))
    };
    if let Some(sec) = btf.find(Kind::Datasec, KSYMS) {
        rewrite_ksyms(btf, edit, sec, externs, &of)?;
    }
    if externs.list.is_empty() {
        return Ok(());
    }
    if let Some(sec) = btf.find(Kind::Datasec, KCONFIG) {
        edit.set_word(sec, 2, externs.config_size);
        for (i, var) in btf.vars(sec).enumerate() {
            if let What::Config { offset, .. } = of(var.type_id)?.what {
                edit.set_word(sec, FIXED + i * 3 + 1, offset);
                edit.set_word(var.type_id, 3, 1);
            }
        }
    }
    Ok(())
}

/// The kernel knows neither extern functions in a DATASEC nor extern variables: functions become a dummy variable, variables
/// become plain ints.
fn rewrite_ksyms<'a>(
    btf: &Btf,
    edit: &mut Editor,
    sec: u32,
    externs: &Externs,
    of: &impl Fn(u32) -> Result<&'a Extern, Error>,
) -> Result<(), Error> {
    let is_func = |id| btf.kind(id) == Some(Kind::Func);
    let has_func = btf.vars(sec).any(|v| is_func(v.type_id));
    if !has_func && externs.list.is_empty() {
        return Ok(());
    }
    let int = int_id(btf, edit);
    let mut dummy = (0, 0);
    if has_func {
        let name = edit.add_string("dummy_ksym");
        dummy = (edit.add_type(name, Kind::Var, 0, int, &[1]), name);
    }
    if externs.list.is_empty() {
        return Ok(());
    }
    let mut offset = 0;
    let mut named = HashSet::new();
    for (i, var) in btf.vars(sec).enumerate() {
        of(var.type_id)?;
        let at = FIXED + i * 3;
        if is_func(var.type_id) {
            edit.set_word(sec, at, dummy.0);
            let info = edit.word(var.type_id, 1).unwrap_or(0);
            edit.set_word(var.type_id, 1, info & !0xffff | 1);
            let proto = btf.ty(var.type_id).map_or(0, |t| t.size_or_type);
            // Prototypes are shared by functions.
            let params = if named.insert(proto) { proto } else { 0 };
            for (j, param) in btf.params(params).enumerate() {
                if param.type_id != 0 && param.name_off == 0 {
                    edit.set_word(proto, FIXED + j * 2, dummy.1);
                }
            }
        } else {
            edit.set_word(var.type_id, 3, 1);
            edit.set_word(var.type_id, 2, int);
        }
        edit.set_word(sec, at + 1, offset);
        edit.set_word(sec, at + 2, 4);
        offset += 4;
    }
    edit.set_word(sec, 2, offset);
    Ok(())
}
