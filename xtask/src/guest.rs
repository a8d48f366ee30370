//! `cargo xtask guest --vm VMLINUZ PROGRAM --folder FOLDER... --argument WORD...`: runs a statically linked program (a test of this repository,
//! for instance) as root in a QEMU guest. The folders are there under their own paths, which `BPFVERDICT_OBJECTS` names as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::profile::vm;

/// Where the guest has the program.
const PROGRAM: &str = "program";

#[derive(clap::Args)]
pub struct Args {
    /// The program; in the guest, where it is there
    program: PathBuf,
    /// Boot this vmlinuz under QEMU
    #[arg(long, value_name = "VMLINUZ")]
    vm: Option<PathBuf>,
    /// A folder with objects that the program gets to see
    #[arg(long = "folder")]
    folders: Vec<PathBuf>,
    /// What the program is called with, one word at a time
    #[arg(long = "argument", allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    if vm::is_guest() {
        vm::finish(vm::prepare().and_then(|()| child(args)));
    }
    let vmlinuz = args.vm.as_deref().context("--vm VMLINUZ says which kernel to boot")?;
    let mut files = vec![(PROGRAM.to_owned(), fs::read(&args.program)?)];
    let mut line = vec!["guest".to_owned(), format!("/{PROGRAM}")];
    for (number, folder) in args.folders.iter().enumerate() {
        let at = format!("folder{number}");
        gather(folder, &at, &mut files)?;
        line.push(format!("--folder=/{at}"));
    }
    line.extend(args.arguments.iter().map(|a| format!("--argument={a}")));
    vm::run(vmlinuz, &line, &files)
}

fn gather(folder: &Path, at: &str, files: &mut Vec<vm::GuestFile>) -> Result<()> {
    let inside = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut inside: Vec<PathBuf> = inside.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    inside.sort();
    for path in inside {
        let name = path.file_name().and_then(|n| n.to_str()).with_context(|| path.display().to_string())?;
        let at = format!("{at}/{name}");
        if path.is_dir() {
            gather(&path, &at, files)?;
        } else if path.extension().is_some_and(|e| e == "o") {
            files.push((at, fs::read(&path)?));
        }
    }
    Ok(())
}

fn child(args: &Args) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&args.program, fs::Permissions::from_mode(0o755))?;
    // The firmware's last words have no end of line.
    println!();
    let folders: Vec<String> = args.folders.iter().map(|f| f.display().to_string()).collect();
    let ended = Command::new(&args.program)
        .args(&args.arguments)
        .env("BPFVERDICT_OBJECTS", folders.join(":"))
        .env("TMPDIR", "/tmp")
        .status()
        .context("the program in the guest")?;
    ensure!(ended.success(), "the program in the guest: {ended}");
    Ok(())
}
