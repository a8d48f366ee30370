//! `disasm`: programs as text in the dialect of the kernel's log.

use std::io::Write;

use isa::{Names, disasm_program};

use crate::args::Sources;
use crate::exit::{Failure, Status};
use crate::input::{Reader, visit_all};
use crate::output::{DIM, styled};

/// Print programs as text, in the dialect of the kernel's log; `asm` reads it back
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 = printed, 2 = bad usage or unreadable input.\n\nExample:\n  bpfverdict disasm --only xdp_main prog.bpf.o"
)]
pub struct Args {
    #[command(flatten)]
    sources: Sources,
}

/// Helper names as the log prints them.
pub struct Helpers;

impl Names for Helpers {
    fn helper(&self, id: i32) -> Option<&str> {
        u32::try_from(id).ok().and_then(spec::helper::log_name)
    }
}

pub fn run(args: &Args) -> Result<Status, Failure> {
    let profile = spec::Profile::default();
    let reader = Reader::new(&args.sources.select, &profile)?.of_any_type();
    let mut status = Status::Ok;
    let read = visit_all(&args.sources.paths, &reader, &mut |case| {
        let mut out = crate::output::out();
        let program = match &case.program {
            Ok(p) => p,
            Err(bad) => {
                Failure::input(format!("{}: {}: {}", case.file, bad.name, bad.why)).print();
                status = Status::BadInput;
                return Ok(());
            }
        };
        let kind = crate::verdict::type_name(program.prog_type);
        writeln!(out, "{}", styled(DIM, &format!("; {} ({kind}), {} slots", program.name, program.insns.len())))?;
        write!(out, "{}", disasm_program(&program.insns, &Helpers))?;
        Ok(())
    })?;
    Ok(status.worst(read))
}
