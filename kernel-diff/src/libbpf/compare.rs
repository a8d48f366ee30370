//! One object through our loader and through libbpf: instructions, maps, BTF and tables, and who refuses what. How libbpf is called
//! is `peer`'s matter.

use std::collections::HashMap;
use std::sync::Arc;

use btf::Btf;
use isa::Insn;
use loader::{Linker, Object, Options};
use program::{InfoTable, MapDef, Program};
use spec::MapType;

use super::peer::{Peer, PeerMap, PeerProgram, user_sizes};

/// What the two said of an object.
#[derive(Debug, Default)]
pub struct Report {
    /// Why each refuses the whole object, if it does.
    pub refusal: Side,
    pub programs: usize,
    /// Programs of which everything is equal.
    pub equal: usize,
    /// Programs that both refuse, with both reasons.
    pub both_refuse: Vec<(String, Side)>,
    /// Programs that we refuse when linking, and libbpf not before it loads them: no program type, an attach target that is not there.
    pub refused_later: Vec<(String, Side)>,
    /// Programs that libbpf cannot prepare on this machine, and we link.
    pub only_ours: Vec<(String, Side)>,
    pub maps: usize,
    pub differences: Vec<String>,
}

/// Reasons; none means that it went well.
#[derive(Debug, Default)]
pub struct Side {
    pub ours: Option<String>,
    pub libbpf: Option<String>,
}

/// Opens the object with both and compares what comes of it for the kernel whose BTF it is.
pub fn compare(bytes: &[u8], kernel: &Btf, options: &Options) -> Report {
    let mut report = Report::default();
    let ours = loader::open(bytes, options);
    let theirs = Peer::open(bytes, &options.object_name, None);
    // What we refuse to open, libbpf may refuse one step later.
    let theirs = if ours.is_err() { theirs.and_then(|p| p.prepare(None).map(|()| p)) } else { theirs };
    // Opened only to be made into loaders for other machines.
    let theirs = match ours {
        Err(loader::Error::BigEndian) => theirs.and(Err("big-endian objects are opened, but not loaded".to_owned())),
        _ => theirs,
    };
    report.refusal =
        Side { ours: ours.as_ref().err().map(ToString::to_string), libbpf: theirs.as_ref().err().cloned() };
    let (Ok(ours), Ok(theirs)) = (ours, theirs) else { return report };
    report.programs = ours.programs.len();
    let names = theirs.program_names();
    if names.len() != report.programs {
        let problem = format!("{} programs, libbpf has {}", report.programs, names.len());
        report.differences.push(problem);
    }
    let mut linker = ours.linker(Some(kernel));
    if !retyped(&ours, &mut linker) && theirs.prepare(None).is_ok() {
        compare_whole(&theirs, &ours, &linker, true, &mut report);
        let fds = fds(&theirs.maps());
        let mut by_name: HashMap<String, PeerProgram> =
            theirs.programs().into_iter().map(|p| (p.name.clone(), p)).collect();
        for (i, entry) in ours.programs.iter().enumerate() {
            compare_program(&entry.name, linker.program(i), by_name.remove(&entry.name), &fds, &mut report);
        }
        return report;
    }
    // Each on its own, then: one program that libbpf cannot prepare hides the others, and types of functions made for one program are in
    // the BTF of all.
    let mut whole = false;
    for (i, entry) in ours.programs.iter().enumerate() {
        let linked = linker.program(i);
        let alone =
            Peer::open(bytes, &options.object_name, None).and_then(|p| p.prepare(Some(&entry.name)).map(|()| p));
        match alone {
            Ok(theirs) => {
                if !std::mem::replace(&mut whole, true) {
                    compare_whole(&theirs, &ours, &linker, false, &mut report);
                }
                let program = theirs.programs().into_iter().find(|p| p.name == entry.name);
                let given = |p: &Program| p.btf.as_ref().map(|b| b.raw().to_vec()).unwrap_or_default();
                if let Ok(ours) = &linked
                    && given(ours) != theirs.loaded_btf()
                {
                    report.differences.push(format!("{}: another BTF is loaded", entry.name));
                }
                compare_program(&entry.name, linked, program, &fds(&theirs.maps()), &mut report);
            }
            Err(reason) => {
                let side = Side { ours: linked.err().map(|e| e.to_string()), libbpf: Some(reason) };
                let list = if side.ours.is_some() { &mut report.both_refuse } else { &mut report.only_ours };
                list.push((entry.name.clone(), side));
            }
        }
    }
    report
}

/// Whether functions of some program get types of their own.
fn retyped(ours: &Object, linker: &mut Linker) -> bool {
    let shared = |p: &Program| p.btf.as_ref().zip(ours.btf.as_ref()).is_none_or(|(own, all)| Arc::ptr_eq(own, all));
    (0..ours.programs.len()).filter_map(|i| linker.program(i).ok()).any(|p| !shared(&p))
}

fn fds(maps: &[PeerMap]) -> HashMap<i32, String> {
    maps.iter().map(|m| (m.fd, m.name.clone())).collect()
}

fn compare_program(
    name: &str,
    ours: Result<Program, loader::Error>,
    theirs: Option<PeerProgram>,
    fds: &HashMap<i32, String>,
    report: &mut Report,
) {
    let Some(theirs) = theirs else {
        return report.differences.push(format!("{name}: libbpf has no such program"));
    };
    let found = match ours {
        Ok(program) => differences(&program, &theirs, fds),
        Err(error) => {
            let why = error.to_string();
            if why.contains("tells no program type") || why.contains("attach target") {
                return report.refused_later.push((name.to_owned(), Side { ours: Some(why), libbpf: None }));
            }
            vec![format!("we refuse: {why}")]
        }
    };
    report.equal += usize::from(found.is_empty());
    report.differences.extend(found.into_iter().map(|d| format!("{name}: {d}")));
}

/// What differs between our program and libbpf's; `fds` tells the names of libbpf's maps.
pub fn differences(ours: &Program, theirs: &PeerProgram, fds: &HashMap<i32, String>) -> Vec<String> {
    let mut out = Vec::new();
    let our_map = |i: i32| ours.maps.get(i as usize).map_or("?".into(), |m| map_name(m));
    let their_map = |fd: i32| fds.get(&fd).cloned().unwrap_or_else(|| format!("fd {fd}"));
    let a = show_insns(&ours.insns, &ours.raw_fd_insns, our_map);
    let b = show_insns(&theirs.insns, &ours.raw_fd_insns, their_map);
    out.extend(first_difference("insn", &a, &b));
    // What the kernel would not take is kept by libbpf, but not given to the kernel.
    let keep = |bytes: &[u8]| if ours.btf.is_none() { Vec::new() } else { bytes.to_vec() };
    let table = |bytes: &[u8], rec_size| rows(&InfoTable { rec_size, bytes: keep(bytes) });
    out.extend(first_difference("func_info", &rows(&ours.func_info), &table(&theirs.func_info, 8)));
    out.extend(first_difference("line_info", &rows(&ours.line_info), &table(&theirs.line_info, 16)));
    // usdt gets its attach type, sleepable and frags their flags, only while loading.
    let same_attach = ours.expected_attach_type == theirs.expected_attach_type || ours.section.starts_with("usdt");
    // Where the section name tells libbpf no type, it does not load the program; ours is read more loosely.
    let typed = theirs.prog_type != 0;
    if typed && (ours.prog_type != theirs.prog_type || !same_attach || theirs.flags != 0) {
        out.push(format!(
            "type: ours {} attach {}, libbpf {} attach {} flags {}",
            ours.prog_type, ours.expected_attach_type, theirs.prog_type, theirs.expected_attach_type, theirs.flags
        ));
    }
    out
}

/// Everything compared, in words, so that a difference can be shown.
fn show_insns(insns: &[Insn], raw: &[u32], name_of: impl Fn(i32) -> String) -> Vec<String> {
    insns
        .iter()
        .enumerate()
        .map(|(at, i)| {
            let map = i.code == 0x18 && (i.src == 1 || i.src == 2) && !raw.contains(&(at as u32));
            let imm = if map { name_of(i.imm) } else { i.imm.to_string() };
            format!("{:02x} {} {} {} {imm}", i.code, i.dst, i.src, i.off)
        })
        .collect()
}

fn first_difference(what: &str, a: &[String], b: &[String]) -> Option<String> {
    let at =
        a.iter().zip(b).position(|(a, b)| a != b).or_else(|| (a.len() != b.len()).then_some(a.len().min(b.len())))?;
    let show = |v: &[String]| v.get(at).cloned().unwrap_or_else(|| "(end)".into());
    Some(format!("{what}[{at}]: ours {}, libbpf {} ({} / {})", show(a), show(b), a.len(), b.len()))
}

fn rows(table: &InfoTable) -> Vec<String> {
    table.bytes.chunks(table.rec_size.max(1) as usize).map(|r| format!("{r:02x?}")).collect()
}

/// Maps and BTF of the object; what the kernel was given of it when it is prepared as a `whole`.
fn compare_whole(theirs: &Peer, ours: &Object, linker: &Linker, whole: bool, report: &mut Report) {
    let mut our_maps: Vec<String> = linker.maps().iter().map(|m| our_map_row(m)).collect();
    let mut their_maps: Vec<String> = theirs.maps().iter().map(map_row).collect();
    report.maps = our_maps.len();
    our_maps.sort();
    their_maps.sort();
    let vars: Vec<&str> = ours.local_btf().map(|b| (1..b.len()).map(|id| b.name(id)).collect()).unwrap_or_default();
    // Depends on kprobes, which not every kernel has.
    let probed = vars.contains(&"LINUX_HAS_SYSCALL_WRAPPER");
    let relax = |row: &String| {
        let row = if ours.btf_refused.is_some() { row.split(" btf ").next().unwrap_or("") } else { row };
        let row = row.to_owned();
        if probed { row.split(" data ").next().unwrap_or("").to_owned() } else { row }
    };
    let relaxed = |rows: &[String]| -> Vec<String> { rows.iter().map(relax).collect() };
    report.differences.extend(first_difference("map", &relaxed(&our_maps), &relaxed(&their_maps)));
    let words = |b: &[u8]| -> Vec<String> { b.chunks(4).map(|w| format!("{w:02x?}")).collect() };
    let own = ours.local_btf().map(|b| b.raw().to_vec()).unwrap_or_default();
    report.differences.extend(first_difference("BTF word", &words(&own), &words(&theirs.btf())));
    if whole {
        let given = ours.btf.as_ref().map(|b| b.raw().to_vec()).unwrap_or_default();
        report.differences.extend(first_difference("loaded BTF word", &words(&given), &words(&theirs.loaded_btf())));
    }
}

/// Data maps have a name made of the object's and the section's, but `.data.*` and `.rodata.*` have the section's alone.
fn map_name(m: &MapDef) -> String {
    let own = m.full_name.starts_with(".data.") || m.full_name.starts_with(".rodata.");
    if m.full_name.starts_with('.') && !own { m.name.clone() } else { m.full_name.clone() }
}

fn our_map_row(m: &MapDef) -> String {
    let section = m.full_name.starts_with('.') || m.full_name.is_empty();
    let (value_size, max_entries) = user_sizes(m.map_type, m.value_size, m.max_entries);
    map_row(&PeerMap {
        fd: 0,
        name: map_name(m),
        map_type: m.map_type,
        key_size: m.key_size,
        value_size,
        max_entries,
        map_flags: m.map_flags,
        map_extra: m.map_extra,
        numa_node: m.numa_node,
        btf_key_type_id: m.btf_key_type_id,
        btf_value_type_id: m.btf_value_type_id,
        data: m.value0.clone().filter(|_| section).unwrap_or_default(),
    })
}

fn map_row(m: &PeerMap) -> String {
    // libbpf keeps it, but does not give it to the kernel.
    let value_id = if m.map_type == MapType::StructOps.raw() { 0 } else { m.btf_value_type_id };
    let data: &[u8] = if m.data.iter().all(|&b| b == 0) { &[] } else { &m.data };
    format!(
        "{} type {} key {} value {} max {} flags {:#x} extra {:#x} numa {} btf {} {value_id} data {data:02x?}",
        m.name,
        m.map_type,
        m.key_size,
        m.value_size,
        m.max_entries,
        m.map_flags,
        m.map_extra,
        m.numa_node,
        m.btf_key_type_id,
    )
}
