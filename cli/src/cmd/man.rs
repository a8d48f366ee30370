//! `man`: the manual pages, one for each subcommand.

use std::io::Write;
use std::path::PathBuf;

use crate::exit::{Failure, Status};

/// Write the manual: the main page to stdout, or all pages into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 = written.\n\nExample:\n  bpfverdict man | man -l -")]
pub struct Args {
    /// Folder for all pages
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn run(args: &Args, command: clap::Command) -> Result<Status, Failure> {
    match &args.dir {
        Some(dir) => clap_mangen::generate_to(command, dir)
            .map_err(|e| Failure::environment(format!("{}: {e}", dir.display())))?,
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            std::io::stdout().write_all(&page)?;
        }
    }
    Ok(Status::Ok)
}
