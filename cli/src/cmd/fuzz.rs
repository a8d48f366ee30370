//! `fuzz`: campaigns of made-up programs against an oracle.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engines::rbpf::Rbpf;
use engines::userspace::{Backend, Userspace};
use engines::verifier::{Checked, Verifier};
use fuzz::campaign::{Group, Plan, Summary};
use fuzz::generate;
use indicatif::ProgressBar;
use kernel_diff::Engine;

use crate::args::Kernel;
use crate::exit::{Failure, Status};
use crate::output::{self, BAD, DIM, WARN, styled};

/// Throw made-up programs at our engines and the kernel, and group what differs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 = nothing found, 1 = something differs, 2 = bad usage, 3 = no kernel to ask.

Examples:
  bpfverdict fuzz --seconds 60
  bpfverdict fuzz --cases 5000 --seed 100000 --types xdp --save findings/
  bpfverdict fuzz --oracle result --cases 2000
  bpfverdict verify --log-level 2 findings/0001.jsonl")]
pub struct Args {
    /// What must hold
    #[arg(long, value_enum, default_value_t)]
    oracle: Oracle,

    /// Stop after this many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,

    /// Stop after this many programs (1000 when no --seconds is given)
    #[arg(long, value_name = "N")]
    cases: Option<u64>,

    /// First seed; a seed is a program
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Program types to make
    #[arg(long, value_name = "TYPE,...", value_delimiter = ',', value_parser = known_type)]
    types: Vec<spec::ProgType>,

    /// Percent of programs that are spoilt at random
    #[arg(long, value_name = "PERCENT", default_value_t = 40)]
    mutate: u64,

    /// Aim for about this many instructions
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=100))]
    length: u64,

    /// Compare verdicts, messages and counters only, not logs line by line
    #[arg(long)]
    no_logs: bool,

    /// Shrink the first case of each kind in at most this many tries
    #[arg(long, value_name = "TRIES", default_value_t = 400)]
    shrink: usize,

    /// How many kinds of findings to show
    #[arg(long, value_name = "N", default_value_t = 20)]
    show: usize,

    /// Folder for the findings, as load records
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,

    /// Print the program of --seed and stop
    #[arg(long)]
    print: bool,

    #[command(flatten)]
    kernel: Kernel,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Oracle {
    /// Our verifier says what the running kernel says: verdict, message, counters, log
    #[default]
    Verdict,
    /// Interpreter and JIT do what the running kernel does (without one: what the interpreter does)
    Result,
}

fn known_type(name: &str) -> Result<spec::ProgType, String> {
    let known = generate::known_types();
    let t = spec::ProgType::from_name(name).filter(|t| known.contains(&t.raw()));
    t.ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|n| crate::verdict::type_name(*n)).collect();
        format!("not made here; there are {}", names.join(", "))
    })
}

impl Args {
    fn plan(&self) -> Plan {
        let endless = self.seconds.is_some();
        Plan {
            first_seed: self.seed,
            cases: self.cases.unwrap_or(if endless { u64::MAX } else { 1000 }),
            time: self.seconds.map_or(Plan::default().time, Duration::from_secs),
            generator: generate::Options {
                prog_types: self.types.iter().map(|t| t.raw()).collect(),
                target_len: self.length as usize,
                deterministic: self.oracle == Oracle::Result,
            },
            mutate: if self.oracle == Oracle::Result { 0 } else { self.mutate },
            logs: !self.no_logs,
            shrink: self.shrink,
        }
    }
}

pub fn run(args: &Args) -> Result<Status, Failure> {
    let plan = args.plan();
    if args.print {
        let program = fuzz::campaign::case(&plan, args.seed);
        print!("{}", isa::disasm_program(&program.insns, &super::disasm::Helpers));
        return Ok(Status::Ok);
    }
    let bar = match (args.cases, args.seconds) {
        (_, None) => output::progress(plan.cases, "programs"),
        (_, Some(s)) => output::progress(s, "seconds"),
    };
    // Panics are findings here: their usual printing would drown the report.
    std::panic::set_hook(Box::new(|_| {}));
    let summary = match args.oracle {
        Oracle::Verdict => {
            let mut kernel = kernel_diff::live::host()?;
            let mut ours = Verifier { profile: args.kernel.profile_to_compare(true)? };
            fuzz::campaign::verdicts(kernel.as_mut(), &mut ours, &plan, ticker(&bar, args))
        }
        Oracle::Result => results(args, &plan, &bar)?,
    };
    let _ = std::panic::take_hook();
    bar.finish_and_clear();
    if let Some(dir) = &args.save {
        save(dir, &summary).map_err(|e| Failure::environment(format!("{}: {e}", dir.display())))?;
    }
    write!(crate::output::out(), "{}", report(&summary, args.show))?;
    Ok(if summary.findings == 0 { Status::Ok } else { Status::Negative })
}

fn results(args: &Args, plan: &Plan, bar: &ProgressBar) -> Result<Summary, Failure> {
    let profile = args.kernel.profile()?;
    let engine = |backend| Userspace::new(backend, None);
    let mut others: Vec<Box<dyn Engine>> = vec![
        Box::new(engine(Backend::Interpreter)),
        Box::new(engine(Backend::Jit)),
        Box::new(engine(Backend::Jit).with_facts(profile.clone())),
        Box::new(Rbpf),
    ];
    let mut reference = match kernel_diff::live::host() {
        Ok(kernel) => kernel,
        Err(why) => {
            crate::output::note(format!("the reference is the interpreter, not a kernel: {why}"));
            Box::new(Checked { profile, inner: engine(Backend::Interpreter) }) as Box<dyn Engine>
        }
    };
    Ok(fuzz::campaign::results(reference.as_mut(), &mut others, plan, ticker(bar, args)))
}

fn ticker<'a>(bar: &'a ProgressBar, args: &Args) -> impl FnMut(&Summary) + use<'a> {
    let by_time = args.seconds.is_some();
    move |s| {
        bar.set_position(if by_time { bar.elapsed().as_secs() } else { s.cases });
        if s.findings > 0 {
            bar.set_message(format!("{} differ", s.findings));
        }
    }
}

fn report(s: &Summary, show: usize) -> String {
    let mut out = String::new();
    for (key, group) in s.sorted().into_iter().take(show).rev() {
        let style = if group.finding.grave { BAD } else { WARN };
        out.push_str(&format!("{} × {}\n", group.count, styled(style, key)));
        out.push_str(&group.finding.text);
        out.push_str(&listing(group));
        out.push('\n');
    }
    for (why, n) in &s.skipped {
        out.push_str(&styled(DIM, &format!("{n} not compared: {why}\n")));
    }
    let share = (s.accepted * 100).checked_div(s.cases).unwrap_or(0);
    out.push_str(&format!(
        "{} programs, {share} % accepted; {} differ, in {} kinds; next seed {}\n",
        s.cases,
        s.findings,
        s.groups.len(),
        s.next_seed
    ));
    out
}

fn listing(group: &Group) -> String {
    let p = &group.program;
    let kind = crate::verdict::type_name(p.prog_type);
    let head = format!("  seed {}, {kind}, flags {}, {} slots\n", group.seed, p.flags, p.insns.len());
    let text = isa::disasm_program(&p.insns, &super::disasm::Helpers);
    head + &text.lines().map(|l| format!("    {l}\n")).collect::<String>()
}

/// One file a kind, gravest first.
fn save(dir: &Path, summary: &Summary) -> std::io::Result<()> {
    std::fs::create_dir_all(dir.join("btf"))?;
    for (n, (_, group)) in summary.sorted().into_iter().enumerate() {
        std::fs::write(dir.join(format!("{:04}.jsonl", n + 1)), format!("{}\n", group.record))?;
        for (name, bytes) in fuzz::record::attachments(&group.program) {
            std::fs::write(dir.join("btf").join(name), bytes)?;
        }
    }
    Ok(())
}
