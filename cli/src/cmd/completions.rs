//! `completions`: a completion script for a shell.

use clap_complete::Shell;

use crate::exit::{Failure, Status};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 = printed.\n\nExample:\n  bpfverdict completions bash > /etc/bash_completion.d/bpfverdict"
)]
pub struct Args {
    shell: Shell,
}

pub fn run(args: &Args, command: &mut clap::Command) -> Result<Status, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "bpfverdict", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script)?;
    Ok(Status::Ok)
}
