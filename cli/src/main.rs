//! The `bpfverdict` binary: arguments, dispatch, exit status. Each subcommand is a file in `cmd/`; nothing is judged here.

mod args;
mod cmd;
mod cost;
mod diagnosis;
mod exit;
mod host;
mod html;
mod input;
mod min_kernel;
mod output;
mod page;
mod parallel;
mod proof;
mod scenarios;
mod template;
mod verdict;

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

use exit::{Failure, Status};

/// Will Linux load this BPF program, and if not, why? Without root and without a kernel.
#[derive(Debug, Parser)]
#[command(
    name = "bpfverdict",
    version,
    max_term_width = 100,
    after_help = "\
Exit status: 0 = accepted / agree, 1 = rejected / differs, 2 = bad usage or unreadable input,
3 = the environment lacks what was asked for.

Examples:
  bpfverdict verify prog.bpf.o
  bpfverdict verify --format json build/ | jq 'select(.verdict != \"accept\")'
  bpfverdict run prog.bpf.o --only xdp_main --engine interp
  bpfverdict explain BV0202"
)]
pub struct Cli {
    /// No notes and no progress on stderr; errors stay
    #[arg(long, short, global = true)]
    quiet: bool,

    /// When to colour
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    color: output::Color,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(cmd::verify::Args),
    Run(cmd::run::Args),
    Test(cmd::test::Args),
    Diff(cmd::diff::Args),
    Disasm(cmd::disasm::Args),
    Asm(cmd::asm::Args),
    Jit(cmd::jit::Args),
    Fuzz(cmd::fuzz::Args),
    Gate(cmd::gate::Args),
    Capture(cmd::capture::Args),
    Kernels(cmd::kernels::Args),
    Explain(cmd::explain::Args),
    Completions(cmd::completions::Args),
    Man(cmd::man::Args),
}

/// Deep recursion in hostile input must not end the process, so the work has more stack than a main thread.
const STACK: usize = 256 << 20;

fn main() -> ExitCode {
    // A guest's first process is this binary: it answers over shared memory and never comes back.
    vm::guest::serve_if_guest();
    let cli = Cli::parse();
    output::set(cli.color, cli.quiet);
    let work = move || match run(cli.command) {
        Ok(status) => status,
        Err(failure) => {
            failure.print();
            failure.status
        }
    };
    let worker = std::thread::Builder::new().stack_size(STACK).spawn(work);
    let status = match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(status)) => status,
        Ok(Err(_)) => Status::Internal,
        Err(e) => {
            Failure::environment(format!("cannot start a thread: {e}")).print();
            Status::Environment
        }
    };
    ExitCode::from(status as u8)
}

fn run(command: Command) -> Result<Status, Failure> {
    match command {
        Command::Verify(a) => cmd::verify::run(&a),
        Command::Run(a) => cmd::run::run(&a),
        Command::Test(a) => cmd::test::run(&a),
        Command::Diff(a) => cmd::diff::run(&a),
        Command::Jit(a) => cmd::jit::run(&a),
        Command::Disasm(a) => cmd::disasm::run(&a),
        Command::Asm(a) => cmd::asm::run(&a),
        Command::Gate(a) => cmd::gate::run(&a),
        Command::Fuzz(a) => cmd::fuzz::run(&a),
        Command::Capture(a) => cmd::capture::run(&a),
        Command::Kernels(a) => cmd::kernels::run(&a),
        Command::Explain(a) => cmd::explain::run(&a),
        Command::Completions(a) => cmd::completions::run(&a, &mut Cli::command()),
        Command::Man(a) => cmd::man::run(&a, Cli::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
