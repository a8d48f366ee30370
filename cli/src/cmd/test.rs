//! `test`: unit tests for programs, without root and without a kernel. Finds files of tests, plays them on engines, reports.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kernel_diff::play::{Played, compare, play};
use kernel_diff::{Error, Outcome, expected};
use program::Program;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use scenario::Scenario;

use crate::args::{Kernel, Select};
use crate::exit::{Failure, Status};
use crate::input::{Reader, visit_all};
use crate::output::{BAD, DIM, GOOD, styled};
use crate::scenarios::{Which, misfit, names};

/// Run unit tests of BPF programs in every engine
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The tests of prog.bpf.o stand in prog.test.toml beside it: [[test]] tables with a name, what the program
gets (packet, ctx, args, maps, ...) and what must come of it (returns, packet_out, after, events).
`bpfverdict run --init prog.bpf.o` writes a template.

Exit status: 0 = all passed, 1 = one failed, 2 = bad usage or unreadable input, 3 = an engine that
was asked for is not there.

Examples:
  bpfverdict test build/
  bpfverdict test prog.bpf.o --engine interp,jit,kernel
  bpfverdict test prog.test.toml --format junit > tests.xml")]
pub struct Args {
    /// Files of tests (*.test.toml), objects with such a file beside them, or folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    kernel: Kernel,

    /// Engines; all must do what is expected, and the same
    #[arg(long, value_enum, value_delimiter = ',', default_value = "interp,jit")]
    engine: Vec<Which>,

    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    #[default]
    Human,
    /// One object per line
    Json,
    /// JUnit's XML, for CI
    Junit,
}

/// What came of one test.
struct Done {
    file: PathBuf,
    name: String,
    failures: Vec<String>,
    took: Duration,
}

pub fn run(args: &Args) -> Result<Status, Failure> {
    let profile = args.kernel.profile()?;
    let mut files = BTreeSet::new();
    for path in &args.paths {
        find(path, &mut files)?;
    }
    let names = names()?;
    let mut done = Vec::new();
    for file in files {
        let text = crate::input::read(&file)?;
        let text = std::str::from_utf8(&text)
            .map_err(|e| Failure::file(&file, format!("offset {}: expected text", e.valid_up_to())))?;
        let tests = scenario::tests(text, &names).map_err(|e| Failure::file(&file, e))?;
        let object = object_of(&file, tests.object.as_deref())?;
        let programs = programs(&object, &profile)?;
        for test in &tests.tests {
            if let Some(what) = misfit(test, &programs) {
                return Err(Failure::file(&file, format!("test `{}`: {what}", test.name)));
            }
            let start = Instant::now();
            let failures = failures(test, &programs, &args.engine, &profile)?;
            let one = Done { file: file.clone(), name: test.name.clone(), failures, took: start.elapsed() };
            if args.format == Format::Human {
                human(&one)?;
            }
            done.push(one);
        }
    }
    let failed = done.iter().filter(|d| !d.failures.is_empty()).count();
    let mut out = anstream::stdout();
    match args.format {
        Format::Human => {
            writeln!(out, "\n{} tests: {} passed, {failed} failed", done.len(), done.len() - failed)?;
        }
        Format::Json => {
            for d in &done {
                let line = serde_json::json!({
                    "schema": 1, "file": d.file, "test": d.name, "passed": d.failures.is_empty(), "failures": d.failures,
                });
                writeln!(out, "{line}")?;
            }
        }
        Format::Junit => writeln!(out, "{}", junit(&done)?)?,
    }
    Ok(if failed == 0 { Status::Ok } else { Status::Negative })
}

const SUFFIX: &str = ".test.toml";

/// Files of tests at or below a path.
fn find(path: &Path, files: &mut BTreeSet<PathBuf>) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if path.is_dir() {
        let before = files.len();
        walk(path, files)?;
        if files.len() == before {
            return Err(Failure::file(path, format!("no file of tests (*{SUFFIX}) is in it")));
        }
    } else if name.ends_with(".toml") {
        files.insert(path.to_owned());
    } else {
        let stem = name.strip_suffix(".bpf.o").or(name.strip_suffix(".o")).unwrap_or(&name);
        let beside = path.with_file_name(format!("{stem}{SUFFIX}"));
        if !beside.is_file() {
            return Err(Failure::file(path, format!("expected its tests in {}", beside.display())));
        }
        files.insert(beside);
    }
    Ok(())
}

fn walk(folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder).map_err(|e| Failure::file(folder, e))? {
        let entry = entry.map_err(|e| Failure::file(folder, e))?;
        let kind = entry.file_type().map_err(|e| Failure::file(&entry.path(), e))?;
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() && entry.file_name().to_string_lossy().ends_with(SUFFIX) {
            files.insert(entry.path());
        }
    }
    Ok(())
}

/// The object that a file of tests is about: the one that it names, else the one of its own name.
fn object_of(file: &Path, named: Option<&str>) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return Ok(file.with_file_name(named));
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = name.strip_suffix(SUFFIX).or(name.strip_suffix(".toml")).unwrap_or(&name);
    let candidates = ["bpf.o", "o"].map(|ending| file.with_file_name(format!("{stem}.{ending}")));
    candidates
        .into_iter()
        .find(|c| c.is_file())
        .ok_or_else(|| Failure::file(file, format!("expected {stem}.bpf.o beside it, or a line `object = \"...\"`")))
}

fn programs(object: &Path, profile: &spec::Profile) -> Result<Vec<Program>, Failure> {
    let select = Select::default();
    let reader = Reader::new(&select, profile)?;
    let (mut programs, mut bad) = (Vec::new(), None);
    let status = visit_all(&[object.to_owned()], &reader, &mut |case| {
        match case.program {
            Ok(p) => programs.push(p),
            Err(e) => bad = Some(format!("{}: {}", e.name, e.why)),
        }
        Ok(())
    })?;
    match bad {
        _ if status != Status::Ok => Err(Failure { status, ..Failure::input("") }),
        Some(why) if programs.is_empty() => Err(Failure::file(object, why)),
        _ => Ok(programs),
    }
}

/// Expectations that do not hold and engines that differ, in words.
fn failures(
    test: &Scenario,
    programs: &[Program],
    engines: &[Which],
    profile: &spec::Profile,
) -> Result<Vec<String>, Failure> {
    let mut failures = Vec::new();
    let mut first: Option<(String, Played)> = None;
    for which in engines {
        let mut engine = which.engine(profile)?;
        let name = engine.name().to_owned();
        if *which == Which::Kernel
            && let Some(why) = &test.user_space_only
        {
            anstream::eprintln!("note: `{}` was not asked of the kernel: {why}", test.name);
            continue;
        }
        match play(engine.as_mut(), programs, test) {
            Ok(played) => {
                failures
                    .extend(expected::violations(test, &played, programs).into_iter().map(|v| format!("{name}: {v}")));
                match &first {
                    None => first = Some((name, played)),
                    Some((other, reference)) => {
                        if let Outcome::Differ(what) = compare(reference, &played, &[]) {
                            failures.extend(what.iter().map(|d| format!("{name} differs from {other}: {d}")));
                        }
                    }
                }
            }
            Err(Error::Unsupported(why)) if *which == Which::Kernel => {
                anstream::eprintln!("note: `{}` was not asked of the kernel: {why}", test.name);
            }
            Err(e) => failures.push(format!("{name}: {e}")),
        }
    }
    Ok(failures)
}

fn human(done: &Done) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    let word = if done.failures.is_empty() { styled(GOOD, "ok    ") } else { styled(BAD, "FAILED") };
    writeln!(out, "{word} {}  {}", done.name, styled(DIM, &done.file.display().to_string()))?;
    for failure in &done.failures {
        writeln!(out, "       {failure}")?;
    }
    Ok(())
}

fn junit(done: &[Done]) -> Result<String, Failure> {
    let mut report = Report::new("bpfverdict test");
    let mut suites: Vec<TestSuite> = Vec::new();
    for d in done {
        let file = d.file.display().to_string();
        let status = if d.failures.is_empty() {
            TestCaseStatus::success()
        } else {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(d.failures[0].clone()).set_description(d.failures.join("\n"));
            status
        };
        let mut case = TestCase::new(d.name.clone(), status);
        case.set_classname(file.clone()).set_time(d.took);
        match suites.iter_mut().find(|s| s.name.as_str() == file) {
            Some(suite) => {
                suite.add_test_case(case);
            }
            None => {
                let mut suite = TestSuite::new(file);
                suite.add_test_case(case);
                suites.push(suite);
            }
        }
    }
    report.add_test_suites(suites);
    report.to_string().map_err(Failure::environment)
}
