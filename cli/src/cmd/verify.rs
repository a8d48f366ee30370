//! `verify`: the verdict of the kernel's verifier for each program of the given paths.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::args::{Format, Kernel, Sources};
use crate::cost;
use crate::exit::{Failure, Status};
use crate::html;
use crate::input::{Case, Reader, visit_all};
use crate::min_kernel;
use crate::output::{self, BAD, DIM, GOOD, WARN, styled};
use crate::parallel::Pool;
use crate::verdict::{self, Row};

/// Judge programs as the kernel's verifier would
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 = all accepted, 1 = something was rejected or is not modelled, 2 = bad usage or unreadable input,
3 = the environment lacks what was asked for.

Examples:
  bpfverdict verify prog.bpf.o
  bpfverdict verify --only xdp_main --log-level 2 prog.bpf.o > log
  bpfverdict verify --type xdp insns.bin
  bpfverdict verify --min-kernel prog.bpf.o
  bpfverdict verify --kernel 6.1 --lockdown integrity prog.bpf.o
  bpfverdict verify --format csv build/ > verdicts.csv")]
pub struct Args {
    #[command(flatten)]
    sources: Sources,

    #[command(flatten)]
    kernel: Kernel,

    /// The kernel's log: 1 = branches, 2 = every instruction, 4 = statistics
    #[arg(long, value_name = "BITS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..8))]
    log_level: u32,

    /// Also say which feature needs which kernel, and the oldest kernel that has them all
    #[arg(long)]
    min_kernel: bool,

    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Show where the verifier's work goes: by function, loop, line and branch
    #[arg(long)]
    profile: bool,

    /// Write that work as a flame graph (.svg) or as folded stacks (any other name)
    #[arg(long, value_name = "FILE")]
    flame: Option<PathBuf>,

    /// Write a page that steps along the path: source, instructions and states side by side
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// One line for each program instead of table and reports
    #[arg(long, conflicts_with = "format")]
    short: bool,
}

pub fn run(args: &Args) -> Result<Status, Failure> {
    let profile = args.kernel.profile()?;
    let reader = Reader::new(&args.sources.select, &profile)?;
    let mut printer = if args.short { Printer::Short } else { Printer::new(args.format, args.log_level) };
    let mut status = Status::Ok;
    let judge = |case: Case| verdict::judge(&case, &profile, args.log_level, args.min_kernel);
    let mut take = |row: Row| {
        status = status.worst(match row.verdict {
            verdict::ACCEPT => Status::Ok,
            verdict::ERROR => Status::BadInput,
            _ => Status::Negative,
        });
        printer.row(row)
    };
    let read = std::thread::scope(|scope| {
        let mut pool = Pool::new(scope, &judge);
        let read = visit_all(&args.sources.paths, &reader, &mut |case| {
            let cost = case.program.as_ref().map_or(0, |p| p.insns.len());
            pool.give(case, cost, &mut take)
        })?;
        pool.finish(&mut take)?;
        Ok::<_, Failure>(read)
    })?;
    printer.finish()?;
    work(args, &reader, &profile)?;
    page(args, &reader, &profile)?;
    Ok(status.worst(read))
}

/// The page of `--html`.
fn page(args: &Args, reader: &Reader<'_>, profile: &spec::Profile) -> Result<(), Failure> {
    let Some(path) = &args.html else { return Ok(()) };
    let mut programs = Vec::new();
    visit_all(&args.sources.paths, reader, &mut |case| {
        let row = verdict::judge(&case, profile, 0, false);
        if let Ok(program) = &case.program {
            programs.push(html::program(&row, program));
        }
        Ok(())
    })?;
    html::write(path, &programs)
}

/// Where the work goes, for `--profile` and `--flame`.
fn work(args: &Args, reader: &Reader<'_>, profile: &spec::Profile) -> Result<(), Failure> {
    if !args.profile && args.flame.is_none() {
        return Ok(());
    }
    let mut reports = Vec::new();
    visit_all(&args.sources.paths, reader, &mut |case| {
        if let Ok(program) = &case.program {
            reports.push(cost::count(program, profile).1);
        }
        Ok(())
    })?;
    if args.profile {
        for report in &reports {
            match args.format {
                Format::Json => writeln!(io::stdout(), "{}", serde_json::to_string(report).map_err(io::Error::from)?)?,
                _ => write!(anstream::stdout(), "{}", report.human())?,
            }
        }
    }
    args.flame.as_deref().map_or(Ok(()), |path| cost::flame(path, &reports))
}

/// Rows go out as they come, except for the table.
enum Printer {
    Human {
        rows: Vec<Row>,
        logs: bool,
    },
    /// One line a program.
    Short,
    Json(io::BufWriter<io::Stdout>),
    Csv(Box<csv::Writer<io::Stdout>>),
}

impl Printer {
    fn new(format: Format, log_level: u32) -> Self {
        match format {
            Format::Human => Self::Human { rows: Vec::new(), logs: log_level != 0 },
            Format::Json => Self::Json(io::BufWriter::new(io::stdout())),
            Format::Csv => Self::Csv(Box::new(csv::Writer::from_writer(io::stdout()))),
        }
    }

    fn row(&mut self, mut row: Row) -> Result<(), Failure> {
        match self {
            Self::Human { rows, .. } => {
                if let Some(log) = row.log.take() {
                    write!(io::stdout(), "{log}")?;
                }
                rows.push(row);
            }
            Self::Short => writeln!(anstream::stdout(), "{}", short(&row))?,
            Self::Json(out) => {
                serde_json::to_writer(&mut *out, &row).map_err(io::Error::from)?;
                writeln!(out)?;
            }
            Self::Csv(out) => {
                row.flat();
                out.serialize(&row)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Human { rows, .. } if rows.is_empty() => {}
            Self::Human { rows, logs } => {
                let text = human(&rows);
                // With logs on stdout, for log tools to read unchanged, the table is a note.
                if logs { write!(anstream::stderr(), "{text}")? } else { write!(anstream::stdout(), "{text}")? }
            }
            Self::Short => {}
            Self::Json(mut out) => out.flush()?,
            Self::Csv(mut out) => out.flush()?,
        }
        Ok(())
    }
}

/// `file:line: program: error[BV0331]: PKT-MISSING: why`, or that it is accepted.
fn short(row: &Row) -> String {
    match (&row.report, row.verdict) {
        (Some(report), _) => diagnose::short(&report.diagnosis),
        (None, verdict::ACCEPT) => {
            let (program, insns) = (&row.program, row.insns_processed);
            format!("{}: {program}: {} ({insns} instructions processed)", row.file, styled(GOOD, "accept"))
        }
        (None, v) => format!("{}: {}: {}: {}", row.file, row.program, styled(WARN, v), row.message.replace('\n', "; ")),
    }
}

fn verdict_cell(row: &Row) -> comfy_table::Cell {
    comfy_table::Cell::new(row.verdict)
}

/// The table, the reasons, the totals.
fn human(rows: &[Row]) -> String {
    let mut table = output::table(&["program", "type", "verdict", "insns", "states", "stack", "time"]);
    for r in rows {
        let states = format!("{}/{}", r.peak_states, r.total_states);
        let time = format!("{:.1} ms", r.duration_us as f64 / 1000.0);
        table.add_row(vec![
            comfy_table::Cell::new(&r.program),
            comfy_table::Cell::new(&r.prog_type),
            verdict_cell(r),
            comfy_table::Cell::new(r.insns_processed),
            comfy_table::Cell::new(states),
            comfy_table::Cell::new(&r.stack_depth),
            comfy_table::Cell::new(time),
        ]);
    }
    let mut out = String::new();
    for (i, line) in output::lines(&table).lines().enumerate() {
        out.push_str(&match i.checked_sub(1).and_then(|i| rows.get(i)).map(|r| r.verdict) {
            None => styled(DIM, line),
            Some(verdict::ACCEPT) => line.to_owned(),
            Some(v) => line.replacen(v, &styled(BAD, v), 1),
        });
        out.push('\n');
    }
    for r in rows.iter().filter(|r| r.verdict != verdict::ACCEPT) {
        match &r.report {
            Some(report) => out.push_str(&format!("\n{}\n", report.text())),
            None => out.push_str(&reason(r)),
        }
    }
    for r in rows {
        out.push_str(&min_kernel::human(r));
    }
    out.push_str(&totals(rows));
    out
}

fn reason(r: &Row) -> String {
    let code = r.code.as_deref().unwrap_or("-");
    let style = if r.verdict == verdict::REJECT { BAD } else { WARN };
    let mut out = format!("\n{} {} {}\n", styled(style, r.verdict), styled(DIM, code), r.program);
    for line in r.message.lines() {
        out.push_str(&format!("  {line}\n"));
    }
    let place = match (&r.source, r.insn) {
        (Some(s), Some(i)) => format!("{s}, insn {i}"),
        (None, Some(i)) => format!("insn {i}"),
        (Some(s), None) => s.clone(),
        (None, None) => return out,
    };
    out.push_str(&format!("  at {place}\n"));
    out
}

fn totals(rows: &[Row]) -> String {
    let count = |v: &str| rows.iter().filter(|r| r.verdict == v).count();
    let parts: Vec<String> = [
        (verdict::ACCEPT, "accepted", GOOD),
        (verdict::REJECT, "rejected", BAD),
        ("unsupported", "unsupported", WARN),
        (verdict::ERROR, "in error", BAD),
    ]
    .into_iter()
    .filter(|(v, ..)| count(v) > 0)
    .map(|(v, text, style)| styled(style, &format!("{} {text}", count(v))))
    .collect();
    format!("\n{}\n", parts.join(", "))
}
