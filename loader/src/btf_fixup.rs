//! What compilers leave open in BTF and the kernel wants closed: sizes and offsets in DATASECs, visibility of functions and
//! variables. Externs are `externs`' matter.

use crate::Error;
use crate::elf::{Elf, Symbol};
use btf::{Btf, Editor, Kind, VarLinkage};
use std::collections::{HashMap, HashSet};

/// Words of a DATASEC's record before its variables.
const FIXED: usize = 3;

/// Fills DATASECs from the symbol table and sorts their variables by offset.
pub(crate) fn datasecs(elf: &Elf, btf: &Btf, edit: &mut Editor) -> Result<(), Error> {
    let is_variable = |s: &&Symbol| s.is_object() && !s.is_local();
    let mut variables: HashMap<&str, &Symbol> = HashMap::new();
    for symbol in elf.symbols.iter().filter(is_variable) {
        variables.entry(symbol.name).or_insert(symbol);
    }
    let mut sizes: HashMap<&str, u64> = HashMap::new();
    for section in &elf.sections {
        sizes.entry(section.name).or_insert(section.size);
    }
    for id in 1..btf.len() {
        let Some(ty) = btf.ty(id).filter(|t| t.kind() == Kind::Datasec) else { continue };
        let name = btf.string(ty.name_off);
        if !matches!(name, ".kconfig" | ".ksyms") {
            let known = ty.size_or_type != 0;
            if !known {
                let size = sizes.get(name).and_then(|&s| u32::try_from(s).ok()).filter(|&s| s > 0);
                let Some(size) = size else {
                    return Err(Error::section(name, "BTF lists variables of a section that is empty or not there"));
                };
                edit.set_word(id, 2, size);
            }
            place_variables(btf, edit, id, name, &variables, known)?;
        }
        sort_variables(edit, id, ty.vlen());
    }
    Ok(())
}

fn place_variables(
    btf: &Btf,
    edit: &mut Editor,
    sec: u32,
    name: &str,
    variables: &HashMap<&str, &Symbol>,
    known: bool,
) -> Result<(), Error> {
    for (i, var) in btf.vars(sec).enumerate() {
        match btf.var_linkage(var.type_id) {
            None => {
                return Err(Error::section(name, format!("BTF type [{}] listed there is no variable", var.type_id)));
            }
            Some(VarLinkage::Static | VarLinkage::Extern) => continue,
            Some(_) => {}
        }
        let var_name = btf.name(var.type_id);
        let Some(symbol) = variables.get(var_name) else {
            return Err(Error::section(name, format!("no ELF symbol for the variable `{var_name}` of BTF")));
        };
        if !known {
            edit.set_word(sec, FIXED + i * 3 + 1, symbol.value as u32);
        }
        if symbol.hidden {
            edit.set_word(var.type_id, 3, 0);
        }
    }
    Ok(())
}

fn sort_variables(edit: &mut Editor, sec: u32, vars: usize) {
    let word = |edit: &Editor, i: usize| edit.word(sec, FIXED + i).unwrap_or(0);
    let mut rows: Vec<[u32; 3]> =
        (0..vars).map(|i| [word(edit, i * 3), word(edit, i * 3 + 1), word(edit, i * 3 + 2)]).collect();
    if rows.is_sorted_by_key(|r| r[1]) {
        return;
    }
    rows.sort_by_key(|r| r[1]);
    for (i, row) in rows.iter().enumerate() {
        for (j, &value) in row.iter().enumerate() {
            edit.set_word(sec, FIXED + i * 3 + j, value);
        }
    }
}

/// Functions hidden from other objects are verified with their callers, as static ones are.
pub(crate) fn hidden_functions<'a>(btf: &Btf, edit: &mut Editor, names: impl Iterator<Item = &'a str>) {
    let names: HashSet<&str> = names.collect();
    for name in names {
        if let Some(id) = btf.find(Kind::Func, name) {
            edit.set_word(id, 1, (Kind::Func as u32) << 24);
        }
    }
}
