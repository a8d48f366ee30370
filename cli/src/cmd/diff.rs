//! `diff`: user space against the real kernel, program by program: verdicts, counters, and for the corpus also what programs do.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use corpus::{Corpus, Entry};
use engines::rbpf::Rbpf;
use engines::userspace::{Backend, Userspace};
use engines::verifier::Verifier;
use kernel_diff::ledger::{Ledger, Standing};
use kernel_diff::outcome::{Difference, judgements};
use kernel_diff::play::{Played, compare, play, target};
use kernel_diff::{Engine, Error, Judgement, LoadOptions, Outcome, recorded};
use program::Program;
use scenario::Scenario;
use serde::Serialize;
use spec::Profile;
use vm::{Catalogue, Vm, VmEngine};

use crate::args::{Kernel, Select};
use crate::exit::{Failure, Status};
use crate::input::{Reader, visit_all};
use crate::output::{self, BAD, DIM, GOOD, WARN, styled};

/// Compare what we say and do with the real kernel
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`corpus` as PATH means the programs that come with bpfverdict, with their inputs; where no kernel can be
asked, the answers recorded with them take its place.

Exit status: 0 = all agree (or differ as the ledger says), 1 = something differs, 2 = bad usage or
unreadable input, 3 = no kernel to ask.

Examples:
  bpfverdict diff corpus
  bpfverdict diff build/*.bpf.o --format json
  bpfverdict diff corpus --engine vm --kernel 6.12,6.18      # after: bpfverdict kernels fetch 6.12 6.18")]
pub struct Args {
    /// `corpus`, ELF objects, folders, load records
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    select: Select,

    #[command(flatten)]
    kernel: Kernel,

    /// Run every program on this input, too: one step, or a scenario of several (TOML or JSON)
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// Where the kernel is
    #[arg(long, value_enum, default_value_t)]
    engine: Where,

    #[arg(long, value_enum, default_value_t)]
    format: Form,
}

/// Form of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// A table and the reasons
    #[default]
    Human,
    /// One JSON object a line
    Json,
    /// Comma-separated values with a header
    Csv,
    /// JUnit XML: a suite per kernel, a case per program
    Junit,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Where {
    /// This machine's, else the recorded answers
    #[default]
    Host,
    /// The answers recorded with the corpus
    Recorded,
    /// Kernels in QEMU guests: --kernel names one or several, `bpfverdict kernels fetch` gets them
    Vm,
}

/// One program.
#[derive(Debug, Serialize)]
struct Line {
    schema: u32,
    /// Which kernel answered: `host`, `recorded`, or the name of a guest's.
    target: String,
    case: String,
    ours: String,
    kernel: String,
    insns: Option<u64>,
    kernel_insns: Option<u64>,
    /// Return values in the kernel, run by run.
    results: String,
    interp: String,
    jit: String,
    /// Empty where rbpf does not reach.
    rbpf: String,
    outcome: String,
    /// `agree`, `known`, `differ`, `stale` (the ledger's entry agrees by now) or `not comparable`.
    standing: &'static str,
}

/// What programs are run on.
#[derive(Clone, Copy)]
struct Runs<'a> {
    /// All programs of the object: a run may take several.
    programs: &'a [Program],
    scenarios: &'a [Scenario],
    /// Maps whose contents are no result.
    unstable: &'a [String],
    /// The object, if it is of the corpus.
    entry: Option<&'a Entry>,
}

struct Diff {
    target: String,
    kernel: Option<Box<dyn Engine>>,
    ours: Verifier,
    interp: Userspace,
    jit: Userspace,
    ledger: Ledger,
    lines: Vec<Line>,
    from_recordings: usize,
    /// Recordings are of one kernel; they never stand in for that of a guest.
    use_recordings: bool,
}

pub fn run(args: &Args) -> Result<Status, Failure> {
    let mut lines = Vec::new();
    let mut status = Status::Ok;
    let names: Vec<&str> = match args.engine {
        Where::Vm => args.kernel.kernel.split(',').map(str::trim).collect(),
        Where::Host | Where::Recorded => vec![args.kernel.kernel.as_str()],
    };
    for name in names {
        let asked = Kernel { kernel: name.to_owned(), ..args.kernel.clone() };
        status = status.worst(against(args, &asked, &mut lines)?);
    }
    print(&lines, args.format)?;
    let bad = lines.iter().any(|l| matches!(l.standing, "differ" | "stale"));
    Ok(status.worst(if bad { Status::Negative } else { Status::Ok }))
}

/// Who answers, and the profile that stands for it.
struct Reference {
    target: String,
    kernel: Result<Box<dyn Engine>, Error>,
    profile: Profile,
    guest: Option<VmEngine>,
}

fn reference(args: &Args, asked: &Kernel) -> Result<Reference, Failure> {
    if args.engine == Where::Vm {
        let kernel = Catalogue::open().and_then(|c| c.find(&asked.kernel)).map_err(Failure::environment)?;
        crate::output::note(format!("booting {}", asked.kernel));
        let mut vm = Vm::boot(&kernel, vm::Options::default()).map_err(Failure::environment)?;
        let btf = vm.read("/sys/kernel/btf/vmlinux").map_err(Failure::environment)?;
        let btf = btf::Btf::parse(&btf).map_err(|e| Failure::environment(format!("the guest's BTF: {e}")))?;
        let profile = asked.profile()?.with_btf(std::sync::Arc::new(btf));
        let guest = VmEngine::new(vm);
        let target = asked.kernel.clone();
        return Ok(Reference { target, kernel: Ok(Box::new(guest.clone())), profile, guest: Some(guest) });
    }
    let (target, kernel) = match args.engine {
        Where::Host => ("host", kernel_diff::live::host()),
        _ => ("recorded", Err(Error::Environment("asked for recorded answers".to_owned()))),
    };
    let profile = asked.profile_to_compare(kernel.is_ok())?;
    let target = if kernel.is_ok() { target } else { "recorded" }.to_owned();
    Ok(Reference { target, kernel, profile, guest: None })
}

/// Everything against one kernel.
fn against(args: &Args, asked: &Kernel, lines: &mut Vec<Line>) -> Result<Status, Failure> {
    let Reference { target, kernel, profile, guest } = reference(args, asked)?;
    let only_corpus = args.paths.iter().all(|p| p == Path::new("corpus"));
    if let Err(why) = &kernel {
        if !only_corpus {
            return Err(Failure::environment(why));
        }
        // Whose answers these are is no mere note: `--quiet` keeps it.
        crate::output::complain(WARN, "note", format!("no kernel was asked: {why}. These are RECORDED answers."));
    }
    let btf = Some(profile.btf().clone());
    let mut diff = Diff {
        target,
        kernel: kernel.ok(),
        ours: Verifier { profile: profile.clone() },
        interp: Userspace::new(Backend::Interpreter, btf.clone()).with_facts(profile.clone()),
        jit: Userspace::new(Backend::Jit, btf).with_facts(profile.clone()),
        ledger: Ledger::shipped().map_err(|e| Failure::input(format!("known.toml: {e}")))?,
        lines: Vec::new(),
        from_recordings: 0,
        use_recordings: guest.is_none(),
    };
    let mut status = Status::Ok;
    for path in &args.paths {
        if path == Path::new("corpus") {
            diff.corpus(args, &profile)?;
        } else {
            let reader = Reader::new(&args.select, &profile)?;
            let scenarios = scenarios(args)?;
            // The programs of one file, which a scenario may run one after the other.
            let mut programs: Vec<Program> = Vec::new();
            let mut file = String::new();
            let read = visit_all(std::slice::from_ref(path), &reader, &mut |case| {
                if case.file != file {
                    diff.file(&file, &std::mem::take(&mut programs), &scenarios);
                    file.clone_from(&case.file);
                }
                match case.program {
                    Ok(p) => programs.push(p),
                    Err(bad) => Failure::input(format!("{}: {}: {}", case.file, bad.name, bad.why)).print(),
                }
                Ok(())
            })?;
            diff.file(&file, &programs, &scenarios);
            status = status.worst(read);
        }
    }
    if diff.from_recordings > 0 && diff.kernel.is_some() {
        let n = diff.from_recordings;
        crate::output::complain(
            WARN,
            "note",
            format!("{n} programs cannot be asked here; their answers are RECORDED ones."),
        );
    }
    if let Some(guest) = guest {
        let vm = guest.0.borrow();
        for lost in &vm.lost {
            let console: String = lost.console.iter().map(|l| format!("\n    | {l}")).collect();
            crate::output::complain(
                BAD,
                "guest lost",
                format!("{} {} at `{}`{console}", vm.release, lost.what, lost.program),
            );
            status = status.worst(Status::Negative);
        }
        if vm.flakes > 0 {
            crate::output::remark(
                WARN,
                "note",
                format!("{} boots of {} did not come up and were repeated", vm.flakes, diff.target),
            );
        }
    }
    lines.append(&mut diff.lines);
    Ok(status)
}

/// A scenario whose steps name no program is one for every program.
fn of_program(scenario: &Scenario, program: &Program) -> Scenario {
    let mut own = scenario.clone();
    for step in &mut own.steps {
        step.program.get_or_insert_with(|| program.name.clone());
    }
    own
}

/// The input given with `--input`.
fn scenarios(args: &Args) -> Result<Vec<Scenario>, Failure> {
    let Some(path) = &args.input else { return Ok(Vec::new()) };
    let bytes = crate::input::read(path)?;
    let packets = Corpus::embedded().map_err(Failure::input)?.packets;
    scenario::read(&bytes, &packets).map(|s| vec![s]).map_err(|e| Failure::file(path, e))
}

impl Diff {
    /// The programs of one file, each on the scenarios that begin with it.
    fn file(&mut self, file: &str, programs: &[Program], scenarios: &[Scenario]) {
        for p in programs {
            let own: Vec<Scenario> = scenarios.iter().map(|s| of_program(s, p)).collect();
            let runs = Runs { programs, scenarios: &own, unstable: &[], entry: None };
            self.program(&format!("{file} {}", p.name), p, Some(runs));
        }
    }

    fn corpus(&mut self, args: &Args, profile: &Profile) -> Result<(), Failure> {
        let corpus = Corpus::embedded().map_err(Failure::input)?;
        let bar = output::progress(corpus.entries.len() as u64, "objects");
        for entry in &corpus.entries {
            bar.inc(1);
            let object_name = entry.object.name.clone();
            let options = loader::Options { object_name, ..loader::Options::for_profile(profile) };
            let object =
                loader::open(&entry.elf, &options).map_err(|e| Failure::input(format!("{}: {e}", entry.id())))?;
            let mut linker = object.linker(Some(profile.btf()));
            let mut programs: Vec<Program> = Vec::new();
            for (i, p) in object.programs.iter().enumerate() {
                match linker.program(i) {
                    Ok(program) => programs.push(program),
                    // A function or type that this kernel lacks: nobody can load the program there.
                    Err(why) if args.select.only.as_ref().is_none_or(|o| *o == p.name) => {
                        self.not_made(&format!("{} {}", entry.id(), p.name), &why.to_string());
                    }
                    Err(_) => {}
                }
            }
            for program in &programs {
                if args.select.only.as_ref().is_none_or(|o| *o == program.name) {
                    let (scenarios, unstable) = (&entry.object.runs[..], &entry.object.unstable[..]);
                    let runs = Runs { programs: &programs, scenarios, unstable, entry: Some(entry) };
                    self.program(&format!("{} {}", entry.id(), program.name), program, Some(runs));
                }
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// The kernel's word on a program: asked, or recorded where it cannot be.
    fn kernel_says(&mut self, program: &Program, entry: Option<&Entry>) -> Result<Judgement, Error> {
        let asked = self.kernel.as_mut().map(|k| {
            k.forget_maps();
            k.load(program, &LoadOptions::with_level(4)).map(|l| l.judgement)
        });
        // EPERM without a word: this kernel does not load programs of this type at all.
        let mute = |j: &Judgement| !j.accepted && j.errno == -1 && j.log.is_empty();
        match (asked, entry.and_then(|e| e.recorded.as_ref()).filter(|_| self.use_recordings)) {
            (Some(Ok(j)), _) if !mute(&j) => Ok(j),
            (_, Some(r)) => {
                self.from_recordings += 1;
                recorded::judgement(r, &program.name)
            }
            (Some(Ok(_)), None) => Err(Error::unsupported("this kernel refuses the program type (EPERM)")),
            (Some(Err(e)), None) => Err(e),
            (None, None) => Err(Error::unsupported("no kernel and no recording")),
        }
    }

    /// A program that cannot be made for this kernel.
    fn not_made(&mut self, case: &str, why: &str) {
        let nothing = Err(Error::unsupported(why));
        let outcome = Outcome::NotComparable(format!("not on this kernel: {why}"));
        self.lines.push(Line {
            outcome: outcome.to_string(),
            standing: "not comparable",
            ..self.line(case, &nothing, &nothing)
        });
    }

    fn line(&self, case: &str, ours: &Result<Judgement, Error>, kernel: &Result<Judgement, Error>) -> Line {
        Line {
            schema: 1,
            target: self.target.clone(),
            case: case.to_owned(),
            ours: word(ours),
            kernel: word(kernel),
            insns: ours.as_ref().ok().and_then(|j| j.stats.insns_processed),
            kernel_insns: kernel.as_ref().ok().and_then(|j| j.stats.insns_processed),
            results: String::new(),
            interp: String::new(),
            jit: String::new(),
            rbpf: String::new(),
            outcome: String::new(),
            standing: "",
        }
    }

    fn program(&mut self, case: &str, program: &Program, runs: Option<Runs<'_>>) {
        // Only the program's own maps are made here: it is compared, not what else its object needs.
        let alone = Program { object_maps: Arc::default(), ..program.clone() };
        let kernel = self.kernel_says(program, runs.and_then(|r| r.entry));
        let ours = engines::guarded(|| self.ours.load(&alone, &LoadOptions::with_level(4)))
            .unwrap_or_else(|panic| Err(Error::Fault(format!("internal error: {panic}"))));
        let ours = ours.map(|l| l.judgement);
        let mut outcome = match (&kernel, &ours) {
            (Ok(k), Ok(o)) => judgements(k, o, false),
            (Err(e), _) => Outcome::NotComparable(format!("kernel: {e}")),
            (_, Err(e)) => Outcome::NotComparable(format!("verifier: {e}")),
        };
        let mut line = self.line(case, &ours, &kernel);
        if let Some(runs) = runs {
            outcome = outcome.and(self.runs(runs, program, &mut line));
        }
        line.outcome = outcome.to_string();
        line.standing = match self.ledger.standing(case, &outcome) {
            Standing::Good => "agree",
            Standing::Known => "known",
            Standing::New => "differ",
            Standing::Stale => "stale",
            Standing::Unknown => "not comparable",
        };
        self.lines.push(line);
    }

    /// The runs of an object that begin with this program, on every engine.
    fn runs(&mut self, runs: Runs<'_>, program: &Program, line: &mut Line) -> Outcome {
        let mut all = Outcome::Agree;
        let programs = runs.programs;
        let begins =
            |r: &&Scenario| r.steps.first().is_some_and(|s| target(programs, s).is_ok_and(|n| n == program.name));
        for run in runs.scenarios.iter().filter(begins) {
            let reference = self.kernel_plays(runs.entry, programs, run);
            let expected: Vec<u32> = run.steps.iter().filter_map(|s| s.returns).map(|n| n as u32).collect();
            let shown = match &reference {
                Ok(p) => returns(p),
                // What the author expects stands in for a kernel that cannot run it.
                Err(_) => {
                    format!("({})", expected.iter().map(|r| (*r as i32).to_string()).collect::<Vec<_>>().join(" "))
                }
            };
            join(&mut line.results, &shown);
            let engines: [(&'static str, &mut dyn Engine, &mut String); 3] = [
                ("interp", &mut self.interp, &mut line.interp),
                ("jit", &mut self.jit, &mut line.jit),
                ("rbpf", &mut Rbpf, &mut line.rbpf),
            ];
            for (name, engine, cell) in engines {
                let got = engines::guarded(|| play(engine, programs, run))
                    .unwrap_or_else(|panic| Err(Error::Fault(format!("internal error: {panic}"))));
                if name == "rbpf" && matches!(got, Err(Error::Unsupported(_))) {
                    // A peer of small reach: where it does not reach it says nothing about us.
                    continue;
                }
                let outcome = match (&reference, &got) {
                    (_, Err(Error::Fault(m))) => {
                        Outcome::Differ(vec![Difference::Fault { engine: name, message: m.clone() }])
                    }
                    (_, Err(e)) => Outcome::NotComparable(format!("{name}, run `{}`: {e}", run.name)),
                    (Ok(r), Ok(g)) => compare(r, g, runs.unstable),
                    (Err(_), Ok(g)) => against_author(&expected, g),
                };
                join(
                    cell,
                    match &outcome {
                        Outcome::Agree => "=",
                        Outcome::Differ(_) => "≠",
                        Outcome::NotComparable(_) => "?",
                    },
                );
                all = all.and(outcome);
            }
        }
        all
    }

    fn kernel_plays(&mut self, entry: Option<&Entry>, programs: &[Program], run: &Scenario) -> Result<Played, Error> {
        // Where programs are attached, what triggers them takes the place of a test run.
        let attached = !self.use_recordings && run.steps.iter().all(|s| s.trigger.is_some());
        if let Some(why) = run.user_space_only.as_ref().filter(|_| !attached) {
            return Err(Error::unsupported(why.clone()));
        }
        let asked = self.kernel.as_mut().map(|k| play(k.as_mut(), programs, run));
        match (asked, entry.and_then(|e| e.recorded.as_ref()).filter(|_| self.use_recordings)) {
            (Some(Ok(p)), _) => Ok(p),
            (_, Some(r)) => recorded::played(r, &run.name),
            (Some(Err(e)), None) => Err(e),
            (None, None) => Err(Error::unsupported("no kernel and no recording")),
        }
    }
}

fn against_author(expected: &[u32], got: &Played) -> Outcome {
    let differ = expected.iter().zip(&got.steps).find(|(e, g)| **e != g.retval);
    differ.map_or(Outcome::Agree, |(e, g)| Outcome::Differ(vec![Difference::Retval { a: *e, b: g.retval }]))
}

fn join(cell: &mut String, more: &str) {
    if !cell.is_empty() {
        cell.push_str(", ");
    }
    cell.push_str(more);
}

fn returns(p: &Played) -> String {
    p.steps
        .iter()
        .map(|s| if s.silent { "·".to_owned() } else { (s.retval as i32).to_string() })
        .collect::<Vec<_>>()
        .join(" ")
}

fn word(j: &Result<Judgement, Error>) -> String {
    match j {
        Ok(j) if j.accepted => "accept".into(),
        Ok(j) => format!("reject {}", j.errno),
        Err(_) => "?".into(),
    }
}

fn print(lines: &[Line], format: Form) -> Result<(), Failure> {
    match format {
        Form::Human => {
            for of_one in lines.chunk_by(|a, b| a.target == b.target) {
                if lines.first().map(|l| &l.target) != lines.last().map(|l| &l.target) {
                    writeln!(crate::output::out(), "\n== {}", of_one[0].target)?;
                }
                write!(crate::output::out(), "{}", human(of_one))?;
            }
        }
        Form::Json => {
            let mut out = std::io::BufWriter::new(std::io::stdout());
            for l in lines {
                serde_json::to_writer(&mut out, l).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
            out.flush()?;
        }
        Form::Csv => {
            let mut out = csv::Writer::from_writer(std::io::stdout());
            for l in lines {
                out.serialize(l)?;
            }
            out.flush()?;
        }
        Form::Junit => write!(std::io::stdout(), "{}", junit(lines).map_err(Failure::environment)?)?,
    }
    Ok(())
}

/// What differs is a failure, what could not be compared is skipped, each with its reason.
fn junit(lines: &[Line]) -> Result<String, quick_junit::SerializeError> {
    use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
    let mut report = Report::new("bpfverdict diff");
    for of_one in lines.chunk_by(|a, b| a.target == b.target) {
        let mut suite = TestSuite::new(of_one[0].target.as_str());
        for l in of_one {
            let status = match l.standing {
                "differ" | "stale" => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(l.outcome.as_str()).set_type(l.standing);
                    status
                }
                "not comparable" => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message(l.outcome.as_str());
                    status
                }
                _ => TestCaseStatus::success(),
            };
            suite.add_test_case(TestCase::new(l.case.as_str(), status));
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn human(lines: &[Line]) -> String {
    let number = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
    let peer = lines.iter().any(|l| !l.rbpf.is_empty());
    let mut header = vec!["program", "ours", "kernel", "insns", "kernel", "interp", "jit", ""];
    if peer {
        header.insert(7, "rbpf");
    }
    let mut table = output::table(&header);
    for l in lines {
        let insns = match (l.insns, l.kernel_insns) {
            (Some(a), Some(b)) if a == b => a.to_string(),
            (a, b) => format!("{}/{}", number(a), number(b)),
        };
        let mut row = vec![&l.case, &l.ours, &l.kernel, &insns, &l.results, &l.interp, &l.jit, l.standing];
        if peer {
            row.insert(7, &l.rbpf);
        }
        table.add_row(row);
    }
    let mut out = String::new();
    for (i, line) in output::lines(&table).lines().enumerate() {
        let standing = i.checked_sub(1).and_then(|i| lines.get(i)).map(|l| l.standing);
        out.push_str(&match standing {
            None => styled(DIM, line),
            Some("differ" | "stale") => styled(BAD, line),
            Some("not comparable" | "known") => styled(WARN, line),
            Some(_) => line.to_owned(),
        });
        out.push('\n');
    }
    for l in lines.iter().filter(|l| l.standing != "agree") {
        out.push_str(&format!("\n{}: {}: {}\n", l.case, l.standing, l.outcome));
    }
    let unconfirmed: usize = lines.iter().map(|l| l.results.matches('(').count()).sum();
    let unconfirmed = match unconfirmed {
        0 => String::new(),
        n => format!("; {n} runs, in parentheses, that no kernel was asked to run"),
    };
    let count = |s: &str| lines.iter().filter(|l| l.standing == s).count();
    let runs: usize = lines.iter().map(|l| l.interp.matches(['=', '≠', '?']).count()).sum();
    let same = |f: fn(&Line) -> &String| lines.iter().map(|l| f(l).matches('=').count()).sum::<usize>();
    out.push_str(&format!(
        "\n{} programs: {}, {} known, {}, {} not comparable; {runs} runs: {} equal in the interpreter, {} in the JIT{unconfirmed}\n",
        lines.len(),
        styled(GOOD, &format!("{} agree", count("agree"))),
        count("known"),
        styled(BAD, &format!("{} differ", count("differ") + count("stale"))),
        count("not comparable"),
        same(|l| &l.interp),
        same(|l| &l.jit),
    ));
    out
}
