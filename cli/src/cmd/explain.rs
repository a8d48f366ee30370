//! `explain`: what a refusal means. Takes a cause, the id of a rejection, a verifier's message, a log of any kernel and tool, or a BPF object.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use diagnose::Extra;

use crate::args::{Kernel, Select};
use crate::diagnosis::Report;
use crate::exit::{Failure, Status};
use crate::input::{Reader, visit_all};
use crate::page;
use crate::verdict;

/// Explain a refusal by its cause, its id, its message, a log (a file, or - for standard input), or an object
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Logs may come from any kernel and loader, with what CI, journald or a tool put around them; several programs in one file are
told apart.

Exit status: 0 = explained, 2 = nothing known about it.

Examples:
  bpfverdict explain PKT-MISSING
  bpfverdict explain BV0202
  bpfverdict explain 'R0 !read_ok'
  bpfverdict explain verifier.log
  bpftool prog load x.o /sys/fs/bpf/x 2>&1 | bpfverdict explain -
  bpfverdict explain --format json prog.bpf.o
  bpfverdict explain --list")]
pub struct Args {
    /// A cause, BVnnnn, a message, a file with a log, an object, or - for standard input
    #[arg(required_unless_present = "list")]
    what: Option<String>,

    /// List the causes
    #[arg(long, conflicts_with = "what")]
    list: bool,

    /// human: reports; json: one object a line for each refusal found
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// One line for each refusal
    #[arg(long, conflicts_with = "format")]
    short: bool,

    #[command(flatten)]
    kernel: Kernel,

    #[command(flatten)]
    select: Select,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Human,
    Json,
}

const ELF: &[u8] = b"\x7fELF";
/// Longest log that is read from standard input.
const MAX_LOG: u64 = 1 << 30;

pub fn run(args: &Args) -> Result<Status, Failure> {
    let mut out = crate::output::out();
    let Some(what) = args.what.as_deref() else {
        for cause in explain::causes()? {
            writeln!(out, "{:12} {}", cause.id, cause.title)?;
        }
        return Ok(Status::Ok);
    };
    if let Some(cause) = explain::cause(what) {
        page::show(&mut out, &format!("{}: {}", cause.id, cause.title), &cause.page)?;
        return Ok(Status::Ok);
    }
    let path = Path::new(what);
    let bytes = match what {
        "-" => {
            let mut bytes = Vec::new();
            std::io::stdin().take(MAX_LOG).read_to_end(&mut bytes)?;
            bytes
        }
        _ if path.is_file() => crate::input::read(path)?,
        _ => what.as_bytes().to_vec(),
    };
    if bytes.starts_with(ELF) {
        return object(args, path.to_owned());
    }
    let text = String::from_utf8_lossy(&bytes);
    let rows = match diagnose::by_id(text.trim()) {
        // A single line is a message; more are a log.
        rows if rows.is_empty() && args.format == Format::Human && text.trim().lines().count() == 1 => {
            diagnose::by_message(&text).into_iter().collect()
        }
        rows => rows,
    };
    if !rows.is_empty() {
        return table(&rows);
    }
    let reports = reports(&text);
    if reports.is_empty() {
        let shown: String = what.chars().take(80).collect();
        let why = "is neither a cause, an id, a known message, nor a log with one";
        return Err(Failure::input(format!("`{shown}` {why}")));
    }
    for report in &reports {
        print(args, what, report)?;
    }
    Ok(Status::Ok)
}

/// What a message alone tells: its row, and the causes behind which it was met.
fn table(rows: &[&'static diagnose::Known]) -> Result<Status, Failure> {
    let mut out = crate::output::out();
    for (id, name, message) in rows {
        writeln!(out, "{id} {name}\n  the kernel says: {}", diagnose::shown(message))?;
        for cause in explain::causes()?.iter().filter(|c| c.rejections.iter().any(|r| r == id)) {
            writeln!(out, "  may mean {}: {}", cause.id, cause.title)?;
        }
    }
    Ok(Status::Ok)
}

/// The refusals of a log. Words that no kernel says make none.
fn reports(text: &str) -> Vec<Report> {
    let all = diagnose::log::refusals(text).into_iter().filter(|r| {
        !r.steps.is_empty()
            || r.report.is_some()
            || r.message.iter().any(|l| diagnose::by_message(l).is_some())
            || !r.notes.is_empty()
    });
    all.map(|refusal| {
        let extra = Extra::default();
        let diagnosis = diagnose::diagnose(&refusal, &extra);
        Report { diagnosis, refusal, extra }
    })
    .collect()
}

fn object(args: &Args, path: PathBuf) -> Result<Status, Failure> {
    let profile = args.kernel.profile()?;
    let reader = Reader::new(&args.select, &profile)?;
    visit_all(&[path], &reader, &mut |case| {
        let row = verdict::judge(&case, &profile, 0, false);
        match (&row.report, row.verdict) {
            (Some(report), _) => print(args, &row.file, report),
            (None, verdict::ACCEPT) => Ok(()),
            (None, v) => {
                crate::output::note(format!("{}: {}: {v}: {}", row.file, row.program, row.message));
                Ok(())
            }
        }
    })
}

fn print(args: &Args, file: &str, report: &Report) -> Result<(), Failure> {
    if args.format == Format::Json {
        let mut value = serde_json::to_value(&report.diagnosis).map_err(std::io::Error::from)?;
        value["schema"] = verdict::SCHEMA.into();
        value["file"] = file.into();
        writeln!(std::io::stdout(), "{value}")?;
    } else if args.short {
        writeln!(crate::output::out(), "{}", diagnose::short(&report.diagnosis))?;
    } else {
        writeln!(crate::output::out(), "{}\n", report.text())?;
    }
    Ok(())
}
