//! `asm`: text in the dialect of the kernel's log to raw instructions.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use crate::exit::{Failure, Status};

/// Assemble text in the dialect of the kernel's log to raw instructions
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 = written, 2 = the text is no program.

Example:
  printf 'r0 = 1\\nexit\\n' > one.bpfasm && bpfverdict asm one.bpfasm -o one.bin")]
pub struct Args {
    /// Text to assemble
    path: PathBuf,

    /// Where the instructions go; without it they are printed as hex, one slot a line (bytes, when piped)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Print hex even into a pipe
    #[arg(long)]
    hex: bool,
}

pub fn run(args: &Args) -> Result<Status, Failure> {
    let bytes = crate::input::read(&args.path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|e| Failure::file(&args.path, format!("offset {}: expected text", e.valid_up_to())))?;
    let insns = isa::asm::assemble(text).map_err(|e| Failure::file(&args.path, e))?;
    let raw: Vec<u8> = insns.iter().flat_map(|i| i.to_bytes()).collect();
    if let Some(path) = &args.output {
        std::fs::write(path, raw).map_err(|e| Failure::environment(format!("{}: {e}", path.display())))?;
        return Ok(Status::Ok);
    }
    let mut out = std::io::stdout();
    if args.hex || out.is_terminal() {
        for slot in raw.chunks(isa::Insn::SIZE) {
            let line: String = slot.iter().map(|b| format!("{b:02x}")).collect();
            writeln!(out, "{line}")?;
        }
    } else {
        out.write_all(&raw)?;
    }
    Ok(Status::Ok)
}
