//! `cargo xtask random-c --seed 1 --count 100 --out FOLDER`: random C programs, compiled (needs clang). What kernels say to them is `judge`'s
//! matter.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};

#[derive(clap::Args)]
pub struct Args {
    /// Seed of the first file; the next has the next
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many files; each has eight programs
    #[arg(long, default_value_t = 100)]
    count: u64,
    /// Write sources and objects here
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    #[arg(long, default_value = "clang-19")]
    clang: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let end = args.seed.saturating_add(args.count);
    let (next, refused) = (AtomicU64::new(args.seed), AtomicU64::new(0));
    let work = || -> Result<()> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return Ok(());
            }
            if !compile(args, seed)? {
                refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|w| w.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?)
    })?;
    let refused = refused.into_inner();
    eprintln!("{} files compiled, {refused} not", args.count - refused);
    ensure!(refused * 10 <= args.count, "the compiler takes too few files");
    Ok(())
}

/// False if the compiler refuses the file, for its stack perhaps; says why.
fn compile(args: &Args, seed: u64) -> Result<bool> {
    let source = fuzz::generate::c::source(seed);
    let name = |extension: &str| args.out.join(format!("random{seed}.{extension}"));
    let (from, to): (PathBuf, PathBuf) = (name("c"), name("o"));
    fs::write(&from, &source.text)?;
    let done = clang(&args.clang, &source, &from, &to)?;
    if !done.status.success() {
        let text = String::from_utf8_lossy(&done.stderr);
        let first = text.lines().find(|l| l.contains("error")).unwrap_or_default();
        eprintln!("{}: {first}", from.display());
    }
    Ok(done.status.success())
}

fn clang(program: &Path, source: &fuzz::generate::c::Source, from: &Path, to: &Path) -> Result<std::process::Output> {
    Command::new(program)
        .args([source.optimise, source.cpu, "-g", "-w", "-target", "bpf", "-c"])
        .arg(from)
        .arg("-o")
        .arg(to)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))
}
