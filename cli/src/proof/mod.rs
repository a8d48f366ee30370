//! Proof of a diagnosis, from the program itself: an input that breaks it, the fix tried on its instructions, and what other kernels say.
//! What a refusal means is `diagnose`'s matter; this only asks verifier and interpreter again.

mod edit;
mod input;

use std::sync::OnceLock;

use diagnose::{Cause, Certainty, Diagnosis, Kernel, Trial};
use isa::Insn;
use program::Program;
use spec::Profile;
use spec::profile::Folders;
use verifier::{Options, Outcome, Verdict};

/// Processed instructions above which a refused program is not judged again and again.
const LONG: u32 = 20_000;

/// Adds to a diagnosis what can be proven about it.
pub fn add(program: &Program, profile: &Profile, outcome: &Outcome, diagnosis: &mut Diagnosis) {
    if outcome.stats.insns_processed > LONG {
        return;
    }
    try_fixes(program, profile, diagnosis);
    if let Some(at) = outcome.insn.filter(|_| can_break(diagnosis.cause)) {
        match input::find(program, profile, at, &diagnosis.probe) {
            Some(Ok(found)) => {
                let shown = shown(&found.input);
                diagnosis.notes.push(format!("proof: with this input instruction {} {}: {shown}", found.insn, found.fault));
                diagnosis.counterexample = serde_json::to_value(&found).ok();
            }
            Some(Err(tried)) if may_be_right(diagnosis.cause) => diagnosis.notes.push(format!(
                "no input found that breaks it ({tried} tried): the program may be right, and the proof is what is missing"
            )),
            Some(Err(tried)) => diagnosis.notes.push(format!("no input found that breaks it ({tried} tried)")),
            None => {}
        }
    }
    kernels(program, profile, outcome, diagnosis);
}

/// Causes that an input could show.
fn can_break(cause: Cause) -> bool {
    use Cause::*;
    matches!(
        cause,
        PktMissing | PktLost | PktStale | MemOob | Range | RangeLost | Null | RawDeref | ProvLost | Loop | Ref | PtrOp
    )
}

fn may_be_right(cause: Cause) -> bool {
    matches!(cause, Cause::PktLost | Cause::RangeLost | Cause::ProvLost)
}

/// An input as `run --input` reads it, on few lines.
fn shown(input: &runtime::Input) -> String {
    let mut out = Vec::new();
    if !input.packet.0.is_empty() {
        out.push(format!("packet = \"{}\" ({} bytes)", input.packet.to_hex(), input.packet.0.len()));
    }
    for (name, value) in &input.ctx {
        let value = serde_json::to_string(value).unwrap_or_default();
        out.push(format!("ctx.{name} = {value}"));
    }
    match input.maps.first() {
        None => out.push("maps empty".to_owned()),
        Some(_) => {
            for m in &input.maps {
                let entry =
                    m.entries.first().map(|e| format!("{} = {}", short(&e.key.to_hex()), short(&e.value.to_hex())));
                out.push(format!("map {}: {}", m.map, entry.unwrap_or_default()));
            }
        }
    }
    out.join(", ")
}

fn short(hex: &str) -> String {
    if hex.len() > 16 { format!("{}…", &hex[..16]) } else { hex.to_owned() }
}

/// Applies each fix that can be applied to instructions, and judges again.
fn try_fixes(program: &Program, profile: &Profile, diagnosis: &mut Diagnosis) {
    let mut proven = None;
    for fix in &mut diagnosis.fix {
        let Some(trial) = &fix.trial else { continue };
        let loads = variants(program, trial).into_iter().any(|(at, added)| {
            edit::insert(program, at, &added).is_some_and(|changed| {
                verifier::verify(&changed, profile, &Options::default()).verdict == Verdict::Accept
            })
        });
        fix.proven = loads;
        proven = Some(proven.unwrap_or(false) || loads);
    }
    if proven == Some(false) {
        diagnosis.notes.push(
            "the first fix alone, tried on the bytecode, does not make it load: there is more to change".to_owned(),
        );
    }
}

fn asm(text: &str) -> Option<Vec<Insn>> {
    isa::asm::assemble(text).ok()
}

/// What a program of this type may return early.
fn harmless(program: &Program) -> [i32; 2] {
    if crate::verdict::type_name(program.prog_type) == "xdp" { [2, 1] } else { [0, 1] }
}

/// The instructions of a trial, in the ways that are worth trying.
fn variants(program: &Program, trial: &Trial) -> Vec<(usize, Vec<Insn>)> {
    let mut out = Vec::new();
    for ret in harmless(program) {
        let leave = format!("r0 = {ret}\nexit\n");
        match trial {
            Trial::NotNull { insn, reg } => {
                out.extend(asm(&format!("if r{reg} != 0 goto +2\n{leave}")).map(|a| (*insn as usize, a)));
            }
            Trial::Packet { insn, reg, end, needed, load } => {
                let load = load.map_or_else(String::new, |(ctx, off)| format!("r{end} = *(u32 *)(r{ctx} +{off})\n"));
                let text =
                    format!("{load}r{reg} += {needed}\nif r{reg} <= r{end} goto +2\n{leave}r{reg} += -{needed}\n");
                out.extend(asm(&text).map(|a| (*insn as usize, a)));
            }
            Trial::Limit { insn, reg, least, most } => {
                for limit in most {
                    let low = if *least > 0 { format!("if r{reg} >= {least} goto +2\n{leave}") } else { String::new() };
                    let text = format!("{low}if r{reg} <= {limit} goto +2\n{leave}");
                    out.extend(asm(&text).map(|a| (*insn as usize, a)));
                }
            }
            Trial::Zero { off, len } => {
                let mut text = String::new();
                for at in *off..*off + *len {
                    text.push_str(&format!("*(u8 *)(r10 {at:+}) = 0\n"));
                }
                out.extend(asm(&text).map(|a| (0, a)));
            }
        }
    }
    out
}

/// One profile of each series, read when the first program is refused.
fn others() -> &'static [(String, Profile)] {
    static ALL: OnceLock<Vec<(String, Profile)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let disk = Folders::new(None).names().into_iter().map(|n| n.0);
        let names = Profile::names().filter(|n| n.matches('.').count() == 1).map(str::to_owned).chain(disk);
        let names: Vec<String> = names.collect();
        std::thread::scope(|scope| {
            let load = |n: String| scope.spawn(move || Some((n.clone(), Profile::load(&n).ok()?)));
            let threads: Vec<_> = names.into_iter().map(load).collect();
            threads.into_iter().filter_map(|t| t.join().ok().flatten()).collect()
        })
    })
}

/// What the other kernels say to the same program.
fn kernels(program: &Program, profile: &Profile, outcome: &Outcome, diagnosis: &mut Diagnosis) {
    let mine = format!("{}.{}", profile.version.major, profile.version.minor);
    let mut all = vec![Kernel { kernel: mine.clone(), accepts: false, message: outcome.message.clone() }];
    for (name, other) in others().iter().filter(|o| o.0 != mine) {
        let judged = verifier::verify(program, other, &Options::default());
        if judged.verdict == Verdict::Unsupported {
            continue;
        }
        all.push(Kernel {
            kernel: name.clone(),
            accepts: judged.verdict == Verdict::Accept,
            message: judged.message.lines().last().unwrap_or_default().to_owned(),
        });
    }
    all.sort_by_key(|k| {
        let mut parts = k.kernel.split('.').map(|p| p.parse::<u32>().unwrap_or(0));
        (parts.next(), parts.next())
    });
    let (takes, refuse): (Vec<_>, Vec<_>) = all.iter().partition(|k| k.accepts);
    let names = |k: &[&Kernel]| k.iter().map(|k| k.kernel.clone()).collect::<Vec<_>>().join(", ");
    if !takes.is_empty() {
        diagnosis.notes.push(format!("refused by Linux {}; taken by {}", names(&refuse), names(&takes)));
    } else if refuse.len() > 1 {
        diagnosis.notes.push(format!("every kernel asked refuses it: {}", names(&refuse)));
    }
    // What one kernel can prove needs no other check: the program is right, and the refusal is this kernel's.
    let asks_for_a_check =
        matches!(diagnosis.cause, Cause::Range | Cause::PktMissing | Cause::MemOob | Cause::Null | Cause::RawDeref);
    if !takes.is_empty() && asks_for_a_check && diagnosis.counterexample.is_none() {
        let taken = names(&takes);
        diagnosis.cause = Cause::KernelBug;
        diagnosis.meaning = diagnosis.cause.meaning();
        diagnosis.cause_confidence = Certainty::Likely;
        diagnosis.evidence.insert(0, format!("Linux {taken} can prove this very access: what this kernel's verifier misses is not missing in the program"));
    }
    diagnosis.kernels = all;
}
