//! `kernels`: which kernels can be judged for, and which can be asked.

use std::io::Write;

use spec::Profile;

use crate::exit::{Failure, Status};

/// List the kernels that this build knows, and whether this machine's can be asked
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 = listed.\n\nExample:\n  bpfverdict kernels list")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Profiles to judge by, and the kernel of this machine
    List,
}

pub fn run(args: &Args) -> Result<Status, Failure> {
    let (Some(Command::List) | None) = args.command;
    let mut out = std::io::stdout();
    for name in Profile::names() {
        let profile = Profile::load(name).map_err(Failure::environment)?;
        writeln!(out, "{name:10} profile of Linux {}", profile.version)?;
    }
    match kernel_diff::live::host() {
        Ok(_) => {
            let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
            writeln!(out, "{:10} this machine, Linux {}", "host", release.trim())?;
        }
        Err(e) => writeln!(out, "{:10} not available: {e}", "host")?,
    }
    Ok(Status::Ok)
}
