//! Work on the repository itself: `cargo xtask <task>`. One file per task; this one only names them.

mod compare_loader;
mod corpus_build;
mod corpus_record;
mod guest;
mod judge;
mod profile;
mod random_c;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "xtask", about = "Work on the repository itself", long_about = None)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Compare our loader with libbpf on every object under the paths (needs root)
    CompareLoader(compare_loader::Args),
    /// The corpus of BPF programs
    #[command(subcommand)]
    Corpus(Corpus),
    /// Run a program in a QEMU guest with another kernel
    Guest(guest::Args),
    /// Compare our verdicts with those of another kernel in a QEMU guest
    Judge(judge::Args),
    /// Ask the running kernel what the tables of spec/ claim (needs root)
    Profile(profile::Options),
    /// Write and compile random C programs (needs clang-19)
    RandomC(random_c::Args),
    /// Check the rules of the repository that no compiler checks
    Tidy,
}

#[derive(Subcommand)]
enum Corpus {
    /// Compile the C sources to the objects that are checked in (needs clang-19)
    Build(corpus_build::Args),
    /// Ask the running kernel and write down what it says (needs root; `cargo record` builds it)
    Record(corpus_record::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::CompareLoader(args) => compare_loader::run(&args),
        Task::Corpus(Corpus::Build(args)) => corpus_build::run(&args),
        Task::Corpus(Corpus::Record(args)) => corpus_record::run(&args),
        Task::Guest(args) => guest::run(&args),
        Task::Judge(args) => judge::run(&args),
        Task::Profile(options) => profile::run(&options),
        Task::RandomC(args) => random_c::run(&args),
        Task::Tidy => tidy::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's root, wherever cargo was called from.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
