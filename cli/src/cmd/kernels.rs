//! `kernels`: which kernels can be judged for, what is known about each, and which can be asked.

use std::io::Write;

use spec::profile::{Config, Place};
use spec::{Profile, kernels};
use vm::Catalogue;

use super::guests;
use crate::args::Kernel;
use crate::exit::{Failure, Status};
use crate::output;

/// List the kernels that are known, and whether this machine's can be asked
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 = done, 2 = a file that is no kernel, 3 = there is no such kernel, or it cannot be had or booted.

Examples:
  bpfverdict kernels list
  bpfverdict kernels fetch 6.1 6.12
  bpfverdict kernels fetch mine --vmlinuz arch/x86/boot/bzImage
  bpfverdict kernels boot 6.12
  bpfverdict kernels show 6.1")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Every kernel that something is known about, and the kernel of this machine
    List {
        /// Folder with more profiles; also $BPFVERDICT_PROFILES
        #[arg(long, value_name = "DIR")]
        profiles: Option<std::path::PathBuf>,
    },
    /// Get kernels to boot: Debian's packages from the mirror that apt is configured with, or from a file
    Fetch(guests::Fetch),
    /// Boot kernels under QEMU, and say what came up and how long it took
    Boot {
        /// Names of `kernels fetch`, or paths of images
        #[arg(value_name = "KERNEL", required = true)]
        names: Vec<String>,
    },
    /// Remove fetched kernels
    Clean {
        /// Which; all when none is named
        #[arg(value_name = "KERNEL")]
        names: Vec<String>,
    },
    /// One kernel: what it offers, what it lacks, its configuration
    Show {
        /// A name of the list, or `host`
        #[arg(value_name = "KERNEL")]
        name: String,
        /// Folder with more profiles; also $BPFVERDICT_PROFILES
        #[arg(long, value_name = "DIR")]
        profiles: Option<std::path::PathBuf>,
    },
}

pub fn run(args: &Args) -> Result<Status, Failure> {
    match &args.command {
        None => list(None),
        Some(Command::List { profiles }) => list(profiles.as_deref()),
        Some(Command::Fetch(args)) => guests::fetch(args),
        Some(Command::Boot { names }) => guests::boot(names),
        Some(Command::Clean { names }) => guests::clean(names),
        Some(Command::Show { name, profiles }) => show(name, profiles.as_deref()),
    }
}

fn list(profiles: Option<&std::path::Path>) -> Result<Status, Failure> {
    let folders = spec::profile::Folders::new(profiles);
    let mut table = output::table(&["kernel", "version", "where", "what is known"]);
    for name in Profile::names() {
        let version = Profile::load(name).map_err(Failure::environment)?.version;
        table.add_row(vec![name.to_owned(), version.to_string(), "embedded".to_owned(), "verdicts".to_owned()]);
    }
    let on_disk = folders.names();
    for (name, place) in &on_disk {
        let (version, known) = match Profile::load_from(name, &folders) {
            Ok(profile) if profile.modelled => (profile.version.to_string(), "verdicts".to_owned()),
            Ok(profile) => (profile.version.to_string(), "rejections by what it lacks".to_owned()),
            Err(e) => ("?".to_owned(), e.to_string()),
        };
        let place = match place {
            Place::Embedded => "embedded".to_owned(),
            Place::Folder(path) => path.display().to_string(),
        };
        table.add_row(vec![name.clone(), version, place, known]);
    }
    let known = |series: &str| on_disk.iter().any(|(n, _)| n == series) || Profile::names().any(|n| n == series);
    for kernel in kernels::all().iter().filter(|k| !known(k.series())) {
        let row = [kernel.series(), kernel.version, "embedded", "features (--min-kernel)"];
        table.add_row(row.map(str::to_owned).to_vec());
    }
    for kernel in Catalogue::open().map(|c| c.cached()).unwrap_or_default() {
        let from = if kernel.origin.from.is_empty() { "?".to_owned() } else { kernel.origin.from };
        let place = kernel.vmlinuz.display().to_string();
        table.add_row(vec![kernel.name, from, place, "can be booted (diff --engine vm)".to_owned()]);
    }
    let release = kernel_diff::live::release();
    let asked = match kernel_diff::live::host() {
        Ok(_) => "the kernel itself (diff, run --engine kernel)".to_owned(),
        Err(e) => format!("cannot be asked: {e}"),
    };
    table.add_row(vec!["host".to_owned(), release, "this machine".to_owned(), asked]);
    write!(output::out(), "{}", output::lines(&table))?;
    Ok(Status::Ok)
}

fn show(name: &str, profiles: Option<&std::path::Path>) -> Result<Status, Failure> {
    let asked = Kernel {
        kernel: name.to_owned(),
        profiles: profiles.map(std::path::Path::to_path_buf),
        lockdown: None,
        config: Vec::new(),
        btf: None,
    };
    // What is only recorded has no profile, and can be shown all the same.
    let (profile, kernel) = match asked.profile() {
        Ok(profile) => {
            let series = format!("{}.{}", profile.version.major, profile.version.minor);
            let kernel = profile.other().map(|o| o.kernel).or_else(|| kernels::of_series(&series));
            (Some(profile), kernel)
        }
        Err(failure) => match kernels::of_series(name) {
            Some(kernel) => (None, Some(kernel)),
            None => return Err(failure),
        },
    };
    let mut out = output::out();
    if let Some(profile) = &profile {
        let walk = if profile.modelled { "modelled: verdicts" } else { "not modelled: rejections only" };
        writeln!(out, "Linux {}, walk {walk}", profile.version)?;
        writeln!(out, "BTF types: {}", profile.btf().len())?;
        writeln!(out, "configuration: {}", configuration(&profile.config))?;
    }
    if let Some(kernel) = kernel {
        writeln!(out, "recorded of Linux {}:", kernel.version)?;
        let lacking = |all: Vec<(String, bool)>| {
            let lacks: Vec<String> = all.iter().filter(|(_, has)| !has).map(|(name, _)| name.clone()).collect();
            let has = all.len() - lacks.len();
            if lacks.is_empty() { format!("{has}") } else { format!("{has}, not {}", lacks.join(" ")) }
        };
        let types = spec::ProgType::ALL.iter().map(|t| (t.to_string(), kernel.has_type(*t))).collect();
        let maps = spec::MapType::ALL.iter().map(|m| (m.to_string(), kernel.has_map(*m))).collect();
        let insns = kernels::Feature::ALL.iter().map(|f| (f.name().to_owned(), kernel.has_feature(*f))).collect();
        writeln!(out, "  program types: {}", lacking(types))?;
        writeln!(out, "  map types: {}", lacking(maps))?;
        writeln!(out, "  instructions since 5.10: {}", lacking(insns))?;
        writeln!(out, "  helpers: {}", kernel.helper_numbers().saturating_sub(1))?;
        writeln!(out, "  kfuncs: {}", kernel.kfunc_count())?;
    }
    Ok(Status::Ok)
}

fn configuration(config: &Config) -> String {
    let mut words = vec![format!("lockdown={}", config.lockdown.name())];
    words.extend(config.switches().map(|(name, on)| format!("{name}={}", if on { 'y' } else { 'n' })));
    words.join(" ")
}
