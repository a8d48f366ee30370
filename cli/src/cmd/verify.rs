//! `verify`: the verdict of the kernel's verifier for each program of the given paths.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;

use spec::Profile;

use crate::args::{Format, Kernel, Sources};
use crate::cost;
use crate::exit::{Failure, Status};
use crate::html;
use crate::input::{Case, Reader, visit_all};
use crate::min_kernel;
use crate::output::{self, BAD, DIM, GOOD, WARN, shown, styled};
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
  bpfverdict verify --kernel 6.1,6.12,6.18 build/
  clang-19 -O2 -g -target bpf -c prog.bpf.c -o - | bpfverdict verify -
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
    let mut printer = if args.short { Printer::Short } else { Printer::new(args.format, args.log_level) };
    let mut status = Status::Ok;
    let kernels = args.kernel.each()?;
    // All of them before the first verdict: a name that is wrong costs nothing.
    let profiles = kernels.iter().map(Kernel::profile).collect::<Result<Vec<_>, _>>()?;
    for (kernel, profile) in kernels.iter().zip(&profiles) {
        status = status.worst(by(args, &kernel.kernel, profile, &mut printer)?);
    }
    printer.finish()?;
    for profile in &profiles {
        work(args, &Reader::new(&args.sources.select, profile)?, profile)?;
    }
    // A page is of one path: by the first kernel.
    if let Some(profile) = profiles.first() {
        page(args, &Reader::new(&args.sources.select, profile)?, profile)?;
    }
    Ok(status)
}

/// Judges everything by one kernel.
fn by(args: &Args, kernel: &str, profile: &Profile, printer: &mut Printer) -> Result<Status, Failure> {
    let machines = matches!(printer, Printer::Json(_) | Printer::Csv(_));
    // Where results come as they are found, they are progress enough.
    let late = matches!(printer, Printer::Human { logs: false, .. });
    let reader = Reader::new(&args.sources.select, profile)?.with_errors(machines).with_progress(late);
    let mut status = Status::Ok;
    let judge = |case: Case| Row {
        kernel: kernel.to_owned(),
        ..verdict::judge(&case, profile, args.log_level, args.min_kernel)
    };
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
                    separate(rows.last(), &row);
                    let mut out = output::out();
                    write!(out, "{log}")?;
                    out.flush()?;
                }
                rows.push(row);
            }
            Self::Short => {
                let mut out = output::out();
                writeln!(out, "{}", short(&row))?;
                out.flush()?;
            }
            Self::Json(out) => {
                serde_json::to_writer(&mut *out, &row).map_err(io::Error::from)?;
                writeln!(out)?;
                // Whoever reads along sees each verdict when it is there.
                out.flush()?;
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
                if logs {
                    write!(output::err(), "{text}")?;
                } else {
                    let mut out = output::out();
                    write!(out, "{text}")?;
                    out.flush()?;
                }
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
            let (program, insns) = (shown(&row.program), row.insns_processed);
            format!("{}: {program}: {} ({insns} instructions processed)", shown(&row.file), styled(GOOD, "accept"))
        }
        (None, v) => format!(
            "{}: {}: {}: {}",
            shown(&row.file),
            shown(&row.program),
            styled(WARN, v),
            shown(&row.message).replace('\n', "; ")
        ),
    }
}

/// The name of the next program before its log, when there are several: on stderr, for stdout is the log alone.
fn separate(before: Option<&Row>, row: &Row) {
    if before.is_some() {
        output::remark(DIM, "log", format!("{}: {} (Linux {})", row.file, row.program, row.kernel));
    }
}

/// Columns that go first when the terminal is narrow.
const DROPPED: [&str; 5] = ["time", "states", "stack", "type", "insns"];
/// Longest name of an object in the table.
const MAX_OBJECT: usize = 24;

/// The table, the reasons, the totals.
fn human(rows: &[Row]) -> String {
    let many = rows.iter().any(|r| r.kernel != rows[0].kernel);
    let mut header = vec!["object", "program", "type", "kernel", "verdict", "insns", "states", "stack", "time"];
    let cells = |r: &Row| {
        let mut cells = vec![
            object(&r.file),
            r.program.clone(),
            r.prog_type.clone(),
            r.kernel.clone(),
            r.verdict.to_owned(),
            r.insns_processed.to_string(),
            format!("{}/{}", r.peak_states, r.total_states),
            r.stack_depth.clone(),
            format!("{:.1} ms", r.duration_us as f64 / 1000.0),
        ];
        if !many {
            cells.remove(3);
        }
        cells
    };
    let table: Vec<Vec<String>> = rows.iter().map(cells).collect();
    if !many {
        header.remove(3);
    }
    let mut out = String::new();
    for (i, line) in output::fitting(&header, &table, &DROPPED).lines().enumerate() {
        out.push_str(&match i.checked_sub(1).and_then(|i| rows.get(i)).map(|r| r.verdict) {
            None => styled(DIM, line),
            Some(verdict::ACCEPT) => line.to_owned(),
            // The verdict stands behind the names, which may be the same word.
            Some(v) => match line.rfind(&format!(" {v}")) {
                Some(at) => {
                    let (before, after) = line.split_at(at + 1);
                    format!("{before}{}{}", styled(BAD, v), &after[v.len()..])
                }
                None => line.to_owned(),
            },
        });
        out.push('\n');
    }
    for (text, who) in blocks(rows) {
        out.push('\n');
        if rows.len() > 1 {
            out.push_str(&styled(DIM, &who_line(&who, many)));
            out.push('\n');
        }
        out.push_str(&text);
    }
    for r in rows {
        out.push_str(&min_kernel::human(r));
    }
    out.push_str(&totals(rows));
    out
}

/// The end of an object's path, which tells more than its beginning.
fn object(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    match name.char_indices().rev().nth(MAX_OBJECT - 1) {
        Some((at, _)) if at > 0 => format!("…{}", name[at..].chars().skip(1).collect::<String>()),
        _ => name.to_owned(),
    }
}

/// What is said about refusals; the same words are said once, with everything that they are about.
fn blocks(rows: &[Row]) -> Vec<(String, Vec<&Row>)> {
    let mut out: Vec<(String, Vec<&Row>)> = Vec::new();
    let mut at = HashMap::new();
    for r in rows.iter().filter(|r| r.verdict != verdict::ACCEPT) {
        let text = match &r.report {
            Some(report) => format!("{}\n", report.text()),
            None => reason(r),
        };
        let index = *at.entry(text.clone()).or_insert_with(|| {
            out.push((text, Vec::new()));
            out.len() - 1
        });
        out[index].1.push(r);
    }
    out
}

/// `a.o: prog (Linux 6.1) and 39 more programs`.
fn who_line(who: &[&Row], many: bool) -> String {
    let Some(first) = who.first() else { return String::new() };
    let mut line = format!("{}: {}", shown(&first.file), shown(&first.program));
    if many {
        line.push_str(&format!(" (Linux {})", first.kernel));
    }
    match who.len() - 1 {
        0 => line,
        1 => line + ", and 1 more",
        n => format!("{line}, and {n} more"),
    }
}

fn reason(r: &Row) -> String {
    let code = r.code.as_deref().unwrap_or("-");
    let style = if r.verdict == verdict::REJECT { BAD } else { WARN };
    let mut out = format!("{} {} {}\n", styled(style, r.verdict), styled(DIM, code), shown(&r.program));
    let message = match r.message.is_empty() {
        true => format!("no words from the kernel: {} ({})", io::Error::from_raw_os_error(-r.errno), r.errno),
        false => shown(&r.message),
    };
    for line in message.lines() {
        out.push_str(&format!("  {line}\n"));
    }
    let place = match (&r.source, r.insn) {
        (Some(s), Some(i)) => format!("{}, insn {i}", shown(s)),
        (None, Some(i)) => format!("insn {i}"),
        (Some(s), None) => shown(s),
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
        (verdict::UNSUPPORTED, "unsupported", WARN),
        (verdict::ERROR, "in error", BAD),
    ]
    .into_iter()
    .filter(|(v, ..)| count(v) > 0)
    .map(|(v, text, style)| styled(style, &format!("{} {text}", count(v))))
    .collect();
    format!("\n{}\n", parts.join(", "))
}
