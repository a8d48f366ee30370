//! What a filetest must fulfil: the verdict on its line, the kernel's if there is one, and the results of its runs on every engine.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use engines::rbpf::Rbpf;
use engines::userspace::{Backend, Userspace};
use engines::verifier::judgement;
use kernel_diff::outcome::{self, Outcome};
use kernel_diff::{Engine, Error, LoadOptions, MapDump, Output};
use spec::Profile;
use verifier::{Options, Verdict, verify};

use tests::filetest::{Expect, File, Recorded, Run, Says};

/// How often the kernel was asked.
#[derive(Debug, Default)]
pub struct Asked {
    pub verdicts: usize,
    pub runs: usize,
    /// It does not load such programs on this machine, or was not asked for other reasons.
    pub mute: Vec<String>,
}

/// What a file is found to be; differences from what it says, and its text if it said this.
pub struct Found {
    pub wrong: Vec<String>,
    pub blessed: String,
}

/// Checks a file. `kernel`: also hold it against this.
pub fn check(file: &File, kernel: Option<&mut (dyn Engine + 'static)>, asked: &mut Asked) -> Found {
    let mut profile = Profile::reference();
    if let Some(caps) = file.caps {
        profile = profile.with_caps(caps);
    }
    let log_level = if file.log.is_some() { 2 } else { 0 };
    let outcome = verify(&file.program, &profile, &Options { log_level });
    let mut wrong = Vec::new();
    let message = outcome.message.lines().last().unwrap_or("").to_owned();
    let expect = match outcome.verdict {
        Verdict::Accept => Expect::Accept,
        Verdict::Reject => {
            let line = outcome.insn.and_then(|i| file.line_of(i));
            let id = outcome.id.unwrap_or("-").to_owned();
            Expect::Reject { line: line.unwrap_or_else(|| file.head()), on_insn: line.is_some(), id, message }
        }
        Verdict::Unsupported => {
            wrong.push(format!("unsupported: {message}"));
            file.expect.clone()
        }
    };
    if expect != file.expect {
        wrong.push(format!("expected {:?}\n  found    {expect:?}", file.expect));
    }
    let walked = u64::from(outcome.stats.insns_processed);
    if let Some((_, n)) = file.insns.filter(|(_, n)| *n != walked) {
        wrong.push(format!("insns: {n} expected, {walked} found"));
    }
    if let Some((_, lines)) = &file.log
        && *lines != outcome.log.lines().collect::<Vec<_>>()
    {
        wrong.push(format!("the log differs; it is\n{}", outcome.log));
    }
    let mut kernel = kernel;
    if let Some(kernel) = kernel.as_deref_mut() {
        wrong.extend(hold_against(kernel, file, &profile, asked));
    }
    wrong.extend(file.kernels.iter().filter_map(|k| hold_as(k, file)));
    let mut results = Vec::new();
    if outcome.verdict == Verdict::Accept {
        for run in &file.runs {
            let result = run_everywhere(file, run, &profile, kernel.as_deref_mut(), asked, &mut wrong);
            results.extend(result);
        }
    } else if !file.runs.is_empty() {
        wrong.push("a refused program does not run".to_owned());
    }
    Found { wrong, blessed: file.rewritten(&expect, walked, &outcome.log, &results) }
}

/// Whether we say as another kernel what that was recorded to say.
fn hold_as(recorded: &Recorded, file: &File) -> Option<String> {
    let Recorded { line, kernel, says } = recorded;
    let found = || {
        let mut profile = Profile::load(kernel).map_err(|e| e.to_string())?;
        if let Some(caps) = file.caps {
            profile = profile.with_caps(caps);
        }
        let outcome = verify(&file.program_for(&profile)?, &profile, &Options::default());
        let stats = &outcome.stats;
        let silent = says.message.is_empty() && outcome.id == Some("BV0003");
        let message = outcome.message.trim_end().lines().last().filter(|_| !silent).unwrap_or("");
        let states = (u64::from(stats.total_states), u64::from(stats.peak_states));
        match outcome.verdict {
            Verdict::Unsupported => Err(format!("unsupported: {message}")),
            _ => Ok(Says {
                errno: outcome.errno,
                message: message.to_owned(),
                insns: says.insns.is_some().then_some(u64::from(stats.insns_processed)),
                states: says.states.is_some().then_some(states),
            }),
        }
    };
    match found() {
        Ok(found) if found == *says => None,
        Ok(found) => Some(format!("line {line}: kernel {kernel}: {says} expected\n  found {found}")),
        Err(e) => Some(format!("line {line}: kernel {kernel}: {e}")),
    }
}

/// The BTF of this machine's kernel.
fn host_btf() -> Result<Arc<btf::Btf>, String> {
    static BTF: OnceLock<Result<Arc<btf::Btf>, String>> = OnceLock::new();
    let read = || {
        let bytes = std::fs::read("/sys/kernel/btf/vmlinux").map_err(|e| e.to_string())?;
        btf::Btf::parse(&bytes).map(Arc::new).map_err(|e| e.to_string())
    };
    BTF.get_or_init(read).clone()
}

/// Whether the kernel judges alike: verdict, errno, last line, counters.
fn hold_against(
    kernel: &mut (dyn Engine + 'static),
    file: &File,
    profile: &Profile,
    asked: &mut Asked,
) -> Option<String> {
    let name = &file.program.name;
    kernel.forget_maps();
    let options = LoadOptions::with_level(4);
    // What the program names in the kernel's BTF is found in that of the kernel asked.
    let profile = match host_btf() {
        Ok(btf) => &profile.clone().with_btf(btf),
        Err(_) => profile,
    };
    let made = match file.program_for(profile) {
        Ok(made) => made,
        Err(e) => {
            asked.mute.push(format!("{name}: {e}"));
            return None;
        }
    };
    let theirs = match file.caps {
        Some(caps) => kernel_diff::live::judge_with(caps, &made, &options),
        None => kernel.load(&made, &options).map(|l| l.judgement),
    };
    let theirs = match theirs {
        Ok(j) => j,
        Err(e) => {
            asked.mute.push(format!("{name}: {e}"));
            return None;
        }
    };
    if !theirs.accepted && theirs.errno == -1 && theirs.log.is_empty() {
        asked.mute.push(format!("{name}: this kernel loads no such programs (EPERM)"));
        return None;
    }
    asked.verdicts += 1;
    let ours = judgement(&verify(&made, profile, &Options { log_level: 4 })).ok()?;
    match outcome::judgements(&theirs, &ours, false) {
        Outcome::Agree => None,
        other => Some(format!("the kernel differs: {other}")),
    }
}

/// An engine's answer to a run.
struct Answer {
    engine: &'static str,
    output: Output,
    maps: Vec<MapDump>,
}

/// Runs on all engines; what the first says is what is blessed.
fn run_everywhere(
    file: &File,
    run: &Run,
    profile: &Profile,
    kernel: Option<&mut (dyn Engine + 'static)>,
    asked: &mut Asked,
    wrong: &mut Vec<String>,
) -> Option<BTreeMap<String, String>> {
    let btf = Some(Arc::clone(profile.btf()));
    let mut interp = Userspace::new(Backend::Interpreter, btf.clone());
    let mut checked = Userspace::new(Backend::Jit, btf.clone());
    let mut proven = Userspace::new(Backend::Jit, btf).with_facts(profile.clone());
    let mut peer = Rbpf;
    let mut engines: Vec<(&'static str, &mut dyn Engine)> =
        vec![("interpreter", &mut interp), ("JIT", &mut checked), ("JIT with facts", &mut proven), ("rbpf", &mut peer)];
    if let Some(kernel) = kernel.filter(|_| file.caps.is_none()) {
        engines.push(("kernel", kernel));
    }
    let mut first: Option<Answer> = None;
    for (name, engine) in engines {
        let at = run.line;
        let answer = match answer(name, engine, file, run) {
            Ok(a) => a,
            Err(Error::Unsupported(why)) if matches!(name, "kernel" | "rbpf") => {
                if name == "kernel" {
                    asked.mute.push(format!("{}, run in line {at}: {why}", file.program.name));
                }
                continue;
            }
            Err(e) => {
                wrong.push(format!("line {at}: {name}: {e}"));
                continue;
            }
        };
        asked.runs += usize::from(name == "kernel");
        for (what, expected) in &run.results {
            let value = value_of(what, &answer);
            if value.as_deref().is_some_and(|v| !same(v, expected)) {
                let value = value.unwrap_or_default();
                wrong.push(format!("line {at}: {name}: {what}: {expected} expected, {value} found"));
            }
        }
        if let Some(first) = &first {
            let both = outcome::outputs(&first.output, &answer.output).and(outcome::maps(&first.maps, &answer.maps));
            if let Outcome::Differ(_) = both {
                wrong.push(format!("line {at}: {} and {name}: {both}", first.engine));
            }
        } else {
            first = Some(answer);
        }
    }
    let first = first?;
    Some(blessed(run, &first))
}

fn answer(engine_name: &'static str, engine: &mut dyn Engine, file: &File, run: &Run) -> Result<Answer, Error> {
    engine.forget_maps();
    let load = engine.load(&file.program, &LoadOptions::with_level(0))?;
    let Some(mut loaded) = load.program else { return Err(Error::unsupported("refused")) };
    let output = loaded.run(&run.input, 1)?;
    let maps = loaded.maps()?;
    Ok(Answer { engine: engine_name, output, maps })
}

fn hex(bytes: &[u8]) -> String {
    corpus::literal::hex(bytes)
}

/// What an answer says about a part of the expectations; `None` where this engine does not show it.
fn value_of(what: &str, answer: &Answer) -> Option<String> {
    match what {
        "" => Some((answer.output.retval as i32).to_string()),
        "packet" => answer.output.data.as_deref().map(hex),
        "record" => answer.output.ctx.as_deref().map(hex),
        _ if what.starts_with("event.") => {
            let name = &what["event.".len()..];
            let all = answer.output.events.iter().filter(|e| e.map == name).map(|e| hex(&e.data));
            (answer.engine != "rbpf").then(|| all.collect::<Vec<_>>().join(","))
        }
        _ => {
            let (name, key) = what.strip_prefix("map.")?.strip_suffix(']')?.split_once('[')?;
            let key = corpus::literal::parse(key).ok()?;
            let map = answer.maps.iter().find(|m| m.name == name)?;
            let found = map.entries.as_ref()?.iter().find(|(k, _)| *k == key);
            Some(found.map_or_else(|| "none".to_owned(), |(_, v)| hex(v)))
        }
    }
}

/// Whether a value is what was written: as text, as bytes, or as a number.
fn same(value: &str, expected: &str) -> bool {
    value == expected
        || corpus::literal::parse(expected).is_ok_and(|b| hex(&b) == value)
        || expected
            .strip_prefix("0x")
            .is_some_and(|h| u32::from_str_radix(h, 16).is_ok_and(|n| (n as i32).to_string() == value))
}

/// The results worth writing down: what the file asks for, else the return value and everything that the run changed.
fn blessed(run: &Run, answer: &Answer) -> BTreeMap<String, String> {
    if run.results.len() > 1 {
        let kept = run.results.iter();
        return kept
            .map(|(what, old)| match value_of(what, answer) {
                Some(v) if !same(&v, old) => (what.clone(), v),
                _ => (what.clone(), quoted(old)),
            })
            .collect();
    }
    let mut out = BTreeMap::from([(String::new(), (answer.output.retval as i32).to_string())]);
    if answer.output.data.as_ref().is_some_and(|d| *d != run.input.packet.0) {
        out.extend(value_of("packet", answer).map(|v| ("packet".to_owned(), v)));
    }
    if answer.output.ctx.as_ref().is_some_and(|d| *d != run.input.record.0) {
        out.extend(value_of("record", answer).map(|v| ("record".to_owned(), v)));
    }
    for map in &answer.maps {
        for (key, value) in map.entries.iter().flatten().filter(|(_, v)| v.iter().any(|b| *b != 0)) {
            out.insert(format!("map.{}[{}]", map.name, hex(key)), hex(value));
        }
    }
    let mut names: Vec<&str> = answer.output.events.iter().map(|e| e.map.as_str()).collect();
    names.dedup();
    for name in names {
        let what = format!("event.{name}");
        out.extend(value_of(&what, answer).map(|v| (what, v)));
    }
    out
}

/// A literal of several words needs quotes.
fn quoted(value: &str) -> String {
    if value.contains(' ') { format!("\"{value}\"") } else { value.to_owned() }
}
