//! Our verifier as an engine that judges and does not run.

use ::verifier::{Options, Outcome, Verdict, verify};
use program::Program;
use spec::Profile;

use kernel_diff::{Engine, Error, Judgement, Load, LoadOptions, Stats};

/// Judges against a profile.
pub struct Verifier {
    pub profile: Profile,
}

impl Engine for Verifier {
    fn name(&self) -> &str {
        "verifier"
    }

    /// Accepted programs come without a [`Loaded`](kernel_diff::Loaded): nothing here runs them.
    fn load(&mut self, program: &Program, options: &LoadOptions) -> Result<Load, Error> {
        let outcome = verify(program, &self.profile, &Options { log_level: options.log_level });
        Ok(Load { judgement: judgement(&outcome)?, program: None })
    }
}

/// An engine behind our verifier, as programs are behind the kernel's: what is refused does not run.
pub struct Checked<E> {
    pub profile: Profile,
    pub inner: E,
}

impl<E: Engine> Engine for Checked<E> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn load(&mut self, program: &Program, options: &LoadOptions) -> Result<Load, Error> {
        let outcome = verify(program, &self.profile, &Options { log_level: options.log_level });
        let judgement = judgement(&outcome)?;
        let program = if judgement.accepted { self.inner.load(program, options)?.program } else { None };
        Ok(Load { judgement, program })
    }

    fn forget_maps(&mut self) {
        self.inner.forget_maps();
    }
}

/// The outcome in the words of a kernel; what the verifier does not model is no judgement.
pub fn judgement(outcome: &Outcome) -> Result<Judgement, Error> {
    if outcome.verdict == Verdict::Unsupported {
        return Err(Error::unsupported(outcome.message.clone()));
    }
    let accepted = outcome.verdict == Verdict::Accept;
    let log = if outcome.log.is_empty() { &outcome.message } else { &outcome.log };
    let s = &outcome.stats;
    let depths: Vec<String> = s.stack_depths.iter().map(i32::to_string).collect();
    let stats = Stats {
        insns_processed: Some(s.insns_processed.into()),
        max_states_per_insn: Some(s.max_states_per_insn.into()),
        total_states: Some(s.total_states.into()),
        peak_states: Some(s.peak_states.into()),
        mark_read: None,
        stack_depth: Some(depths.join("+")),
        // Only newer kernels print these two; the numbers that they sum up are compared.
        max_stack_depth: None,
        insns_by_function: None,
        verification_us: None,
    };
    Ok(Judgement { stats, ..Judgement::from_log(accepted, outcome.errno, log.as_bytes()) })
}
