//! A filetest as text: its directives, its program, what is expected on which line, and what other kernels were recorded to say. Reading and
//! rewriting; nothing is judged or run here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use corpus::Corpus;
use isa::Insn;
use program::{MapDef, Program};
use runtime::Input;
use runtime::input::{Argument, Blob, Entry, FieldValue, MapPreset};
use spec::map::flags;
use spec::profile::Version;
use spec::{AttachType, Caps, MapType, Profile, ProgType};

/// One file.
pub struct File {
    lines: Vec<String>,
    pub program: Program,
    pub caps: Option<Caps>,
    /// Line (from 1) of each slot; empty for programs of objects.
    pub slot_lines: Vec<usize>,
    pub expect: Expect,
    /// Line and number of `; insns: N`.
    pub insns: Option<(usize, u64)>,
    /// Line of `; log:` and the lines below it.
    pub log: Option<(usize, Vec<String>)>,
    pub runs: Vec<Run>,
    /// `; kernel NAME: ...`: what kernels other than the reference answered.
    pub kernels: Vec<Recorded>,
    /// `PATH PROGRAM` of `; object:`.
    object: Option<String>,
}

/// What a kernel was recorded to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub line: usize,
    /// The profile's name.
    pub kernel: String,
    pub says: Says,
}

/// An answer of a verifier: errno (0: accepted), the last line of the message, and the counters, which not every refusal has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Says {
    pub errno: i32,
    pub message: String,
    pub insns: Option<u64>,
    /// In all, and at most at a time.
    pub states: Option<(u64, u64)>,
}

impl fmt::Display for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno {
            0 => write!(f, "accept")?,
            errno => write!(f, "reject {errno}")?,
        }
        if let Some(insns) = self.insns {
            write!(f, " insns {insns}")?;
        }
        if let Some((total, peak)) = self.states {
            write!(f, " states {total}/{peak}")?;
        }
        if self.errno != 0 { write!(f, " \"{}\"", self.message) } else { Ok(()) }
    }
}

impl Says {
    /// `accept insns 56 states 6/6`, `reject -13 insns 34 states 3/3 "R8 unbounded memory access"`.
    fn parse(text: &str) -> Parse<Self> {
        let (head, message) = text.split_once('"').unwrap_or((text, ""));
        let mut says = Says { message: message.strip_suffix('"').unwrap_or(message).to_owned(), ..Says::default() };
        let count = |t: &str| t.parse().map_err(|_| format!("`{t}` is no number"));
        let mut words = head.split_whitespace();
        let mut value = |what: &str| words.next().ok_or(format!("`{what}` lacks a value"));
        match value("kernel")? {
            "accept" => {}
            "reject" => {
                let errno = value("reject")?;
                says.errno = errno.parse().ok().filter(|e| *e < 0).ok_or(format!("`{errno}` is no negative errno"))?;
            }
            other => return Err(format!("expected `accept` or `reject`, not `{other}`")),
        }
        while let Ok(what) = value("") {
            match what {
                "insns" => says.insns = Some(count(value(what)?)?),
                "states" => {
                    let states = value(what)?;
                    let (total, peak) = states.split_once('/').ok_or(format!("expected TOTAL/PEAK, not `{states}`"))?;
                    says.states = Some((count(total)?, count(peak)?));
                }
                _ => return Err(format!("an answer has no `{what}`")),
            }
        }
        Ok(says)
    }
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    Accept,
    /// `line`: where the directive stands; on an instruction it is the one that must be refused.
    Reject {
        line: usize,
        on_insn: bool,
        id: String,
        message: String,
    },
}

/// One `; run:` line.
pub struct Run {
    pub line: usize,
    pub input: Input,
    pub given: String,
    /// `what` -> value: `packet`, `record`, `map.NAME[KEY]`, `event.NAME`, and `""` for the return value.
    pub results: BTreeMap<String, String>,
}

type Parse<T> = Result<T, String>;

/// Names in the text: helpers by theirs, maps by the file's, kfuncs by the kernel's.
struct Names<'a> {
    maps: &'a [Arc<MapDef>],
    kernel: &'a Profile,
}

impl isa::asm::Symbols for Names<'_> {
    fn helper(&self, name: &str) -> Option<i32> {
        spec::helper::by_name(name).and_then(|h| i32::try_from(h.id).ok())
    }

    fn kfunc(&self, name: &str) -> Option<i32> {
        self.kernel.btf().find(btf::Kind::Func, name).and_then(|id| i32::try_from(id).ok())
    }

    fn map(&self, name: &str) -> Option<i32> {
        self.maps.iter().position(|m| m.name == name).and_then(|i| i32::try_from(i).ok())
    }
}

impl File {
    pub fn read(path: &Path) -> Parse<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self::parse(&name, &text)
    }

    pub fn parse(name: &str, text: &str) -> Parse<Self> {
        let mut file = File {
            lines: text.lines().map(str::to_owned).collect(),
            program: Program { name: name.to_owned(), license: "GPL".to_owned(), ..Program::default() },
            caps: None,
            slot_lines: Vec::new(),
            expect: Expect::Accept,
            insns: None,
            log: None,
            runs: Vec::new(),
            kernels: Vec::new(),
            object: None,
        };
        let mut in_log = false;
        for (n, line) in text.lines().enumerate() {
            let line_number = n + 1;
            let at = |e: String| format!("line {line_number}: {e}");
            let (code, comment) = line.split_once(';').map_or((line, ""), |(a, b)| (a, b));
            // An empty line of a log may have lost its spaces.
            let logged = if comment.trim().is_empty() && code != line { Some("") } else { comment.strip_prefix("   ") };
            if let (true, Some(logged), Some((_, log))) = (in_log, logged, file.log.as_mut()) {
                log.push(logged.to_owned());
                continue;
            }
            in_log = false;
            let comment = comment.trim();
            if let Some(rest) = comment.strip_prefix("reject ") {
                let (id, message) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
                let message = message.trim().trim_matches('"').to_owned();
                let on_insn = !code.trim().is_empty();
                if file.expect != Expect::Accept {
                    return Err(at("a second `reject`".to_owned()));
                }
                file.expect = Expect::Reject { line: line_number, on_insn, id: id.to_owned(), message };
            } else if code.trim().is_empty()
                && let Some((word, value)) = comment.split_once(':')
            {
                match word {
                    "object" => file.object = Some(value.trim().to_owned()),
                    "log" => {
                        in_log = true;
                        file.log = Some((line_number, Vec::new()));
                    }
                    _ => file.directive(word, value.trim(), line_number).map_err(at)?,
                }
            }
        }
        let kernel = Profile::reference();
        if file.object.is_some() {
            file.program = file.program_for(&kernel)?;
        } else {
            (file.program.insns, file.slot_lines) = file.assembled(&kernel)?;
        }
        Ok(file)
    }

    /// The text's instructions, and the line of each slot.
    fn assembled(&self, kernel: &Profile) -> Parse<(Vec<Insn>, Vec<usize>)> {
        let names = Names { maps: &self.program.maps, kernel };
        isa::asm::assemble_lines(&self.lines.join("\n"), &names).map_err(|e| e.to_string())
    }

    fn directive(&mut self, word: &str, value: &str, line: usize) -> Parse<()> {
        let program = &mut self.program;
        match word {
            "type" => {
                program.prog_type = ProgType::from_name(value).ok_or(format!("`{value}` is no program type"))?.raw()
            }
            "attach" => {
                let attach = AttachType::from_name(value).ok_or(format!("`{value}` is no attach type"))?;
                program.expected_attach_type = attach.raw();
            }
            "flags" => program.flags = program_flags(value)?,
            "license" => value.clone_into(&mut program.license),
            "caps" => self.caps = Some(caps(value)?),
            "insns" => self.insns = Some((line, value.parse().map_err(|_| format!("`{value}` is no number"))?)),
            "run" => {
                let run = run(value, line)?;
                self.runs.push(run);
            }
            _ => {
                if let Some(kernel) = word.strip_prefix("kernel ") {
                    let kernel = kernel.trim().to_owned();
                    if self.kernels.iter().any(|k| k.kernel == kernel) {
                        return Err(format!("a second answer of kernel {kernel}"));
                    }
                    self.kernels.push(Recorded { line, kernel, says: Says::parse(value)? });
                } else if let Some(name) = word.strip_prefix("map ") {
                    program.maps.push(Arc::new(map(name.trim(), value)?));
                } else if word.bytes().all(|b| b.is_ascii_lowercase()) {
                    return Err(format!("`{word}:` is no directive"));
                }
                // Else prose with a colon in it.
            }
        }
        Ok(())
    }

    /// The program comes from an object of the corpus.
    pub fn is_of_corpus(&self) -> bool {
        self.object.is_some()
    }

    /// The program as it is made for a kernel; of text only kfuncs are another's there.
    pub fn program_for(&self, profile: &Profile) -> Parse<Program> {
        let Some(value) = &self.object else {
            let (insns, _) = self.assembled(profile)?;
            return Ok(Program { insns, ..self.program.clone() });
        };
        let (path, name) = value.split_once(' ').ok_or("expected `; object: PATH PROGRAM`")?;
        let entries = Corpus::embedded().map_err(|e| e.to_string())?.entries;
        let entry = entries.iter().find(|e| Some(e.id().as_str()) == path.strip_suffix(".bpf.o"));
        let entry = entry.ok_or(format!("the corpus has no `{path}`"))?;
        let options =
            loader::Options { object_name: entry.object.name.clone(), ..loader::Options::for_profile(profile) };
        let object = loader::open(&entry.elf, &options).map_err(|e| format!("{path}: {e}"))?;
        let index = object.programs.iter().position(|p| p.name == name.trim());
        let index = index.ok_or(format!("{path}: no program `{name}`"))?;
        object.program(index, Some(profile.btf())).map_err(|e| format!("{path}: {e}"))
    }

    /// The text with another answer of a kernel, in the place of the old one, or where the versions ascend.
    pub fn with_answer(&self, kernel: &str, says: &Says) -> String {
        let mut lines = self.lines.clone();
        let line = format!("; kernel {kernel}: {says}");
        match self.kernels.iter().find(|k| k.kernel == kernel) {
            Some(old) => lines[old.line - 1] = line,
            None => {
                let older = |k: &&Recorded| Version::parse(&k.kernel) < Version::parse(kernel);
                let code = || lines.iter().position(|l| !l.starts_with(';')).unwrap_or(lines.len());
                let at = match self.kernels.iter().rfind(older) {
                    Some(older) => older.line,
                    None => self.kernels.first().map_or_else(code, |k| k.line - 1),
                };
                lines.insert(at, line);
            }
        }
        lines.join("\n") + "\n"
    }

    /// The text with other expectations: what `BLESS=1` writes.
    pub fn rewritten(&self, expect: &Expect, insns: u64, log: &str, results: &[BTreeMap<String, String>]) -> String {
        let mut out: Vec<String> = Vec::new();
        let log_lines = self.log.as_ref().map_or(0..0, |(at, lines)| *at..*at + lines.len());
        for (n, line) in self.lines.iter().enumerate() {
            if log_lines.contains(&n) {
                continue;
            }
            let number = n + 1;
            let is_reject = line.split_once(';').is_some_and(|(_, c)| c.trim().starts_with("reject "));
            let code = line.split(';').next().unwrap_or_default().trim_end();
            match expect {
                Expect::Reject { line: at, on_insn, id, message } if *at == number => {
                    let directive = format!("; reject {id} \"{message}\"");
                    if *on_insn {
                        out.push(format!("{code:<40}{directive}"));
                        continue;
                    }
                    out.push(directive);
                }
                _ => {}
            }
            match (&self.insns, self.runs.iter().position(|r| r.line == number)) {
                // An expectation of before: gone, with its line if that held nothing else.
                _ if is_reject && code.is_empty() => {}
                _ if is_reject => out.push(code.to_owned()),
                (Some((at, _)), _) if *at == number => out.push(format!("; insns: {insns}")),
                (_, Some(i)) if results.len() > i => {
                    out.push(format!("; run: {}=> {}", self.runs[i].given, shown(&results[i])));
                }
                _ => out.push(line.clone()),
            }
            if self.log.as_ref().is_some_and(|(at, _)| *at == number) {
                out.extend(log.lines().map(|l| format!(";   {l}")));
            }
        }
        out.join("\n") + "\n"
    }

    /// The line of a slot.
    pub fn line_of(&self, slot: u32) -> Option<usize> {
        self.slot_lines.get(slot as usize).copied()
    }

    /// Where a refusal that belongs to no instruction is expected: in front of the program.
    pub fn head(&self) -> usize {
        let first = self.slot_lines.first().copied().unwrap_or(self.lines.len());
        match self.expect {
            Expect::Reject { line, on_insn: false, .. } => line,
            _ => first,
        }
    }
}

/// Results in the form in which they are read.
fn shown(results: &BTreeMap<String, String>) -> String {
    let parts = results.iter().map(|(what, value)| match what.as_str() {
        "" => value.clone(),
        _ => format!("{what}={value}"),
    });
    parts.collect::<Vec<_>>().join(" ")
}

fn program_flags(value: &str) -> Parse<u32> {
    value.split(',').try_fold(0, |all, name| {
        Ok(all
            | match name.trim() {
                "strict_alignment" => 1,
                "any_alignment" => 2,
                "test_rnd_hi32" => 4,
                "test_state_freq" => 8,
                "sleepable" => 16,
                "xdp_has_frags" => 32,
                "xdp_dev_bound_only" => 64,
                "test_reg_invariants" => 128,
                other => number(other)? as u32,
            })
    })
}

fn caps(value: &str) -> Parse<Caps> {
    let mut caps = Caps::NONE;
    for name in value.split(',').map(str::trim) {
        match name {
            "none" => {}
            "bpf" => caps.bpf = true,
            "perfmon" => caps.perfmon = true,
            "net_admin" => caps.net_admin = true,
            "sys_admin" => caps.sys_admin = true,
            _ => return Err(format!("`{name}` is no capability that matters here")),
        }
    }
    Ok(caps)
}

fn number(text: &str) -> Parse<u64> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("`{text}` is no number"))
}

/// `array key 4 value 8 entries 1 flags RDONLY_PROG,MMAPABLE`
fn map(name: &str, value: &str) -> Parse<MapDef> {
    let words: Vec<&str> = value.split_whitespace().collect();
    let (kind, rest) = words.split_first().ok_or("expected a map type")?;
    let map_type = MapType::from_name(kind).ok_or(format!("`{kind}` is no map type"))?.raw();
    let mut def = MapDef { name: name.to_owned(), full_name: name.to_owned(), map_type, ..MapDef::default() };
    for pair in rest.chunks(2) {
        let [key, value] = pair else { return Err(format!("`{}` has no value", pair.join(" "))) };
        match *key {
            "key" => def.key_size = number(value)? as u32,
            "value" => def.value_size = number(value)? as u32,
            "entries" => def.max_entries = number(value)? as u32,
            "flags" => {
                for flag in value.split(',') {
                    let bit = flags::NAMES.iter().position(|n| *n == flag).ok_or(format!("`{flag}` is no map flag"))?;
                    def.map_flags |= 1 << bit;
                }
            }
            "contents" => def.value0 = Some(corpus::literal::parse(value)?),
            "frozen" => def.frozen = *value == "yes",
            _ => return Err(format!("a map has no `{key}`")),
        }
    }
    Ok(def)
}

/// `packet="zero:60" ctx.mark=7 => 2 packet=...`
fn run(value: &str, line: usize) -> Parse<Run> {
    let (given, expected) = value.split_once("=>").ok_or("expected `; run: INPUT => RESULT`")?;
    let mut input = Input::default();
    for (what, value) in pairs(given)? {
        let bytes = || corpus::literal::parse(&value);
        match what.as_str() {
            "packet" => input.packet = Blob(bytes()?),
            "meta" => input.meta = Blob(bytes()?),
            "record" => input.record = Blob(bytes()?),
            "arg" => input.args.push(Argument::Number(number(&value)? as i64)),
            _ if what.starts_with("ctx.") => {
                input.ctx.insert(what["ctx.".len()..].to_owned(), FieldValue::UInt(number(&value)?));
            }
            _ => {
                let (name, key) = element(&what).ok_or(format!("`{what}` is no part of an input"))?;
                let entry =
                    Entry { key: Blob(corpus::literal::parse(key)?), value: Blob(bytes()?), ..Entry::default() };
                match input.maps.iter_mut().find(|m| m.map == name) {
                    Some(m) => m.entries.push(entry),
                    None => input.maps.push(MapPreset {
                        map: name.to_owned(),
                        entries: vec![entry],
                        ..MapPreset::default()
                    }),
                }
            }
        }
    }
    let mut results = BTreeMap::new();
    for (what, value) in pairs(expected)? {
        results.insert(what, value);
    }
    Ok(Run { line, input, given: given.trim_start().to_owned(), results })
}

/// `map.NAME[KEY]`
fn element(what: &str) -> Option<(&str, &str)> {
    what.strip_prefix("map.")?.strip_suffix(']')?.split_once('[')
}

/// `name=value` by white space, values perhaps in quotes; a word without `=` is the value of the empty name.
fn pairs(text: &str) -> Parse<Vec<(String, String)>> {
    let mut out = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let Some(value) = after.strip_prefix('=') else {
            out.push((String::new(), name.to_owned()));
            rest = after.trim_start();
            continue;
        };
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or("a quote is not closed")?,
            None => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
        };
        out.push((name.to_owned(), value.to_owned()));
        rest = after.trim_start();
    }
    Ok(out)
}
