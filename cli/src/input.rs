//! From a path to programs: finds out what a file is and makes `Program`s of it. Judging and running them is not here.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use isa::Insn;
use program::Program;
use spec::{Caps, Profile, ProgType};

use crate::args::Select;
use crate::exit::{Failure, Status};
use crate::output;

/// Objects above this are refused unread: real ones are a thousand times smaller.
const MAX_FILE: u64 = 64 << 20;
/// Longest line of a record file.
const MAX_LINE: u64 = 64 << 20;
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// One program to look at.
pub struct Case {
    /// The path as given (or found in a folder).
    pub file: String,
    /// `id` of a load record.
    pub id: Option<String>,
    pub program: Result<Program, BadProgram>,
    /// Kernel BTF that a record brings along.
    pub vmlinux: Option<Arc<btf::Btf>>,
    /// Privileges, where a record says them.
    pub caps: Option<Caps>,
}

/// A program of a readable file that cannot be put together.
pub struct BadProgram {
    pub name: String,
    pub section: String,
    pub why: String,
    /// The kernel judged for lacks something, nothing is wrong with the object.
    pub kernel_lacks: bool,
}

impl Case {
    fn unreadable(path: &Path, failure: &Failure) -> Self {
        let file = path.display().to_string();
        let why = failure.message.strip_prefix(&format!("{file}: ")).unwrap_or(&failure.message).to_owned();
        let program = Err(BadProgram { name: String::new(), section: String::new(), why, kernel_lacks: false });
        Self { file, id: None, program, vmlinux: None, caps: None }
    }

    pub fn name(&self) -> &str {
        self.program.as_ref().map_or_else(|b| b.name.as_str(), |p| p.name.as_str())
    }
}

/// What programs are made for.
pub struct Reader<'a> {
    select: &'a Select,
    /// The kernel; its BTF is asked for only by objects that need it.
    profile: &'a Profile,
    /// What objects are opened with, but for their names.
    options: loader::Options,
    /// Whether it is of no matter what bare instructions are.
    any_type: bool,
    /// Whether a file that cannot be read is a case too.
    errors: bool,
    progress: bool,
}

/// What [`Reader::visit`] calls for each program.
pub type Visitor<'v> = dyn FnMut(Case) -> Result<(), Failure> + 'v;

/// Reads a whole file, refusing what is too big before reading it.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new(STDIN) {
        return stdin().map(<[u8]>::to_vec);
    }
    let file = open(path)?;
    let size = file.metadata().map_or(0, |m| m.len());
    if size > MAX_FILE {
        let (size, max) = (size >> 20, MAX_FILE >> 20);
        return Err(Failure::file(path, format!("{size} MiB is too large: expected at most {max} MiB")));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // A pipe has no size: the limit holds for it all the same.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| Failure::file(path, e))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Failure::file(path, format!("too large: expected at most {} MiB", MAX_FILE >> 20)));
    }
    Ok(bytes)
}

/// The path that stands for standard input.
pub const STDIN: &str = "-";

/// All of standard input; it can be read once, and asked for by each kernel.
fn stdin() -> Result<&'static [u8], Failure> {
    static ALL: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    let read = || {
        let mut bytes = Vec::new();
        std::io::stdin().take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        match bytes.len() as u64 > MAX_FILE {
            true => Err(format!("too large: expected at most {} MiB", MAX_FILE >> 20)),
            false => Ok(bytes),
        }
    };
    let all = ALL.get_or_init(read).as_ref();
    all.map(Vec::as_slice).map_err(|e| Failure::input(format!("standard input: {e}")))
}

fn open(path: &Path) -> Result<File, Failure> {
    let file = File::open(path).map_err(|e| Failure::file(path, e))?;
    match file.metadata() {
        Ok(m) if m.is_dir() => Err(Failure::file(path, "is a folder: expected a file")),
        _ => Ok(file),
    }
}

/// Every file in turn, those of folders by name; what cannot be read is reported and makes the status [`Status::BadInput`], the rest
/// goes on.
pub fn visit_all(paths: &[PathBuf], reader: &Reader<'_>, visit: &mut Visitor<'_>) -> Result<Status, Failure> {
    let mut status = Status::Ok;
    let mut seen = 0usize;
    let mut walk = Walk::default();
    for path in paths {
        walk.path(path);
    }
    let bar = match reader.progress && walk.found.len() > FEW {
        true => output::progress(walk.found.len() as u64, "files"),
        false => indicatif::ProgressBar::hidden(),
    };
    for (path, found) in walk.found {
        let mut counting = |case: Case| {
            seen += 1;
            visit(case)
        };
        match found.and_then(|()| reader.visit(&path, &mut counting)) {
            Ok(()) => {}
            Err(f) if f.status == Status::BadInput => {
                f.print();
                status = status.worst(f.status);
                if reader.errors {
                    visit(Case::unreadable(&path, &f))?;
                }
            }
            Err(f) => return Err(f),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if seen == 0 && status == Status::Ok {
        return Err(Failure::input(match &reader.select.only {
            Some(name) => format!("no program is called `{name}`"),
            None => "no BPF program found".to_owned(),
        }));
    }
    Ok(status)
}

impl<'a> Reader<'a> {
    pub fn new(select: &'a Select, profile: &'a Profile) -> Result<Self, Failure> {
        let mut presets = match &select.presets {
            Some(path) => presets(path)?,
            None => Vec::new(),
        };
        // What the command line says comes last and wins.
        presets.extend(select.set.iter().cloned());
        let kconfig = select.kconfig.as_deref().map(kernel_config).transpose()?;
        let options = loader::Options { presets, kconfig, ..loader::Options::for_profile(profile) };
        Ok(Self { select, profile, options, any_type: false, errors: false, progress: false })
    }

    /// Takes bare instructions without `--type`: for what is the same in all types.
    pub fn of_any_type(self) -> Self {
        Self { any_type: true, ..self }
    }

    /// Makes a [`Case`] without a name of each file that cannot be read, besides the message.
    pub fn with_errors(self, errors: bool) -> Self {
        Self { errors, ..self }
    }

    /// Shows a bar when there are many files.
    pub fn with_progress(self, progress: bool) -> Self {
        Self { progress, ..self }
    }

    /// Calls `visit` for each program of `path`.
    pub fn visit(&self, path: &Path, visit: &mut Visitor<'_>) -> Result<(), Failure> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        if matches!(extension, "jsonl" | "ndjson") {
            return self.records(path, visit);
        }
        let bytes = read(path)?;
        if bytes.starts_with(ELF_MAGIC) {
            return self.object(path, &bytes, visit);
        }
        match (extension, std::str::from_utf8(&bytes)) {
            ("o", _) => Err(Failure::file(path, "offset 0: expected an ELF header (7f 45 4c 46)")),
            ("bin" | "raw" | "insns", _) | (_, Err(_)) => self.raw(path, &bytes, visit),
            (_, Ok(text)) if text.trim_start().starts_with('{') => self.records(path, visit),
            (_, Ok(text)) => self.text(path, text, visit),
        }
    }

    fn wanted(&self, name: &str) -> bool {
        self.select.only.as_ref().is_none_or(|o| o == name)
    }

    fn object(&self, path: &Path, bytes: &[u8], visit: &mut Visitor<'_>) -> Result<(), Failure> {
        let options = loader::Options {
            object_name: loader::Options::name_from_path(if path == Path::new(STDIN) {
                Path::new("stdin")
            } else {
                path
            }),
            ..self.options.clone()
        };
        let object = loader::open(bytes, &options).map_err(|e| Failure::file(path, e))?;
        if let Some(why) = &object.btf_refused {
            output::note(format!("{}: a kernel refuses its BTF, programs load without: {why}", path.display()));
        }
        let target = object.needs_target().then(|| &**self.profile.btf());
        let mut linker = object.linker(target);
        for (i, p) in object.programs.iter().enumerate() {
            if !self.wanted(&p.name) {
                continue;
            }
            let program = match linker.program(i) {
                Ok(mut program) => {
                    self.overrule(&mut program);
                    Ok(program)
                }
                Err(e) => Err(BadProgram {
                    name: p.name.clone(),
                    section: p.section.clone(),
                    why: e.to_string(),
                    kernel_lacks: matches!(e, loader::Error::MissingSymbol { .. }),
                }),
            };
            visit(Case { file: path.display().to_string(), id: None, program, vmlinux: None, caps: None })?;
        }
        Ok(())
    }

    fn overrule(&self, program: &mut Program) {
        if let Some(t) = self.select.prog_type {
            program.prog_type = t.raw();
        }
        if let Some(a) = self.select.attach {
            program.expected_attach_type = a.raw();
        }
    }

    fn raw(&self, path: &Path, bytes: &[u8], visit: &mut Visitor<'_>) -> Result<(), Failure> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(Insn::SIZE) {
            let len = bytes.len();
            let whole = len / Insn::SIZE * Insn::SIZE;
            let what = format!(
                "offset {whole}: {len} bytes are neither an ELF object nor raw instructions: expected a multiple of 8"
            );
            return Err(Failure::file(path, what));
        }
        let insns = bytes.chunks_exact(8).filter_map(|c| c.try_into().ok()).map(Insn::from_bytes).collect();
        self.bare(path, insns, visit)
    }

    fn text(&self, path: &Path, text: &str, visit: &mut Visitor<'_>) -> Result<(), Failure> {
        let insns = isa::asm::assemble(text).map_err(|e| Failure::file(path, e))?;
        if insns.is_empty() {
            return Err(Failure::file(path, "line 1: expected an instruction, found none in the whole file"));
        }
        self.bare(path, insns, visit)
    }

    /// Instructions without anything around them.
    fn bare(&self, path: &Path, insns: Vec<Insn>, visit: &mut Visitor<'_>) -> Result<(), Failure> {
        let name = path
            .file_stem()
            .filter(|s| *s != STDIN)
            .map_or_else(|| "program".to_owned(), |s| s.to_string_lossy().into_owned());
        if !self.wanted(&name) {
            return Ok(());
        }
        if self.select.prog_type.is_none() && !self.any_type {
            let what = "bare instructions do not say what program they are: expected --type, e.g. --type xdp";
            return Err(Failure::file(path, what));
        }
        let mut program = Program { name, license: "GPL".to_owned(), insns, ..Program::default() };
        program.prog_type = ProgType::SocketFilter.raw();
        self.overrule(&mut program);
        visit(Case { file: path.display().to_string(), id: None, program: Ok(program), vmlinux: None, caps: None })
    }

    fn records(&self, path: &Path, visit: &mut Visitor<'_>) -> Result<(), Failure> {
        let mut lines: Box<dyn BufRead> = match path.to_str() {
            Some(STDIN) => Box::new(stdin()?),
            _ => Box::new(BufReader::new(open(path)?)),
        };
        let mut reader = loader::records::Reader::new(path.parent().unwrap_or(Path::new(".")));
        let mut line = String::new();
        for number in 1.. {
            line.clear();
            let read = (&mut lines)
                .take(MAX_LINE)
                .read_line(&mut line)
                .map_err(|e| Failure::file(path, format!("line {number}: {e}")))?;
            if read == 0 {
                return Ok(());
            }
            if read as u64 == MAX_LINE {
                return Err(Failure::file(path, format!("line {number}: longer than {} MiB", MAX_LINE >> 20)));
            }
            if line.trim().is_empty() {
                continue;
            }
            let at_line = |e: String| Failure::file(path, format!("line {number}: {e}"));
            let record = reader.parse_line(&line).map_err(|e| at_line(e.to_string()))?;
            let caps = record.caps.as_deref().map(caps).transpose().map_err(at_line)?;
            if !self.wanted(&record.program.name) {
                continue;
            }
            let program = match record.incomplete {
                None => Ok(record.program),
                Some(why) => Err(BadProgram {
                    name: record.program.name,
                    section: record.program.section,
                    why: format!("the record is incomplete: {why}"),
                    kernel_lacks: false,
                }),
            };
            visit(Case { file: path.display().to_string(), id: record.id, program, vmlinux: record.vmlinux, caps })?;
        }
        Ok(())
    }
}

/// A preset file: `name=value` by line, `#` before remarks.
fn presets(path: &Path) -> Result<Vec<String>, Failure> {
    let bytes = read(path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|e| Failure::file(path, format!("offset {}: expected text", e.valid_up_to())))?;
    let mut out = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let expected = || Failure::file(path, format!("line {}: expected NAME=VALUE", n + 1));
        let (name, value) = line.split_once('=').ok_or_else(expected)?;
        out.push(format!("{}={}", name.trim(), value.trim()));
    }
    Ok(out)
}

/// A kernel configuration as text, perhaps packed as in /proc/config.gz.
fn kernel_config(path: &Path) -> Result<String, Failure> {
    let mut bytes = read(path)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let packed = std::mem::take(&mut bytes);
        let unpacked = flate2::read::GzDecoder::new(packed.as_slice()).take(MAX_FILE + 1).read_to_end(&mut bytes);
        unpacked.map_err(|e| Failure::file(path, e))?;
    }
    let text = String::from_utf8(bytes).ok().filter(|t| t.len() as u64 <= MAX_FILE && t.contains("CONFIG_"));
    text.ok_or_else(|| Failure::file(path, "expected a kernel configuration: lines of CONFIG_NAME=VALUE"))
}

/// Capabilities by name: `CAP_BPF` or `bpf`.
fn caps(names: &[String]) -> Result<Caps, String> {
    let mut caps = Caps::NONE;
    for name in names {
        match name.to_ascii_lowercase().trim_start_matches("cap_") {
            "bpf" => caps.bpf = true,
            "perfmon" => caps.perfmon = true,
            "net_admin" => caps.net_admin = true,
            "sys_admin" => caps.sys_admin = true,
            _ => {
                return Err(format!(
                    "`{name}` is no capability that matters here: expected bpf, perfmon, net_admin or sys_admin"
                ));
            }
        }
    }
    Ok(caps)
}

/// Files below which no bar is shown.
const FEW: usize = 8;
/// Folders deeper than this are not followed: paths of that length are of no use to anybody.
const MAX_DEPTH: usize = 64;

/// The files of paths and folders, in order.
#[derive(Default)]
struct Walk {
    /// With what is wrong about a folder.
    found: Vec<(PathBuf, Result<(), Failure>)>,
    /// Folders that are under way or done, by their true names: links may go in circles.
    seen: HashSet<PathBuf>,
}

impl Walk {
    fn path(&mut self, path: &Path) {
        if path.is_dir() {
            // A folder that is named twice is meant twice.
            self.seen.clear();
            self.folder(path, 0);
        } else {
            self.found.push((path.to_owned(), Ok(())));
        }
    }

    /// Objects and record files of a folder and its folders, by name. Other files are passed over.
    fn folder(&mut self, dir: &Path, depth: usize) {
        let entries = std::fs::canonicalize(dir).and_then(|own| match depth < MAX_DEPTH && self.seen.insert(own) {
            true => std::fs::read_dir(dir)?.map(|e| Ok(e?.path())).collect(),
            false => Ok(Vec::new()),
        });
        let mut entries: Vec<PathBuf> = match entries {
            Ok(entries) => entries,
            Err(e) => return self.found.push((dir.to_owned(), Err(Failure::file(dir, e)))),
        };
        entries.sort();
        for path in entries {
            // A link to nothing is not there.
            let Ok(kind) = std::fs::metadata(&path).map(|m| m.file_type()) else { continue };
            if kind.is_dir() {
                self.folder(&path, depth + 1);
            } else if !kind.is_file() {
                output::note(format!("{}: neither a file nor a folder: skipped", path.display()));
            } else if path.extension().is_some_and(|e| e == "jsonl") || is_bpf_object(&path) {
                self.found.push((path, Ok(())));
            }
        }
    }
}

/// ELF for machine 247: a glance at the header, whatever the name.
pub fn is_bpf_object(path: &Path) -> bool {
    let mut head = [0; 20];
    let Ok(mut file) = File::open(path) else {
        // What cannot be opened is reported where its name says that it matters.
        return path.extension().is_some_and(|e| e == "o");
    };
    file.read_exact(&mut head).is_ok()
        && head.starts_with(ELF_MAGIC)
        && (head[18..20] == [247, 0] || head[18..20] == [0, 247])
}
