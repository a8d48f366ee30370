//! `capture`: the programs that a command loads, as load records. How a command is followed is `kernel_diff::capture`'s.

use std::ffi::OsString;
use std::path::PathBuf;

use kernel_diff::capture::{self, Error, Options, Summary};

use crate::exit::{Failure, Status};
use crate::output::{BAD, WARN};

/// Record the programs that a command loads, for judging on other kernels
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Follows CMD and everything that it starts, on x86-64 Linux, with CMD's own privileges; whatever loader it uses, each
bpf(BPF_PROG_LOAD) becomes one load record with the kernel's answer. BTF goes into the folder btf/ beside FILE. The capture ends
when all processes that CMD started have ended. Not seen: loads by daemons that CMD only talks to, and by light skeletons.

Exit status: 0 = CMD has run (how it ended is said on stderr), 2 = bad usage or CMD cannot be started, 3 = processes
cannot be followed here (ptrace is not permitted).

Examples:
  sudo bpfverdict capture -o out.jsonl -- bpftool prog loadall prog.bpf.o /sys/fs/bpf/test
  sudo bpfverdict capture --named -o out.jsonl -- bpftrace -e 'BEGIN { exit(); }'
  bpfverdict verify --kernel 6.1 out.jsonl")]
pub struct Args {
    /// The record file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Leave out programs without a name: most of what loaders load just to find out what the kernel can do
    #[arg(long)]
    named: bool,

    /// The command with its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        match e {
            Error::NoCommand | Error::Command { .. } | Error::Output { .. } => Self::input(e),
            Error::Refused(_) | Error::Platform => Self::environment(e),
        }
    }
}

pub fn run(args: &Args) -> Result<Status, Failure> {
    let options = Options { command: args.command.clone(), output: args.output.clone(), named: args.named };
    report(args, &capture::run(&options)?);
    Ok(Status::Ok)
}

fn report(args: &Args, summary: &Summary) {
    let note = |style, text: String| crate::output::remark(style, "note", text);
    if !summary.ended.success() {
        note(BAD, format!("{}: {}", args.command[0].display(), summary.ended));
    }
    if summary.incomplete > 0 {
        note(WARN, format!("{} records lack something and say what, as `incomplete`", summary.incomplete));
    }
    if summary.unnamed > 0 {
        note(WARN, format!("{} programs without a name are left out", summary.unnamed));
    }
    let (accepted, refused, path) = (summary.accepted, summary.refused, args.output.display());
    crate::output::note(format!("{path}: {} programs, {accepted} accepted and {refused} refused", accepted + refused));
}
