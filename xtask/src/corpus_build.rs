//! `cargo xtask corpus build`: compiles `corpus/*/*.bpf.c` to the `.bpf.o` files that are checked in. Loads nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

#[derive(clap::Args)]
pub struct Args {
    /// Only sources whose path contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Compile into a scratch folder and fail where a checked-in object differs
    #[arg(long)]
    check: bool,
    #[arg(long, default_value = "clang-19")]
    clang: PathBuf,
    #[arg(long, default_value = "llvm-strip-19")]
    strip: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    let corpus = crate::root().join("corpus");
    let mut sources = Vec::new();
    for folder in fs::read_dir(&corpus)? {
        let folder = folder?.path();
        if folder.is_dir() {
            for file in fs::read_dir(&folder)? {
                let file = file?.path();
                let text = file.to_string_lossy();
                if text.ends_with(".bpf.c") && text.contains(&args.only) {
                    sources.push(file.strip_prefix(&corpus)?.to_owned());
                }
            }
        }
    }
    sources.sort();
    let mut differing = Vec::new();
    for source in &sources {
        let object = corpus.join(source).with_extension("o");
        let built = object.with_extension("o.new");
        compile(args, &corpus, source, &built).with_context(|| source.display().to_string())?;
        if fs::read(&built)? == fs::read(&object).unwrap_or_default() {
            fs::remove_file(&built)?;
        } else if args.check {
            fs::remove_file(&built)?;
            differing.push(source.display().to_string());
        } else {
            fs::rename(&built, &object)?;
            println!("{}", source.display());
        }
    }
    if !differing.is_empty() {
        bail!("objects differ from their sources: {}", differing.join(", "));
    }
    eprintln!("{} sources compiled", sources.len());
    Ok(())
}

/// The processor version is a comment in the source (`// mcpu: v4`), because it is part of what the source means.
fn cpu(text: &str) -> &str {
    text.lines().find_map(|l| l.strip_prefix("// mcpu: ")).unwrap_or("v3")
}

fn compile(args: &Args, corpus: &Path, source: &Path, to: &Path) -> Result<()> {
    let text = fs::read_to_string(corpus.join(source))?;
    // Relative paths and a fixed compilation directory keep the machine's paths out of BTF.
    succeed(
        Command::new(&args.clang)
            .current_dir(corpus)
            .args(["-O2", "-g", "-Wall", "-Werror", "-target", "bpf", "-Iinclude", "-ffile-compilation-dir=."])
            .arg(format!("-mcpu={}", cpu(&text)))
            .arg("-c")
            .arg(source)
            .arg("-o")
            .arg(to),
    )?;
    // DWARF goes, BTF stays.
    succeed(Command::new(&args.strip).arg("-g").arg(to))
}

fn succeed(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot run {program}"))?;
    if !status.success() {
        bail!("{program} failed: {status}");
    }
    Ok(())
}
