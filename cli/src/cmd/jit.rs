//! `jit`: the machine code of a program beside its instructions.

use std::io::Write;

use crate::args::{Kernel, Sources};
use crate::exit::{Failure, Status};
use crate::input::{Reader, visit_all};

/// Print the x86-64 code of programs beside their instructions
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 = printed, 2 = bad usage or unreadable input, 3 = this program cannot be compiled here.

Example:
  bpfverdict jit --only xdp_main prog.bpf.o")]
pub struct Args {
    #[command(flatten)]
    sources: Sources,

    #[command(flatten)]
    kernel: Kernel,

    /// Keep every check, also those that the verifier has proven unnecessary
    #[arg(long)]
    checked: bool,
}

pub fn run(args: &Args) -> Result<Status, Failure> {
    let profile = args.kernel.profile()?;
    let reader = Reader::new(&args.sources.select, &profile)?.of_any_type();
    let mut status = Status::Ok;
    let read = visit_all(&args.sources.paths, &reader, &mut |case| {
        let program = match &case.program {
            Ok(p) => p,
            Err(bad) => {
                Failure::input(format!("{}: {}: {}", case.file, bad.name, bad.why)).print();
                status = status.worst(Status::BadInput);
                return Ok(());
            }
        };
        let facts = || verifier::verify(program, &profile, &verifier::Options::default()).facts;
        let options = runtime::Options { facts: if args.checked { None } else { facts() }, ..Default::default() };
        let failed = |e: &dyn std::fmt::Display| Failure::environment(format!("{}: {e}", program.name));
        let image = runtime::Image::new(program, &mut runtime::Maps::default(), &options).map_err(|e| failed(&e))?;
        let compiled = jit::compile(&image).map_err(|e| failed(&e))?;
        let mut out = crate::output::out();
        writeln!(out, "; {}: {} slots", program.name, program.insns.len())?;
        write!(out, "{}", jit::dump(&compiled))?;
        Ok(())
    })?;
    Ok(status.worst(read))
}
