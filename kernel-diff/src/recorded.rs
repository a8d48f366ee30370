//! Recorded answers of a kernel, in place of a kernel where none can be asked. Whoever shows them must say that they are recorded.

use corpus::recorded::{self, Recorded, RunOutcome};

use crate::engine::Error;
use crate::input::{Event, Output};
use crate::judgement::{Judgement, Stats};
use crate::play::Played;

/// What the kernel said to a program.
pub fn judgement(recorded: &Recorded, program: &str) -> Result<Judgement, Error> {
    let found = recorded.programs.iter().find(|p| p.name == program);
    let found = found.ok_or_else(|| Error::unsupported(format!("nothing is recorded of `{program}`")))?;
    Ok(match &found.outcome {
        recorded::Verdict::Accept { stats, .. } => {
            Judgement { accepted: true, stats: counters(stats), ..Judgement::default() }
        }
        recorded::Verdict::Reject { errno, message, stats, .. } => Judgement {
            accepted: false,
            errno: *errno,
            log: message.iter().map(|l| format!("{l}\n")).collect(),
            stats: stats.as_ref().map(counters).unwrap_or_default(),
        },
        recorded::Verdict::NotComparable { why } => return Err(Error::unsupported(why.clone())),
    })
}

fn counters(s: &recorded::Stats) -> Stats {
    Stats {
        insns_processed: Some(s.insns_processed),
        max_states_per_insn: Some(s.max_states_per_insn),
        total_states: Some(s.total_states),
        peak_states: Some(s.peak_states),
        stack_depth: s.stack_depth.clone(),
        ..Stats::default()
    }
}

/// What the kernel did in a scenario.
pub fn played(recorded: &Recorded, run: &str) -> Result<Played, Error> {
    let found = recorded.runs.iter().find(|r| r.name == run);
    let found = found.ok_or_else(|| Error::unsupported(format!("nothing is recorded of run `{run}`")))?;
    let (steps, maps, events) = match &found.outcome {
        RunOutcome::Ran { steps, maps, events } => (steps, maps, events),
        RunOutcome::NotComparable { why } => return Err(Error::unsupported(why.clone())),
    };
    let steps = steps.iter().map(|s| {
        let data = s.packet_out.as_deref().map(hex).transpose()?;
        Ok(Output { retval: s.returns, data, ..Output::default() })
    });
    let maps = maps.iter().map(|m| (m.name.clone(), m.clone())).collect();
    let events = events.iter().map(|e| Ok(Event { map: e.map.clone(), data: hex(&e.data)? }));
    Ok(Played { steps: steps.collect::<Result<_, Error>>()?, maps, events: events.collect::<Result<_, Error>>()? })
}

fn hex(text: &str) -> Result<Vec<u8>, Error> {
    corpus::literal::parse(text).map_err(|e| Error::unsupported(format!("recording: {e}")))
}
