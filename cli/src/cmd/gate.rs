//! `gate`: objects for many kernels, against limits and a baseline, with reports. What fails is decided in the `gate` crate; here are
//! arguments, the judging of all cells, and where reports go.

use std::io::Write;
use std::path::{Path, PathBuf};

use diagnose::Role;
use gate::baseline::Baseline;
use gate::config::{self, Config};
use gate::{Configuration, Gate};
use report::{Cell, Format, Place, Report, Verdict};
use spec::profile::Folders;
use spec::{Profile, ProgType};

use crate::args::Select;
use crate::exit::{Failure, Status};
use crate::input::{Case, Reader, read};
use crate::parallel::Pool;
use crate::verdict::{self, Row};

/// Judge objects for many kernels, against a baseline and limits
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Without a PATH, and for everything that no option says, bpfverdict.toml is read.

Exit status: 0 = passed, 1 = failed, 2 = bad usage or unreadable input, 3 = the environment lacks what was asked for.

Examples:
  bpfverdict gate --init build/
  bpfverdict gate --update
  bpfverdict gate --report sarif=gate.sarif --report junit=gate.xml
  bpfverdict gate --kernel 5.10,6.1,6.18 build/*.bpf.o
  bpfverdict gate --shard 1/4 --format json > 1.json; bpfverdict gate merge *.json"
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// Objects, folders of them; else what bpfverdict.toml names
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// The configuration; `bpfverdict.toml` of this folder if it is there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Kernels to judge for; wins over the configuration
    #[arg(long = "kernel", value_name = "VERSION", value_delimiter = ',')]
    kernels: Vec<String>,

    /// Folder with more profiles; also $BPFVERDICT_PROFILES
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,

    /// The baseline; wins over the configuration
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,

    /// Write the baseline anew; what is refused then is known
    #[arg(long)]
    update: bool,

    /// Write a bpfverdict.toml for what is found
    #[arg(long, conflicts_with_all = ["update", "shard"])]
    init: bool,

    /// Only a part of the programs: 1/4 to 4/4
    #[arg(long, value_name = "K/N", value_parser = shard)]
    shard: Option<(usize, usize)>,

    #[command(flatten)]
    output: Output,

    /// Print the JSON schema of bpfverdict.toml, or of the JSON report, and end
    #[arg(long, value_name = "OF", value_parser = ["config", "report"])]
    schema: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Output {
    /// Form of the result: human, json, sarif, junit, github, summary, gitlab, markdown, csv, html or veristat
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = form)]
    format: Form,

    /// Also write a report: `sarif=gate.sarif`; as often as wanted
    #[arg(long, value_name = "FORMAT=FILE", value_parser = target)]
    report: Vec<(Form, PathBuf)>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// One report of the JSON reports of shards
    Merge {
        #[arg(required = true, value_name = "REPORT")]
        reports: Vec<PathBuf>,

        #[command(flatten)]
        output: Output,
    },
}

/// A report's form, or the records of another tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Report(Format),
    Veristat,
}

fn form(text: &str) -> Result<Form, String> {
    if text == "veristat" {
        return Ok(Form::Veristat);
    }
    let known = || Format::ALL.map(Format::name).join(", ");
    Format::from_name(text).map(Form::Report).ok_or_else(|| format!("there are {}, veristat", known()))
}

fn target(text: &str) -> Result<(Form, PathBuf), String> {
    let (format, file) = text.split_once('=').ok_or("expected FORMAT=FILE")?;
    Ok((form(format)?, PathBuf::from(file)))
}

fn shard(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    parts.filter(|(k, n)| (1..=*n).contains(k)).ok_or_else(|| "expected K/N with 1 <= K <= N".to_owned())
}

/// Where nothing is said: the kernels that distributions are on.
const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "6.18"];

pub fn run(args: &Args) -> Result<Status, Failure> {
    if let Some(of) = &args.schema {
        let text = if of == "config" { Config::schema() } else { report::schema() };
        write!(std::io::stdout(), "{text}")?;
        return Ok(Status::Ok);
    }
    if let Some(Command::Merge { reports, output }) = &args.command {
        return merge(reports, output);
    }
    let found = args.config.clone().or_else(|| Some(PathBuf::from(config::FILE)).filter(|p| p.is_file()));
    if args.init {
        return init(args);
    }
    let config = match &found {
        Some(path) => Config::parse(&text(path)?).map_err(|e| Failure::file(path, e))?,
        None => Config::default(),
    };
    let root = found.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_path_buf();
    let objects = objects(args, &config, &root)?;
    let kernels = match (args.kernels.is_empty(), config.kernels.is_empty()) {
        (false, _) => args.kernels.clone(),
        (true, false) => config.kernels.clone(),
        (true, true) => KERNELS.map(str::to_owned).to_vec(),
    };
    let folders = Folders::new(args.profiles.as_deref());
    let mut profiles = Vec::new();
    for name in &kernels {
        let profile = match name.as_str() {
            "host" => crate::host::profile(&folders)?,
            name => Profile::load_from(name, &folders).map_err(Failure::environment)?,
        };
        if !profiles.iter().any(|(n, _): &(String, Profile)| n == name) {
            profiles.push((name.clone(), profile));
        }
    }
    let file = args.baseline.clone().or_else(|| config.baseline.as_ref().map(|b| root.join(b)));
    let baseline = match &file {
        Some(path) if path.is_file() && !args.update => {
            Some(Baseline::parse(&text(path)?).map_err(|e| Failure::file(path, e))?)
        }
        Some(path) if args.baseline.is_some() && !args.update => {
            return Err(Failure::file(path, "there is no such baseline; --update writes one"));
        }
        _ => None,
    };
    let mut report = Report { schema: report::model::SCHEMA, ..Report::default() };
    report.kernels = (profiles.iter())
        .map(|(name, p)| report::Kernel { name: name.clone(), version: p.version.to_string() })
        .collect();
    let mut unreadable = Vec::new();
    for (i, path) in objects.iter().enumerate() {
        if args.shard.is_some_and(|(k, n)| i % n + 1 != k) {
            continue;
        }
        let name = name_of(path, &root);
        for (kernel, profile) in &profiles {
            let only = config.settings(&name).filter(|s| !s.kernels.is_empty()).last();
            if only.is_some_and(|s| !s.kernels.contains(kernel)) {
                continue;
            }
            for with in gate::configurations(&config, &name).map_err(Failure::input)? {
                let at = At { name: &name, root: &root, kernel, profile, with: &with };
                match cells(path, &config, &at) {
                    Ok(cells) => report.cells.extend(cells),
                    Err(f) if f.status == Status::BadInput => {
                        if !unreadable.iter().any(|(n, _)| *n == name) {
                            unreadable.push((name.clone(), f.message));
                        }
                    }
                    Err(f) => return Err(f),
                }
            }
        }
    }
    report.shard = args.shard.map(|(k, n)| format!("{k}/{n}"));
    if baseline.is_none() && !args.update {
        report.notes.push("there is no baseline: every refusal fails; `gate --update` writes one".to_owned());
    }
    let complete = args.shard.is_none() && args.paths.is_empty();
    let own = args.update.then(|| Baseline::of(&report.cells));
    let gate = Gate { config: &config, baseline: baseline.as_ref().or(own.as_ref()), today: &today(), complete };
    gate.evaluate(&mut report, &unreadable);
    add_rules(&mut report);
    let status = finish(&report, &args.output)?;
    if let (true, Some(own)) = (args.update, own) {
        let path =
            file.ok_or_else(|| Failure::input("--update needs a baseline: --baseline FILE, or bpfverdict.toml"))?;
        std::fs::write(&path, own.write()).map_err(|e| Failure::file(&path, e))?;
        anstream::eprintln!("{}: {} lines written", path.display(), own.lines.len());
    }
    Ok(if unreadable.is_empty() { status } else { Status::BadInput })
}

/// The object of one column and configuration.
struct At<'a> {
    name: &'a str,
    root: &'a Path,
    kernel: &'a str,
    profile: &'a Profile,
    with: &'a Configuration,
}

fn cells(path: &Path, config: &Config, at: &At<'_>) -> Result<Vec<Cell>, Failure> {
    let named = config.settings(at.name).filter_map(|s| s.prog_type.as_deref()).last();
    let prog_type = named
        .map(|t| ProgType::from_name(t).ok_or_else(|| Failure::input(format!("{}: `{t}` is no program type", at.name))))
        .transpose()?;
    let kconfig = config.kconfig.as_ref().map(|k| at.root.join(k));
    let select = Select { set: at.with.values.clone(), kconfig, prog_type, ..Select::default() };
    let reader = Reader::new(&select, at.profile)?;
    let mut cells = Vec::new();
    let judge = |case: Case| {
        let size = case.program.as_ref().map_or(0, |p| p.insns.len());
        let maps = case.program.as_ref().map_or(0, |p| p.maps.len());
        (verdict::judge(&case, at.profile, 0, false), size, maps)
    };
    let mut take = |(row, size, maps): (Row, usize, usize)| {
        cells.push(cell(row, size, maps, at));
        Ok(())
    };
    std::thread::scope(|scope| {
        let mut pool = Pool::new(scope, &judge);
        reader.visit(path, &mut |case| {
            let cost = case.program.as_ref().map_or(0, |p| p.insns.len());
            pool.give(case, cost, &mut take)
        })?;
        pool.finish(&mut take)
    })?;
    Ok(cells)
}

fn cell(row: Row, size: usize, maps: usize, at: &At<'_>) -> Cell {
    let verdict = Verdict::from_name(row.verdict).unwrap_or_default();
    let refusal = (verdict != Verdict::Accept).then(|| refusal(&row, at.root));
    Cell {
        object: at.name.to_owned(),
        program: row.program,
        section: row.section,
        prog_type: row.prog_type,
        configuration: at.with.name.clone(),
        kernel: at.kernel.to_owned(),
        verdict,
        id: row.code,
        rule: row.rule,
        errno: row.errno,
        message: row.message,
        insns: row.insns_processed,
        total_states: row.total_states,
        peak_states: row.peak_states,
        max_states_per_insn: row.max_states_per_insn,
        stack: row.stack_depth.split('+').filter_map(|s| s.parse().ok()).collect(),
        size: size.try_into().unwrap_or(u32::MAX),
        maps: maps.try_into().unwrap_or(u32::MAX),
        duration_us: row.duration_us,
        refusal,
        ..Cell::default()
    }
}

/// The diagnosis in the report's terms; without one, the refused place alone.
fn refusal(row: &Row, root: &Path) -> report::model::Refusal {
    let mut out = report::model::Refusal { cause: row.cause.map(str::to_owned), ..Default::default() };
    out.story.clone_from(&row.title);
    for p in row.places.iter().flatten() {
        let role = match p.role {
            Role::Rejected => report::Role::Rejected,
            Role::Made => report::Role::Made,
            Role::Checked => report::Role::Checked,
            Role::Lost => report::Role::Lost,
            Role::Loop => report::Role::Loop,
            Role::Function => report::Role::Function,
        };
        out.places.push(Place {
            role,
            file: p.file.as_deref().map(|f| localise(f, root)),
            line: p.line.unwrap_or(0),
            column: p.column.unwrap_or(0),
            text: p.text.clone().unwrap_or_default(),
            insn: p.insn,
            function: None,
            note: Some(p.label.clone()).filter(|l| !l.is_empty()),
        });
    }
    // The refused place comes first.
    out.places.sort_by_key(|p| p.role != report::Role::Rejected);
    if out.places.is_empty() {
        let source = row.source.as_deref().and_then(|s| s.rsplit_once(':'));
        let file = source.map(|(f, _)| localise(f, root));
        let line = source.and_then(|(_, l)| l.parse().ok()).unwrap_or(0);
        if file.is_some() || row.insn.is_some() {
            out.places.push(Place { file, line, insn: row.insn, ..Place::default() });
        }
    }
    for f in row.fix.iter().flatten() {
        let edit = match (&f.code, &f.file, f.line) {
            (Some(code), Some(file), Some(line)) => {
                let last = if f.how == Some("before") { line.saturating_sub(1) } else { line };
                Some(report::Edit { file: localise(file, root), first: line, last, with: code.clone() })
            }
            _ => None,
        };
        out.fixes.push(report::Fix { text: f.text.clone(), edits: edit.into_iter().collect() });
    }
    out
}

/// A compiler's path as one of this repository: the longest end of it that is a file here.
fn localise(file: &str, root: &Path) -> String {
    let parts: Vec<&str> = file.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    let mut ends = (0..parts.len()).map(|i| parts[i..].join("/"));
    ends.find(|end| root.join(end).is_file()).unwrap_or_else(|| file.to_owned())
}

fn name_of(path: &Path, root: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let below = path.strip_prefix(root).or_else(|_| path.strip_prefix(&here)).unwrap_or(path);
    below.display().to_string().trim_start_matches("./").replace('\\', "/")
}

/// The files to judge, by name.
fn objects(args: &Args, config: &Config, root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in &args.paths {
        if path.is_dir() { walk(path, &mut found, 0)? } else { found.push(path.clone()) }
    }
    if args.paths.is_empty() {
        let mut all = Vec::new();
        for wanted in &config.objects {
            let plain = root.join(wanted);
            if plain.is_dir() {
                walk(&plain, &mut found, 0)?;
                continue;
            }
            if plain.is_file() {
                found.push(plain);
                continue;
            }
            let pattern = config::pattern(wanted).map_err(Failure::input)?;
            if all.is_empty() {
                walk(if root.as_os_str().is_empty() { Path::new(".") } else { root }, &mut all, 0)?;
            }
            found.extend(all.iter().filter(|p| pattern.is_match(name_of(p, root))).cloned());
        }
    }
    found.sort();
    found.dedup();
    match found.is_empty() {
        true => Err(Failure::input("no BPF object to judge: name a PATH, or `objects` in bpfverdict.toml")),
        false => Ok(found),
    }
}

/// Folders deeper than this are not followed: links may go in circles.
const MAX_DEPTH: usize = 16;

fn walk(folder: &Path, found: &mut Vec<PathBuf>, depth: usize) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder).map_err(|e| Failure::file(folder, e))? {
        let path = entry.map_err(|e| Failure::file(folder, e))?.path();
        if path.is_dir() {
            if depth < MAX_DEPTH {
                walk(&path, found, depth + 1)?;
            }
        } else if crate::input::is_bpf_object(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn init(args: &Args) -> Result<Status, Failure> {
    let path = args.config.clone().unwrap_or_else(|| PathBuf::from(config::FILE));
    if path.exists() {
        return Err(Failure::file(&path, "is there already"));
    }
    let mut found = Vec::new();
    let here = [PathBuf::from(".")];
    for folder in if args.paths.is_empty() { &here[..] } else { &args.paths } {
        if folder.is_dir() { walk(folder, &mut found, 0)? } else { found.push(folder.clone()) }
    }
    let folder = |p: &PathBuf| p.parent().unwrap_or(Path::new("")).join("*.o");
    let mut patterns: Vec<String> = found.iter().map(|p| name_of(&folder(p), Path::new(""))).collect();
    patterns.sort();
    patterns.dedup();
    if patterns.is_empty() {
        return Err(Failure::input("no BPF object found: compile first, or name the folder"));
    }
    let kernels = if args.kernels.is_empty() { KERNELS.map(str::to_owned).to_vec() } else { args.kernels.clone() };
    std::fs::write(&path, Config::starter(&patterns, &kernels)).map_err(|e| Failure::file(&path, e))?;
    anstream::eprintln!("{}: written for {} objects; next: bpfverdict gate --update", path.display(), found.len());
    Ok(Status::Ok)
}

fn merge(files: &[PathBuf], output: &Output) -> Result<Status, Failure> {
    let mut reports = Vec::new();
    for file in files {
        let read = report::parse(&text(file)?);
        reports.push(read.map_err(|e| Failure::file(file, format!("expected a JSON report of the gate: {e}")))?);
    }
    finish(&Report::merge(reports), output)
}

/// Writes all reports, and the result.
fn finish(report: &Report, output: &Output) -> Result<Status, Failure> {
    for (form, path) in &output.report {
        let text = render(*form, report)?;
        let plain = anstream::adapter::strip_str(&text).to_string();
        std::fs::write(path, plain).map_err(|e| Failure::file(path, e))?;
    }
    write!(anstream::stdout(), "{}", render(output.format, report)?)?;
    Ok(if report.failed() { Status::Negative } else { Status::Ok })
}

fn render(form: Form, report: &Report) -> Result<String, Failure> {
    match form {
        Form::Report(format) => Ok(format.render(report)),
        Form::Veristat if report.kernels.len() > 1 => {
            Err(Failure::input("veristat's records are of one kernel: choose one with --kernel"))
        }
        Form::Veristat => Ok(gate::veristat::write(report.cells.iter())),
    }
}

/// What refusals are called, for formats that carry their rules.
fn add_rules(report: &mut Report) {
    for f in &report.findings {
        if report.rules.iter().any(|r| r.id == f.rule) {
            continue;
        }
        let of_rule = |c: &&Cell| c.id.as_deref() == Some(f.rule.as_str());
        let name = report.cells.iter().find(of_rule).and_then(|c| c.rule.clone()).unwrap_or_else(|| f.rule.clone());
        report.rules.push(report::Rule { id: f.rule.clone(), short: name.clone(), name, ..Default::default() });
    }
    report.rules.sort_by(|a, b| a.id.cmp(&b.id));
}

fn text(path: &Path) -> Result<String, Failure> {
    let bytes = read(path)?;
    String::from_utf8(bytes)
        .map_err(|e| Failure::file(path, format!("offset {}: expected text", e.utf8_error().valid_up_to())))
}

/// The day in UTC, as suppressions have it.
fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let days = since.as_secs() / 86_400;
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    format!("{year}-{:02}-{:02}", month + 1, left + 1)
}
