//! Writes down which program of a kernel is offered which helper and kfunc, in the format of `offers.txt` that `spec::offers` reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::Result;
use btf::Kind;
use spec::Profile;
use spec::helper::{self, HelperAvail, HelperId, Need, Proto};
use spec::kfunc;
use spec::profile::Caps;
use spec::prog::ProgType;

use super::code;
use super::helper_args::{self, Maps};
use super::helpers;
use super::record;
use super::subjects::{self, Subject};
use super::sys::{Kernel, Load};

const HEAD: &str = "\
# Which program may call which helper and kfunc, as the kernel itself answered.
# A line \"= LABEL...\" is a column, in order; LABEL is TYPE, optionally @attach-type-numbers, then /target, then :sleepable. The most
# specific label that fits a program is its column. A row is `helper NUMBER NAME CELLS` or `kfunc NAME FLAGS CELLS`, one letter per column:
# . no, ? not found out; of helpers a b c that prototype, no capability beyond loading, A B C that prototype with CAP_BPF, P Q R with
# CAP_PERFMON, S T U with CAP_SYS_ADMIN; of kfuncs + yes, s yes in a program that may sleep.
";

/// Whether programs may be loaded without capabilities: 0 is yes.
const UNPRIVILEGED: &str = "/proc/sys/kernel/unprivileged_bpf_disabled";

/// The answers to one program, a letter per helper and kfunc.
type Cells = Vec<u8>;

pub fn text(kernel: &mut Kernel, profile: &Profile) -> Result<String> {
    let marked = record::kfuncs(profile);
    // Not every kfunc is marked as such.
    let names: BTreeSet<&str> = marked.iter().copied().chain(kfunc::all().iter().map(|k| k.name)).collect();
    let kfuncs: Vec<(&str, u32)> =
        names.into_iter().filter_map(|name| Some((name, profile.btf().find(Kind::Func, name)?))).collect();
    let mut asked = Vec::new();
    let maps = Maps::new(kernel)?;
    // Where this cannot be had, nobody without capabilities loads anything.
    let _ = std::fs::write(UNPRIVILEGED, "0");
    for subject in subjects(profile) {
        if loads(kernel, &subject) {
            let mut cells = helper_cells(kernel, profile, &subject, &maps)?;
            cells.extend(kfuncs.iter().map(|&(_, id)| kfunc_cell(kernel, &subject, id)));
            asked.push((subject, cells));
        }
    }
    // Of types with many attach types one of each kind was asked; the others are answered as it was.
    for subject in subjects::all(profile).into_iter().filter(|s| many(s.prog.prog_type) && s.prog.target.is_empty()) {
        let column = |s: &Subject| profile.helpers(s.prog).column_index();
        let same =
            asked.iter().find(|(a, _)| a.prog.prog_type == subject.prog.prog_type && column(a) == column(&subject));
        let Some(cells) = same.filter(|(a, _)| a.prog.attach_type != subject.prog.attach_type).map(|a| a.1.clone())
        else {
            continue;
        };
        asked.push((subject, cells));
    }
    let columns = columns(&asked);
    let mut out = HEAD.to_owned();
    for (labels, _) in &columns {
        writeln!(out, "= {}", labels.join(" "))?;
    }
    let row = |i: usize| columns.iter().map(|(_, cells)| char::from(cells[i])).collect::<String>();
    let offered = |cells: &str| cells.bytes().any(|c| c.is_ascii_alphabetic());
    for (i, id) in (1..helper::COUNT).enumerate() {
        let cells = row(i);
        if offered(&cells) {
            writeln!(out, "helper {id} {} {cells}", helper::log_name(id).unwrap_or("?"))?;
        }
    }
    for (i, (name, _)) in kfuncs.iter().enumerate() {
        let cells = row(helper::COUNT as usize - 1 + i);
        // One that is marked and that nobody is offered has a row too: it exists.
        if marked.contains(name) || cells.contains(['+', 's']) {
            writeln!(out, "kfunc {name} {cells}")?;
        }
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
        if !many(subject.prog.prog_type) && !has(&found, &subject) {
            found.push(subject);
        }
    }
    found
}

/// Whether there are too many programs of the type to ask every one.
fn many(ty: ProgType) -> bool {
    matches!(ty, ProgType::SockOps | ProgType::CgroupDevice | ProgType::CgroupSysctl | ProgType::Lsm)
}

fn loads(kernel: &mut Kernel, subject: &Subject) -> bool {
    kernel.load(&subject.load(&code::returning(subject.good_return()), 1)).errno == 0
}

/// A letter per helper: which prototype the program gets, and which capability it takes.
fn helper_cells(kernel: &mut Kernel, profile: &Profile, subject: &Subject, maps: &Maps) -> Result<Cells> {
    let with_all: Vec<Result<bool>> =
        (1..helper::COUNT).map(|id| helpers::is_offered_to(kernel, subject, id)).collect();
    let reduced = [
        (Need::SysAdmin, Caps { sys_admin: false, ..Caps::ALL }),
        (Need::Perfmon, Caps { sys_admin: false, perfmon: false, ..Caps::ALL }),
        (Need::Bpf, Caps::NONE),
    ];
    let mut needs = vec![Need::Nothing; with_all.len()];
    // From the most to the fewest capabilities: the first that does not do names the one that is missing.
    for (need, caps) in reduced.into_iter().rev() {
        kernel.with_caps(caps, |kernel| {
            if loads(kernel, subject) {
                for (id, needed) in (1..helper::COUNT).zip(&mut needs) {
                    if helpers::is_offered_to(kernel, subject, id).is_ok_and(|offered| !offered) {
                        *needed = need;
                    }
                }
            }
            Ok(())
        })?;
    }
    let cells = (1..helper::COUNT).zip(with_all).zip(needs).map(|((id, offered), need)| match offered {
        Ok(true) => need.letter(variant(kernel, profile, subject, id, maps)) as u8,
        Ok(false) => b'.',
        Err(_) => b'?',
    });
    Ok(cells.collect())
}

/// Which of the helper's prototypes the program gets: 6.18's, unless the kernel's answers are those of another.
fn variant(kernel: &mut Kernel, profile: &Profile, subject: &Subject, id: HelperId, maps: &Maps) -> char {
    let preferred = match profile.helper(subject.prog, id) {
        HelperAvail::Yes { proto, .. } => proto.variant,
        HelperAvail::No => 'a',
    };
    let mut candidates: Vec<_> = helper::protos_of(id).iter().filter(|p| p.span.holds(profile.version)).collect();
    if candidates.len() == 1 {
        return candidates[0].variant;
    }
    candidates.sort_by_key(|p| p.variant != preferred);
    let mut fits = |p: &&Proto| {
        let [value, exit] = code::returning(subject.good_return());
        let insns = [code::call(id), value, exit];
        let log = kernel.load(&Load { license: "Proprietary", ..subject.load(&insns, 1) }).log;
        let gpl = log.contains("cannot call GPL-restricted function");
        // Some types are not loaded without a license at all.
        (gpl == p.gpl_only || log.contains("GPL compatible license"))
            && helper_args::agrees(kernel, subject, profile.version, p, maps)
    };
    candidates.iter().find(|p| fits(p)).map_or(preferred, |p| p.variant)
}

fn kfunc_cell(kernel: &mut Kernel, subject: &Subject, id: u32) -> u8 {
    let [value, exit] = code::returning(subject.good_return());
    let insns = [code::call_kfunc(id), value, exit];
    let answer = kernel.load(&subject.load(&insns, 1));
    let log = answer.log;
    // Before 5.13 no kernel function was called at all.
    let refused = log.lines().any(|l| l.starts_with("calling kernel function ") && l.ends_with(" is not allowed"));
    if refused || log.contains("BPF_CALL uses reserved fields") {
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
