//! rbpf as an engine: an interpreter that shares no code with ours. It takes programs of its instruction set (up to v3, without atomics)
//! that need no kernel: no maps, no helpers, no context but plain memory. Everything else is not comparable, and says why.

use std::io::ErrorKind;
use std::time::Instant;

use isa::{Kind, Pseudo, Version};
use kernel_diff::{Engine, Error, Input, Judgement, Load, LoadOptions, Loaded, MapDump, Output};
use program::Program;

/// The engine. It bounds no run: give it programs that a verifier has accepted.
pub struct Rbpf;

impl Engine for Rbpf {
    fn name(&self) -> &str {
        "rbpf"
    }

    fn load(&mut self, program: &Program, _: &LoadOptions) -> Result<Load, Error> {
        if let Some(what) = beyond(program) {
            return Err(Error::unsupported(what));
        }
        let code = program.insns.iter().flat_map(|i| i.to_bytes()).collect();
        let loaded = Loadable { code, takes_record: program.prog_type == spec::ProgType::Syscall.raw() };
        Ok(Load { judgement: Judgement { accepted: true, ..Judgement::default() }, program: Some(Box::new(loaded)) })
    }
}

/// The first thing in a program that rbpf refuses or is known to get wrong (`sdiv`, `smod`, sign-extending moves).
fn beyond(program: &Program) -> Option<&'static str> {
    let mut slot = 0;
    while slot < program.insns.len() {
        let Ok(d) = isa::decode(&program.insns, slot) else { return Some("instructions that do not decode") };
        let what = match d.kind() {
            Kind::CallHelper | Kind::CallKfunc => Some("calls into a kernel"),
            Kind::LdImm64(p) if p != Pseudo::Const => Some("maps, kernel variables, callbacks"),
            Kind::LdAbs(_) | Kind::LdInd(_) => Some("packet loads"),
            Kind::Atomic(..) => Some("atomics"),
            _ if d.op.since() > Version::V3 => Some("instructions of version 4"),
            _ => None,
        };
        if what.is_some() {
            return what;
        }
        slot += d.slots();
    }
    None
}

/// Checked code.
struct Loadable {
    code: Vec<u8>,
    /// Whether r1 points to memory that user space gives.
    takes_record: bool,
}

impl Loaded for Loadable {
    fn run(&mut self, input: &Input, repeat: u32) -> Result<Output, Error> {
        let vm = rbpf::EbpfVmRaw::new(Some(&self.code)).map_err(|e| Error::unsupported(e.to_string()))?;
        let mut record = if self.takes_record { input.record.0.clone() } else { Vec::new() };
        let mut r0 = 0;
        let start = Instant::now();
        for _ in 0..repeat.max(1) {
            // Without memory r1 points to nothing, so that what a context would have given faults.
            r0 = vm.execute_program(&mut record).map_err(|e| match e.kind() {
                ErrorKind::Other if e.to_string().contains("out of bounds memory") => {
                    Error::unsupported("memory that only a kernel's context leads to")
                }
                _ => Error::Fault(e.to_string()),
            })?;
        }
        let nanos = start.elapsed().as_nanos() / u128::from(repeat.max(1));
        Ok(Output {
            retval: r0 as u32,
            ctx: Some(record).filter(|_| self.takes_record),
            duration_ns: u64::try_from(nanos).unwrap_or(u64::MAX),
            ..Output::default()
        })
    }

    fn maps(&mut self) -> Result<Vec<MapDump>, Error> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<u32, Error> {
        let program = Program { insns: isa::asm::assemble(text).expect(text), ..Program::default() };
        let mut loaded = Rbpf.load(&program, &LoadOptions::default())?.program.expect("accepted");
        loaded.run(&Input::default(), 1).map(|o| o.retval)
    }

    #[test]
    fn it_runs_what_it_reaches() {
        let text = "r6 = 5\n*(u64 *)(r10 -8) = r6\nr1 = 7\ncall f\nr1 = *(u64 *)(r10 -8)\nr0 += r1\nexit\n";
        let function = "f: *(u64 *)(r10 -8) = r1\nr0 = *(u64 *)(r10 -8)\nr0 *= 2\nexit\n";
        assert_eq!(asked(&(text.to_owned() + function)), Ok(19));
    }

    #[test]
    fn it_says_what_is_out_of_reach() {
        for (text, why) in [
            ("r0 = 6\nr0 s/= -2\nexit\n", "version 4"),
            ("r0 = (s8)r0\nexit\n", "version 4"),
            ("lock *(u64 *)(r10 -8) += r1\nexit\n", "atomics"),
            ("r1 = map[0]\nexit\n", "maps"),
            ("call ktime_get_ns#5\nexit\n", "kernel"),
            ("r0 = *(u32 *)(r1 +0)\nexit\n", "context"),
        ] {
            let e = asked(text).expect_err(text);
            assert!(matches!(&e, Error::Unsupported(m) if m.contains(why)), "{text}: {e}");
        }
    }
}
