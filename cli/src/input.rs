//! From a path to programs: finds out what a file is and makes `Program`s of it. Judging and running them is not here.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use isa::Insn;
use program::Program;
use spec::{Caps, Profile, ProgType};

use crate::args::Select;
use crate::exit::{Failure, Status};
use crate::output::{WARN, styled};

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
}

impl Case {
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
}

/// What [`Reader::visit`] calls for each program.
pub type Visitor<'v> = dyn FnMut(Case) -> Result<(), Failure> + 'v;

/// Reads a whole file, refusing what is too big before reading it.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
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

fn open(path: &Path) -> Result<File, Failure> {
    let file = File::open(path).map_err(|e| Failure::file(path, e))?;
    match file.metadata() {
        Ok(m) if m.is_dir() => Err(Failure::file(path, "is a folder: expected a file")),
        _ => Ok(file),
    }
}

/// Every path in turn; what cannot be read is reported and makes the status [`Status::BadInput`], the rest goes on.
pub fn visit_all(paths: &[PathBuf], reader: &Reader<'_>, visit: &mut Visitor<'_>) -> Result<Status, Failure> {
    let mut status = Status::Ok;
    let mut seen = 0usize;
    for path in paths {
        let mut counting = |case: Case| {
            seen += 1;
            visit(case)
        };
        match reader.visit(path, &mut counting) {
            Ok(()) => {}
            Err(f) if f.status == Status::BadInput => {
                f.print();
                status = status.worst(f.status);
            }
            Err(f) => return Err(f),
        }
    }
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
        Ok(Self { select, profile, options })
    }

    /// Calls `visit` for each program of `path`.
    pub fn visit(&self, path: &Path, visit: &mut Visitor<'_>) -> Result<(), Failure> {
        if path.is_dir() {
            return self.folder(path, visit);
        }
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

    /// Objects and record files of a folder and its folders, by name. Other files are passed over.
    fn folder(&self, path: &Path, visit: &mut Visitor<'_>) -> Result<(), Failure> {
        let mut found = Vec::new();
        collect(path, &mut found, 0)?;
        found.sort();
        let mut bad = None;
        for file in found {
            match self.visit(&file, visit) {
                Err(f) if f.status == Status::BadInput => {
                    f.print();
                    bad = Some(Failure::input(format!("{}: not everything in it could be read", path.display())));
                }
                other => other?,
            }
        }
        bad.map_or(Ok(()), Err)
    }

    fn wanted(&self, name: &str) -> bool {
        self.select.only.as_ref().is_none_or(|o| o == name)
    }

    fn object(&self, path: &Path, bytes: &[u8], visit: &mut Visitor<'_>) -> Result<(), Failure> {
        let options = loader::Options { object_name: loader::Options::name_from_path(path), ..self.options.clone() };
        let object = loader::open(bytes, &options).map_err(|e| Failure::file(path, e))?;
        if let Some(why) = &object.btf_refused {
            let note = styled(WARN, "note");
            anstream::eprintln!("{note}: {}: a kernel refuses its BTF, programs load without: {why}", path.display());
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
                Err(e) => Err(BadProgram { name: p.name.clone(), section: p.section.clone(), why: e.to_string() }),
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
        let name = path.file_stem().map_or_else(|| "program".to_owned(), |s| s.to_string_lossy().into_owned());
        if !self.wanted(&name) {
            return Ok(());
        }
        let mut program = Program { name, license: "GPL".to_owned(), insns, ..Program::default() };
        program.prog_type = ProgType::SocketFilter.raw();
        self.overrule(&mut program);
        visit(Case { file: path.display().to_string(), id: None, program: Ok(program), vmlinux: None, caps: None })
    }

    fn records(&self, path: &Path, visit: &mut Visitor<'_>) -> Result<(), Failure> {
        let mut lines = BufReader::new(open(path)?);
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

/// Folders deeper than this are not followed: links may go in circles.
const MAX_DEPTH: usize = 16;

fn collect(dir: &Path, found: &mut Vec<PathBuf>, depth: usize) -> Result<(), Failure> {
    for entry in std::fs::read_dir(dir).map_err(|e| Failure::file(dir, e))? {
        let path = entry.map_err(|e| Failure::file(dir, e))?.path();
        if path.is_dir() {
            if depth < MAX_DEPTH {
                collect(&path, found, depth + 1)?;
            }
        } else if path.extension().is_some_and(|e| e == "jsonl") || is_bpf_object(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// ELF for machine 247: a glance at the header, whatever the name.
fn is_bpf_object(path: &Path) -> bool {
    let mut head = [0; 20];
    let read = File::open(path).and_then(|mut f| f.read_exact(&mut head));
    read.is_ok() && head.starts_with(ELF_MAGIC) && (head[18..20] == [247, 0] || head[18..20] == [0, 247])
}
