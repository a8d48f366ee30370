//! Writes down which program of a kernel is offered which helper and kfunc, in the format of `offers.txt` that `spec::offers` reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::Result;
use btf::Kind;
use spec::Profile;
use spec::helper;
use spec::prog::ProgType;

use super::code;
use super::helpers;
use super::record;
use super::subjects::{self, Subject};
use super::sys::Kernel;

const HEAD: &str = "\
# Which program may call which helper and kfunc, as the kernel itself answered; with every capability and a GPL license.
# A line \"= LABEL...\" is a column, in order; LABEL is TYPE, optionally @attach-type-numbers, then /target, then :sleepable. The most
# specific label that fits a program is its column. A row is `helper NUMBER NAME CELLS` or `kfunc NAME CELLS`, one letter per column:
# . no, + yes, s yes in a program that may sleep, ? not found out.
";

/// The answers to one program, a letter per helper and kfunc.
type Cells = Vec<u8>;

pub fn text(kernel: &mut Kernel, profile: &Profile) -> Result<String> {
    let kfuncs: Vec<(&str, u32)> = record::kfuncs(profile)
        .into_iter()
        .filter_map(|name| Some((name, profile.btf().find(Kind::Func, name)?)))
        .collect();
    let mut asked = Vec::new();
    for subject in subjects(profile) {
        if kernel.load(&subject.load(&code::returning(subject.good_return()), 1)).errno == 0 {
            let mut cells: Cells = (1..helper::COUNT).map(|id| helper_cell(kernel, &subject, id)).collect();
            cells.extend(kfuncs.iter().map(|&(_, id)| kfunc_cell(kernel, &subject, id)));
            asked.push((subject, cells));
        }
    }
    let columns = columns(&asked);
    let mut out = HEAD.to_owned();
    for (labels, _) in &columns {
        writeln!(out, "= {}", labels.join(" "))?;
    }
    let row = |i: usize| columns.iter().map(|(_, cells)| char::from(cells[i])).collect::<String>();
    let offered = |cells: &str| cells.contains(['+', 's']);
    for (i, id) in (1..helper::COUNT).enumerate() {
        let cells = row(i);
        if offered(&cells) {
            writeln!(out, "helper {id} {} {cells}", helper::log_name(id).unwrap_or("?"))?;
        }
    }
    for (i, (name, _)) in kfuncs.iter().enumerate() {
        // One that nobody is offered has a row too: it exists.
        writeln!(out, "kfunc {name} {}", row(helper::COUNT as usize - 1 + i))?;
    }
    Ok(out)
}

/// One program per column of 6.18's table, and one per attach type of types that look at it.
fn subjects(profile: &Profile) -> Vec<Subject> {
    let mut found = subjects::few(profile);
    let has = |found: &[Subject], s: &Subject| {
        found.iter().any(|f| {
            (f.prog.prog_type, f.prog.attach_type, f.prog.target)
                == (s.prog.prog_type, s.prog.attach_type, s.prog.target)
        })
    };
    for subject in subjects::all(profile) {
        let many = matches!(
            subject.prog.prog_type,
            ProgType::SockOps | ProgType::CgroupDevice | ProgType::CgroupSysctl | ProgType::Lsm
        );
        if !many && !has(&found, &subject) {
            found.push(subject);
        }
    }
    found
}

fn helper_cell(kernel: &mut Kernel, subject: &Subject, id: u32) -> u8 {
    match helpers::is_offered_to(kernel, subject, id) {
        Ok(true) => b'+',
        Ok(false) => b'.',
        Err(_) => b'?',
    }
}

fn kfunc_cell(kernel: &mut Kernel, subject: &Subject, id: u32) -> u8 {
    let [value, exit] = code::returning(subject.good_return());
    let insns = [code::call_kfunc(id), value, exit];
    let answer = kernel.load(&subject.load(&insns, 1));
    let log = answer.log;
    if log.contains("is not allowed") {
        b'.'
    } else if log.contains("program must be sleepable") {
        b's'
    } else if answer.errno == 0 || log.contains("(85) call") {
        b'+'
    } else {
        b'?'
    }
}

/// Columns with their labels: a type's most frequent answers need no more than its name, an attach type's no target.
fn columns(asked: &[(Subject, Cells)]) -> Vec<(Vec<String>, &Cells)> {
    let mut types: BTreeMap<u32, Vec<&(Subject, Cells)>> = BTreeMap::new();
    for a in asked {
        types.entry(a.0.prog.prog_type.raw()).or_default().push(a);
    }
    let mut columns: Vec<(Vec<String>, &Cells)> = Vec::new();
    let mut put = |label: String, cells| match columns.iter_mut().find(|c| c.1 == cells) {
        Some(column) => column.0.push(label),
        None => columns.push((vec![label], cells)),
    };
    for of_type in types.values() {
        let Some(default) = most_frequent(of_type) else { continue };
        let ty = of_type[0].0.prog.prog_type;
        put(ty.to_string(), default);
        let attach_of = |a: &&(Subject, Cells)| a.0.prog.attach_type;
        let mut by_cells: BTreeMap<&Cells, BTreeSet<u32>> = BTreeMap::new();
        // A member's number is the kernel's own affair; its name is the target.
        let attach_types: BTreeSet<u32> =
            if ty == ProgType::StructOps { BTreeSet::new() } else { of_type.iter().map(attach_of).collect() };
        for attach in attach_types {
            let same: Vec<_> = of_type.iter().copied().filter(|a| attach_of(a) == attach).collect();
            let Some(cells) = most_frequent(&same) else { continue };
            if cells != default {
                by_cells.entry(cells).or_default().insert(attach);
            }
            for other in same.iter().filter(|a| &a.1 != cells) {
                let (target, sleepable) = (other.0.prog.target, other.0.prog.sleepable);
                let slash = if target.is_empty() { "" } else { "/" };
                let colon = if sleepable { ":sleepable" } else { "" };
                put(format!("{ty}@{attach}{slash}{target}{colon}"), &other.1);
            }
        }
        for (cells, attach) in by_cells {
            let numbers = attach.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            put(format!("{ty}@{numbers}"), cells);
        }
        if ty == ProgType::StructOps {
            for other in of_type.iter().filter(|a| &a.1 != default) {
                put(format!("{ty}/{}", other.0.prog.target), &other.1);
            }
        }
    }
    columns
}

fn most_frequent<'a>(asked: &[&'a (Subject, Cells)]) -> Option<&'a Cells> {
    let count = |cells: &Cells| asked.iter().filter(|a| &a.1 == cells).count();
    // Of equals the first asked.
    asked.iter().rev().max_by_key(|a| count(&a.1)).map(|a| &a.1)
}
