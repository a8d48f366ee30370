//! The same objects through libbpf: instructions, maps, BTF and tables must be equal, byte for byte.
//!
//! Runs on the objects under the folders in `BPFVERDICT_OBJECTS` (colon-separated). libbpf creates the maps in the running
//! kernel, so it needs root. What libbpf refuses must be refused here too, except for legacy `maps` sections.
// Talking to libbpf's C interface; nothing but this test does.
#![allow(unsafe_code)]

use isa::Insn;
use libbpf_sys as sys;
use loader::Options;
use program::{InfoTable, MapDef, Program};
use spec::profile::Version;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::os::fd::FromRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn text(p: *const c_char) -> String {
    if p.is_null() {
        return String::new();
    }
    // SAFETY: libbpf gives NUL-terminated strings that live as long as the object.
    unsafe { CStr::from_ptr(p) }.to_string_lossy().into_owned()
}

/// An object opened by libbpf.
struct Theirs(*mut sys::bpf_object);

impl Drop for Theirs {
    fn drop(&mut self) {
        // SAFETY: made by bpf_object__open_mem, closed once.
        unsafe { sys::bpf_object__close(self.0) }
    }
}

impl Theirs {
    /// `btf` is a file to take instead of the running kernel's BTF for CO-RE.
    fn open(bytes: &[u8], name: &str, btf: Option<&Path>) -> Option<Self> {
        let name = CString::new(name).expect("no NUL in a file name");
        // SAFETY: all-zero is a valid value of this plain C struct; `name` outlives the call.
        let mut opts: sys::bpf_object_open_opts = unsafe { std::mem::zeroed() };
        opts.sz = size_of::<sys::bpf_object_open_opts>() as _;
        opts.object_name = name.as_ptr();
        let btf = btf.map(|p| CString::new(p.as_os_str().as_encoded_bytes()).expect("no NUL in a path"));
        opts.btf_custom_path = btf.as_ref().map_or(std::ptr::null(), |p| p.as_ptr());
        // SAFETY: the buffer and options live through the call, which copies what it keeps.
        let object = unsafe { sys::bpf_object__open_mem(bytes.as_ptr().cast(), bytes.len() as _, &opts) };
        if object.is_null() { None } else { Some(Self(object)) }
    }

    fn programs(&self) -> Vec<*mut sys::bpf_program> {
        let mut all = Vec::new();
        let mut next = std::ptr::null_mut();
        loop {
            // SAFETY: the object is open, `next` is null or came from the call before.
            next = unsafe { sys::bpf_object__next_program(self.0, next) };
            if next.is_null() {
                return all;
            }
            all.push(next);
        }
    }

    fn maps(&self) -> Vec<*mut sys::bpf_map> {
        let mut all = Vec::new();
        let mut next = std::ptr::null_mut();
        loop {
            // SAFETY: as for programs.
            next = unsafe { sys::bpf_object__next_map(self.0, next) };
            if next.is_null() {
                return all;
            }
            all.push(next);
        }
    }
}

fn bytes_of<T>(data: *const T, count: usize) -> Vec<u8> {
    if data.is_null() {
        return Vec::new();
    }
    // SAFETY: libbpf says that `count` plain C structs are there.
    unsafe { std::slice::from_raw_parts(data.cast::<u8>(), count * size_of::<T>()) }.to_vec()
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

fn program_differences(ours: &Program, theirs: *const sys::bpf_program, fds: &HashMap<i32, String>) -> Vec<String> {
    let mut out = Vec::new();
    // SAFETY: the program belongs to an open, prepared object; counts are those of the arrays.
    let (insns, func, line, kind, attach, flags) = unsafe {
        let insns = bytes_of(sys::bpf_program__insns(theirs), sys::bpf_program__insn_cnt(theirs) as usize);
        let func = bytes_of(sys::bpf_program__func_info(theirs), sys::bpf_program__func_info_cnt(theirs) as usize);
        let line = bytes_of(sys::bpf_program__line_info(theirs), sys::bpf_program__line_info_cnt(theirs) as usize);
        let attach = sys::bpf_program__expected_attach_type(theirs);
        (insns, func, line, sys::bpf_program__type(theirs), attach, sys::bpf_program__flags(theirs))
    };
    let insns: Vec<Insn> = insns.as_chunks::<8>().0.iter().map(|b| Insn::from_bytes(*b)).collect();
    let our_map = |i: i32| ours.maps.get(i as usize).map_or("?".into(), |m| map_name(m));
    let a = show_insns(&ours.insns, &ours.raw_fd_insns, our_map);
    let their_map = |fd: i32| fds.get(&fd).cloned().unwrap_or_else(|| format!("fd {fd}"));
    let b = show_insns(&insns, &ours.raw_fd_insns, their_map);
    out.extend(first_difference("insn", &a, &b));
    let theirs = |bytes, rec_size| InfoTable { rec_size, bytes };
    let (func, line) = if ours.btf.is_none() { (Vec::new(), Vec::new()) } else { (func, line) };
    out.extend(first_difference("func_info", &rows(&ours.func_info), &rows(&theirs(func, 8))));
    out.extend(first_difference("line_info", &rows(&ours.line_info), &rows(&theirs(line, 16))));
    // usdt gets its attach type, sleepable and frags their flags, only while loading.
    let usdt = ours.section.starts_with("usdt");
    if ours.prog_type != kind || (ours.expected_attach_type != attach && !usdt) || flags != 0 {
        let ours = (ours.prog_type, ours.expected_attach_type);
        out.push(format!("type: ours {ours:?}, libbpf {:?} flags {flags}", (kind, attach)));
    }
    out
}

/// Data maps have a name made of the object's and the section's, but `.data.*` and `.rodata.*` have the section's alone.
fn map_name(m: &MapDef) -> String {
    let own = m.full_name.starts_with(".data.") || m.full_name.starts_with(".rodata.");
    if m.full_name.starts_with('.') && !own { m.name.clone() } else { m.full_name.clone() }
}

fn map_row(m: &MapDef) -> String {
    let value0 = m.value0.clone().unwrap_or_default();
    let value0 = if m.full_name.starts_with('.') || m.full_name.is_empty() { value0 } else { Vec::new() };
    let zero = value0.iter().all(|&b| b == 0);
    format!(
        "{} type {} key {} value {} max {} flags {:#x} extra {:#x} numa {} btf {} {} data {:02x?}",
        map_name(m),
        m.map_type,
        m.key_size,
        m.value_size,
        m.max_entries,
        m.map_flags,
        m.map_extra,
        m.numa_node,
        m.btf_key_type_id,
        // libbpf keeps it, but does not give it to the kernel.
        // (and drops it for maps it had to create without BTF).
        if m.map_type == 26 { 0 } else { m.btf_value_type_id },
        if zero { Vec::new() } else { value0 }
    )
}

/// Contents of a data map; only before the maps are created, when libbpf lets go of some.
fn their_data(map: *mut sys::bpf_map) -> Vec<u8> {
    // SAFETY: the map belongs to an open object; initial_value says how long its data is.
    unsafe {
        let mut len = 0;
        let data = sys::bpf_map__initial_value(map, &mut len);
        if data.is_null() || !sys::bpf_map__is_internal(map) {
            Vec::new()
        } else {
            bytes_of(data.cast::<u8>(), len as usize)
        }
    }
}

fn first_element(map: *mut sys::bpf_map) -> Vec<u8> {
    let key = [0u8; 4];
    // SAFETY: an array map of an open, prepared object; the buffer is of its value size rounded up to 8.
    unsafe {
        let mut value = vec![0u8; sys::bpf_map__value_size(map).next_multiple_of(8) as usize];
        sys::bpf_map_lookup_elem(sys::bpf_map__fd(map), key.as_ptr().cast(), value.as_mut_ptr().cast());
        value.truncate(sys::bpf_map__value_size(map) as usize);
        value
    }
}

fn their_map_row(map: *mut sys::bpf_map, bytes: Vec<u8>) -> (i32, String) {
    // SAFETY: the map belongs to an open, prepared object.
    unsafe {
        // Filled while preparing; libbpf keeps no copy.
        let kconfig = text(sys::bpf_map__name(map)).ends_with(".kconfig");
        let bytes = if kconfig { first_element(map) } else { bytes };
        let zero = bytes.iter().all(|&b| b == 0);
        let row = format!(
            "{} type {} key {} value {} max {} flags {:#x} extra {:#x} numa {} btf {} {} data {:02x?}",
            text(sys::bpf_map__name(map)),
            sys::bpf_map__type(map),
            sys::bpf_map__key_size(map),
            sys::bpf_map__value_size(map),
            sys::bpf_map__max_entries(map),
            sys::bpf_map__map_flags(map),
            sys::bpf_map__map_extra(map),
            sys::bpf_map__numa_node(map),
            sys::bpf_map__btf_key_type_id(map),
            if sys::bpf_map__type(map) == 26 { 0 } else { sys::bpf_map__btf_value_type_id(map) },
            if zero { Vec::new() } else { bytes }
        );
        (sys::bpf_map__fd(map), row)
    }
}

#[derive(Default)]
struct Tally {
    objects: usize,
    refused: usize,
    skipped: Vec<String>,
    programs: usize,
    equal: usize,
    differences: Vec<String>,
}

fn compare(path: &Path, kernel: &btf::Btf, options: &Options, tally: &mut Tally) {
    let bytes = std::fs::read(path).expect("readable object");
    let file = path.display();
    let options = Options { object_name: Options::name_from_path(path), ..options.clone() };
    let ours = loader::open(&bytes, &options);
    let Some(theirs) = Theirs::open(&bytes, &options.object_name, None) else {
        tally.refused += 1;
        let legacy = bytes.windows(5).any(|w| w == b"maps\0") && !bytes.windows(6).any(|w| w == b".maps\0");
        match ours {
            Ok(_) if legacy => println!("{file}: libbpf refuses legacy maps"),
            Ok(_) => tally.differences.push(format!("{file}: libbpf refuses to open it, we do not")),
            Err(e) => println!("{file}: both refuse: {e}"),
        }
        return;
    };
    tally.objects += 1;
    let ours = match ours {
        Ok(ours) => ours,
        Err(e) => return tally.differences.push(format!("{file}: {e}, but libbpf opens it")),
    };
    for program in theirs.programs() {
        // SAFETY: the program belongs to the open object.
        unsafe { sys::bpf_program__set_autoload(program, true) };
    }
    for map in theirs.maps() {
        // SAFETY: the map belongs to the open object. Pinning and creation of odd maps are not what is tested.
        unsafe {
            sys::bpf_map__set_pin_path(map, std::ptr::null());
            // Sizes that user space sets before it loads the object.
            let sized_by_user = !matches!(sys::bpf_map__type(map), 4 | 19 | 21 | 24 | 26..=29 | 31..=33);
            if sys::bpf_map__max_entries(map) == 0 && sized_by_user {
                sys::bpf_map__set_max_entries(map, 1);
            }
        }
    }
    let data: Vec<Vec<u8>> = theirs.maps().into_iter().map(their_data).collect();
    // SAFETY: the object is open.
    let prepared = unsafe { sys::bpf_object__prepare(theirs.0) };
    if prepared != 0 {
        let mut linker = ours.linker(Some(kernel));
        let all: Vec<_> = (0..ours.programs.len()).map(|i| linker.program(i)).collect();
        match all.into_iter().find_map(Result::err) {
            Some(e) => println!("{file}: both refuse ({prepared}): {e}"),
            None => tally.skipped.push(format!("{file}: libbpf cannot prepare it here ({prepared}), we link it")),
        }
        return;
    }
    let mut fds = HashMap::new();
    let mut their_maps = Vec::new();
    for (map, data) in theirs.maps().into_iter().zip(data) {
        let (fd, row) = their_map_row(map, data);
        // SAFETY: the map belongs to the open object.
        fds.insert(fd, text(unsafe { sys::bpf_map__name(map) }));
        their_maps.push(row);
    }
    let linker = ours.linker(Some(kernel));
    let mut our_maps: Vec<String> = linker.maps().iter().map(|m| map_row(m)).collect();
    our_maps.sort();
    their_maps.sort();
    let vars: Vec<&str> = ours.local_btf().map(|b| (1..b.len()).map(|id| b.name(id)).collect()).unwrap_or_default();
    // Depends on kprobes, which not every kernel has.
    let probed = vars.contains(&"LINUX_HAS_SYSCALL_WRAPPER");
    let relax = |row: &String| {
        let row = row.replace("max 0 ", "max 1 ");
        let row = if ours.btf_refused.is_some() { row.split(" btf ").next().unwrap_or("").to_owned() } else { row };
        if probed { row.split(" data ").next().unwrap_or("").to_owned() } else { row }
    };
    let relaxed = |rows: &[String]| -> Vec<String> { rows.iter().map(relax).collect() };
    if let Some(d) = first_difference("map", &relaxed(&our_maps), &relaxed(&their_maps)) {
        tally.differences.push(format!("{file}: {d}"));
    }
    if compare_retyped(&bytes, &options, &ours, kernel, tally, &file.to_string()) {
        return;
    }
    compare_btf(&theirs, &ours, &file.to_string(), tally);
    compare_programs(&theirs, &ours, kernel, &fds, &file.to_string(), tally);
}

/// Programs whose functions get types of their own: libbpf adds those of all programs that it loads to one BTF, so each is loaded alone.
fn compare_retyped(
    bytes: &[u8],
    options: &Options,
    ours: &loader::Object,
    kernel: &btf::Btf,
    tally: &mut Tally,
    file: &str,
) -> bool {
    let mut linker = ours.linker(Some(kernel));
    let shared = |p: &Program| p.btf.as_ref().zip(ours.btf.as_ref()).is_none_or(|(own, all)| Arc::ptr_eq(own, all));
    let programs: Vec<Program> = (0..ours.programs.len()).filter_map(|i| linker.program(i).ok()).collect();
    if programs.iter().all(shared) {
        return false;
    }
    for program in programs {
        let theirs = Theirs::open(bytes, &options.object_name, None).expect("object opens");
        let mut of_this_name = None;
        for p in theirs.programs() {
            // SAFETY: programs of an open object.
            let wanted = unsafe {
                let wanted = text(sys::bpf_program__name(p)) == program.name;
                sys::bpf_program__set_autoload(p, wanted);
                wanted
            };
            of_this_name = if wanted { Some(p) } else { of_this_name };
        }
        tally.programs += 1;
        // SAFETY: the object is open.
        let prepared = unsafe { sys::bpf_object__prepare(theirs.0) };
        let Some(p) = of_this_name.filter(|_| prepared == 0) else {
            tally.differences.push(format!("{file} {}: libbpf: {prepared}", program.name));
            continue;
        };
        // SAFETY: maps and BTF of the open object.
        let (fds, fd) = unsafe {
            let name_of = |m: &*mut sys::bpf_map| (sys::bpf_map__fd(*m), text(sys::bpf_map__name(*m)));
            (theirs.maps().iter().map(name_of).collect(), sys::bpf_object__btf_fd(theirs.0))
        };
        let mut found = program_differences(&program, p, &fds);
        if program.btf.as_ref().map(|b| b.raw().to_vec()).unwrap_or_default() != loaded_btf(fd) {
            found.push("another BTF is loaded".to_owned());
        }
        tally.equal += usize::from(found.is_empty());
        tally.differences.extend(found.into_iter().map(|d| format!("{file} {}: {d}", program.name)));
    }
    true
}

fn compare_btf(theirs: &Theirs, ours: &loader::Object, file: &str, tally: &mut Tally) {
    // SAFETY: the object is open; raw_data gives `len` bytes owned by it.
    let raw = unsafe {
        let btf = sys::bpf_object__btf(theirs.0);
        let mut len = 0;
        let data = if btf.is_null() { std::ptr::null() } else { sys::btf__raw_data(btf, &mut len) };
        bytes_of(data.cast::<u8>(), len as usize)
    };
    let words = |b: &[u8]| -> Vec<String> { b.chunks(4).map(|w| format!("{w:02x?}")).collect() };
    let own = ours.local_btf().map(|b| b.raw().to_vec()).unwrap_or_default();
    if let Some(d) = first_difference("BTF word", &words(&own), &words(&raw)) {
        tally.differences.push(format!("{file}: {d}"));
    }
    // SAFETY: the object is open.
    let fd = unsafe { sys::bpf_object__btf_fd(theirs.0) };
    let given = ours.btf.as_ref().map(|b| b.raw().to_vec()).unwrap_or_default();
    if let Some(d) = first_difference("loaded BTF word", &words(&given), &words(&loaded_btf(fd))) {
        tally.differences.push(format!("{file}: {d}"));
    }
}

/// What the kernel was given.
fn loaded_btf(fd: i32) -> Vec<u8> {
    if fd < 0 {
        return Vec::new();
    }
    let mut raw = Vec::new();
    for _ in 0..2 {
        // SAFETY: all-zero is a valid value of this plain C struct, whose buffer is as long as it says; the first round asks how
        // long it must be.
        unsafe {
            let mut info: sys::bpf_btf_info = std::mem::zeroed();
            info.btf = raw.as_mut_ptr() as u64;
            info.btf_size = raw.len() as u32;
            let mut len = size_of::<sys::bpf_btf_info>() as u32;
            let error = sys::bpf_btf_get_info_by_fd(fd, &mut info, &mut len);
            assert_eq!(error, 0, "BPF_OBJ_GET_INFO_BY_FD");
            raw.resize(info.btf_size as usize, 0);
        }
    }
    raw
}

fn compare_programs(
    theirs: &Theirs,
    ours: &loader::Object,
    kernel: &btf::Btf,
    fds: &HashMap<i32, String>,
    file: &str,
    tally: &mut Tally,
) {
    // SAFETY: programs of an open object.
    let by_name: HashMap<String, *mut sys::bpf_program> =
        theirs.programs().into_iter().map(|p| (text(unsafe { sys::bpf_program__name(p) }), p)).collect();
    if by_name.len() != ours.programs.len() {
        tally.differences.push(format!("{file}: {} programs, libbpf has {}", ours.programs.len(), by_name.len()));
    }
    let mut linker = ours.linker(Some(kernel));
    for (i, entry) in ours.programs.iter().enumerate() {
        tally.programs += 1;
        let Some(&theirs) = by_name.get(&entry.name) else {
            tally.differences.push(format!("{file} {}: libbpf has no such program", entry.name));
            continue;
        };
        let found = match linker.program(i) {
            Ok(program) => program_differences(&program, theirs, fds),
            Err(e) => vec![e.to_string()],
        };
        // Types that libbpf would complain about only when loading.
        let late = |d: &String| d.contains("tells no program type") || d.contains("attach target");
        let found: Vec<String> = found.into_iter().filter(|d| !late(d)).collect();
        if found.is_empty() {
            tally.equal += 1;
        }
        tally.differences.extend(found.into_iter().map(|d| format!("{file} {}: {d}", entry.name)));
    }
}

fn objects(dir: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            objects(&path, out);
        } else if path.extension().is_some_and(|e| e == "o") {
            out.push(path);
        }
    }
}

fn host_options() -> Options {
    let run = |program: &str, arg: &str| std::process::Command::new(program).arg(arg).output().ok().map(|o| o.stdout);
    let utf8 = |b: Vec<u8>| String::from_utf8_lossy(&b).into_owned();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("procfs");
    // Debian's kernels say `5.10.0-46-cloud-amd64` there, and their version behind.
    let text = std::fs::read_to_string("/proc/version").expect("procfs");
    let debian = text.split(" Debian ").nth(1).map(|d| d.split('-').next().unwrap_or(d));
    let version = Version::parse(debian.unwrap_or(&release));
    let boot = format!("/boot/config-{}", release.trim());
    let kconfig = std::fs::read(boot).ok().or_else(|| run("zcat", "/proc/config.gz")).map(utf8);
    let mut symbols = HashMap::new();
    for line in std::fs::read_to_string("/proc/kallsyms").unwrap_or_default().lines() {
        let mut fields = line.split_whitespace();
        if let (Some(address), Some(_), Some(name)) = (fields.next(), fields.next(), fields.next()) {
            symbols.entry(name.to_owned()).or_insert(u64::from_str_radix(address, 16).unwrap_or(0));
        }
    }
    Options {
        kconfig,
        kallsyms: Some(Arc::new(symbols)),
        cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        ..Options::for_kernel(version)
    }
}

fn all_objects() -> Vec<PathBuf> {
    let folders = std::env::var("BPFVERDICT_OBJECTS").unwrap_or_default();
    let mut paths = Vec::new();
    folders.split(':').filter(|f| !f.is_empty()).for_each(|f| objects(Path::new(f), &mut paths));
    assert!(!paths.is_empty(), "BPFVERDICT_OBJECTS names no folder with objects");
    paths
}

/// Objects `test_core_reloc_X.bpf.o` against the types of every `btf__core_reloc_X*.bpf.o`: the CO-RE tests of the kernel's
/// selftests, where most relocations fail or are ambiguous on purpose.
#[test]
fn same_core_relocations() {
    let paths = all_objects();
    let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let find = |prefix: String| paths.iter().filter(move |p| name(p).starts_with(&prefix));
    // SAFETY: no printer is a valid printer.
    unsafe { sys::libbpf_set_print(None) };
    let dir = tempfile::tempdir().expect("temporary folder");
    let (mut equal, mut refused, mut differences) = (0, 0, Vec::new());
    for path in find("test_core_reloc_".into()) {
        let what = name(path).trim_start_matches("test_core_reloc_").trim_end_matches(".bpf.o").to_owned();
        let bytes = std::fs::read(path).expect("readable object");
        let options = Options { object_name: "core".into(), ..host_options() };
        let ours = loader::open(&bytes, &options).expect("object opens");
        for target in find(format!("btf__core_reloc_{what}")) {
            let target_object = loader::open(&std::fs::read(target).expect("readable object"), &Options::default());
            let Some(target_btf) = target_object.ok().and_then(|o| o.local_btf().cloned()) else { continue };
            let file = dir.path().join("target.btf");
            std::fs::write(&file, target_btf.raw()).expect("writable folder");
            let theirs = Theirs::open(&bytes, "core", Some(&file)).expect("object opens");
            // SAFETY: the object is open.
            let prepared = unsafe { sys::bpf_object__prepare(theirs.0) } == 0;
            let mut linker = ours.linker(Some(&target_btf));
            for program in theirs.programs() {
                // SAFETY: the program belongs to the open object.
                let program_name = text(unsafe { sys::bpf_program__name(program) });
                let at = ours.programs.iter().position(|p| p.name == program_name).expect("same programs");
                // SAFETY: maps of the open object.
                let name_of = |m: &*mut sys::bpf_map| unsafe { (sys::bpf_map__fd(*m), text(sys::bpf_map__name(*m))) };
                let fds = theirs.maps().iter().map(name_of).collect();
                let found = match (linker.program(at), prepared) {
                    (Err(_), false) => {
                        refused += 1;
                        continue;
                    }
                    (Ok(_), false) => vec!["libbpf refuses, we do not".to_owned()],
                    (Err(e), true) => vec![e.to_string()],
                    (Ok(p), true) => program_differences(&p, program, &fds),
                };
                equal += usize::from(found.is_empty());
                differences.extend(found.into_iter().map(|d| format!("{} on {}: {d}", name(path), name(target))));
            }
        }
    }
    println!("{equal} equal, {refused} refused by both");
    differences.iter().for_each(|d| println!("{d}"));
    assert!(differences.is_empty(), "{} differences", differences.len());
}

/// Every name that libbpf knows, alone, with something behind it, and slightly wrong.
#[test]
fn same_section_names() {
    const NAMES: &str = "socket sk_reuseport/migrate sk_reuseport kprobe uprobe uprobe.s kretprobe uretprobe uretprobe.s \
        kprobe.multi kretprobe.multi kprobe.session uprobe.multi uretprobe.multi uprobe.session uprobe.multi.s \
        uretprobe.multi.s uprobe.session.s ksyscall kretsyscall tc/ingress tc/egress tcx/ingress \
        tcx/egress tc classifier action netkit/primary netkit/peer tracepoint tp raw_tracepoint raw_tp raw_tracepoint.w \
        raw_tp.w tp_btf fentry fmod_ret fexit fentry.s fmod_ret.s fexit.s fsession fsession.s freplace lsm lsm.s \
        lsm_cgroup iter iter.s syscall xdp.frags/devmap xdp/devmap xdp.frags/cpumap xdp/cpumap xdp.frags xdp perf_event \
        lwt_in lwt_out lwt_xmit lwt_seg6local sockops sk_skb/stream_parser sk_skb/stream_verdict sk_skb/verdict sk_skb \
        sk_msg lirc_mode2 flow_dissector cgroup_skb/ingress cgroup_skb/egress cgroup/skb cgroup/sock_create \
        cgroup/sock_release cgroup/sock cgroup/post_bind4 cgroup/post_bind6 cgroup/bind4 cgroup/bind6 cgroup/connect4 \
        cgroup/connect6 cgroup/connect_unix cgroup/sendmsg4 cgroup/sendmsg6 cgroup/sendmsg_unix cgroup/recvmsg4 \
        cgroup/recvmsg6 cgroup/recvmsg_unix cgroup/getpeername4 cgroup/getpeername6 cgroup/getpeername_unix \
        cgroup/getsockname4 cgroup/getsockname6 cgroup/getsockname_unix cgroup/sysctl cgroup/getsockopt \
        cgroup/setsockopt cgroup/dev struct_ops struct_ops.s sk_lookup netfilter";
    // SAFETY: no printer is a valid printer.
    unsafe { sys::libbpf_set_print(None) };
    for name in NAMES.split_whitespace() {
        for name in
            [name.to_owned(), format!("{name}/x"), format!("{name}/x/y"), format!("{name}x"), format!("x{name}")]
        {
            let text = CString::new(name.as_str()).expect("no NUL");
            let (mut kind, mut attach) = (0, 0);
            // SAFETY: the name is NUL-terminated, and there is room for both numbers.
            let error = unsafe { sys::libbpf_prog_type_by_name(text.as_ptr(), &mut kind, &mut attach) };
            let theirs = (error == 0).then_some((kind, attach));
            let ours = loader::section_kind(&name).map(|s| (s.prog_type, s.expected_attach_type));
            assert_eq!(ours, theirs, "{name}");
        }
    }
}

/// A number from the last one, well enough mixed to choose mutations.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// The objects' BTF with words changed: the kernel and `check_as_kernel` must agree on each, errno included.
#[test]
fn same_btf_verdicts() {
    // Not checked by us.
    let special = |b: &btf::Btf| {
        let names = ["bpf_spin_lock", "bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node", "bpf_refcount"];
        names.iter().any(|n| b.find(btf::Kind::Struct, n).is_some())
            || (1..b.len()).any(|id| b.name(id).contains("kptr"))
    };
    let blobs: Vec<Vec<u8>> = all_objects()
        .iter()
        .filter_map(|p| loader::open(&std::fs::read(p).ok()?, &host_options()).ok())
        .filter_map(|o| o.btf.as_ref().filter(|b| !special(b)).map(|b| b.raw().to_vec()))
        .filter(|raw| raw.len() < 30_000)
        .collect();
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let (mut taken, mut refused, mut differences) = (0, 0, Vec::new());
    for round in 0..blobs.len() * 20 {
        let mut raw = blobs[round % blobs.len()].clone();
        let types = u32::from_le_bytes([raw[12], raw[13], raw[14], raw[15]]) as usize / 4;
        // The first round is as compiled.
        for _ in 0..if round < blobs.len() { 0 } else { 1 + next(&mut state) % 2 } {
            let at = 24 + (next(&mut state) as usize % types) * 4;
            let old = u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
            let new = match next(&mut state) % 5 {
                0 => old ^ 1 << (next(&mut state) % 32),
                1 => (next(&mut state) % 64) as u32,
                2 => old.wrapping_add(1),
                3 => old.wrapping_sub(1),
                _ => 0,
            };
            raw[at..at + 4].copy_from_slice(&new.to_le_bytes());
        }
        let (errno, _) = btf_verdict(&raw, 0);
        let ours = btf::Btf::parse(&raw).map(|b| b.check_as_kernel().map_err(|e| (e.errno, e.message)));
        let (own, why) = match ours {
            Ok(Ok(())) => (0, String::new()),
            Ok(Err(refusal)) => refusal,
            // Too broken to be looked at; the kernel has the same errno for most of it.
            Err(e) => (errno.min(-1), e.to_string()),
        };
        if own != errno && differences.len() < 40 {
            differences.push(format!("round {round}: ours {own} {why}, kernel {errno} {}", btf_verdict(&raw, 1).1));
        }
        *if errno < 0 { &mut refused } else { &mut taken } += 1;
    }
    println!("{taken} taken, {refused} refused");
    differences.iter().for_each(|d| println!("{d}"));
    assert!(differences.is_empty(), "{} differences", differences.len());
}

/// What the kernel says to BTF: errno, and the last line of its log.
fn btf_verdict(raw: &[u8], level: u32) -> (i32, String) {
    let mut log = vec![0 as c_char; 1 << 20];
    // SAFETY: all-zero is a valid value of this plain C struct; both buffers live through the call and are as long as stated.
    let fd = unsafe {
        let mut opts: sys::bpf_btf_load_opts = std::mem::zeroed();
        opts.sz = size_of::<sys::bpf_btf_load_opts>() as _;
        if level > 0 {
            opts.log_buf = log.as_mut_ptr();
            opts.log_size = log.len() as u32;
            opts.log_level = level;
        }
        sys::bpf_btf_load(raw.as_ptr().cast(), raw.len() as _, &mut opts)
    };
    if fd >= 0 {
        // SAFETY: made by the call above, owned by nobody else.
        drop(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) });
    }
    let log = text(log.as_ptr());
    (fd.min(0), log.trim_end().lines().last().unwrap_or_default().to_owned())
}

#[test]
fn same_as_libbpf() {
    let paths = all_objects();
    if std::env::var_os("BPFVERDICT_LIBBPF_LOG").is_none() {
        // SAFETY: no printer is a valid printer.
        unsafe { sys::libbpf_set_print(None) };
    }
    let kernel =
        btf::Btf::parse(&std::fs::read("/sys/kernel/btf/vmlinux").expect("kernel BTF")).expect("valid kernel BTF");
    let options = host_options();
    let mut tally = Tally::default();
    for path in &paths {
        compare(path, &kernel, &options, &mut tally);
    }
    println!(
        "{} objects ({} refused by both or either), {} programs, {} equal",
        tally.objects, tally.refused, tally.programs, tally.equal
    );
    tally.skipped.iter().for_each(|s| println!("not comparable: {s}"));
    tally.differences.iter().for_each(|d| println!("{d}"));
    assert!(tally.differences.is_empty(), "{} differences", tally.differences.len());
}
