//! Scenarios on engines: files of them, whether they fit the programs, the engines by name. What a scenario says is `scenario`'s matter,
//! playing it `kernel_diff::play`'s.

use std::path::Path;

use engines::userspace::{Backend, Userspace};
use kernel_diff::Engine;
use program::{MapDef, Program};
use scenario::Scenario;
use scenario::step::Names;
use spec::Profile;

use crate::exit::Failure;

/// An engine as the command line names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Which {
    /// The interpreter: every access checked
    #[default]
    Interp,
    /// The x86-64 JIT
    Jit,
    /// The kernel of this machine (BPF_PROG_TEST_RUN)
    Kernel,
}

impl Which {
    pub fn engine(self, profile: &Profile) -> Result<Box<dyn Engine>, Failure> {
        let userspace = |backend| {
            let engine = Userspace::new(backend, Some(profile.btf().clone())).with_facts(profile.clone());
            Box::new(engine) as Box<dyn Engine>
        };
        Ok(match self {
            Which::Interp => userspace(Backend::Interpreter),
            Which::Jit => userspace(Backend::Jit),
            Which::Kernel => kernel_diff::live::host()?,
        })
    }
}

/// Packets that have names without anybody saying so: those of the corpus.
pub fn names() -> Result<Names, Failure> {
    Ok(corpus::Corpus::embedded().map_err(Failure::environment)?.packets)
}

/// The scenario of a file.
pub fn read(path: &Path) -> Result<Scenario, Failure> {
    scenario::read(&crate::input::read(path)?, &names()?).map_err(|e| Failure::file(path, e))
}

/// What of a scenario the programs cannot take: a program or map that is not there, a key or value of another size.
pub fn misfit(run: &Scenario, programs: &[Program]) -> Option<String> {
    let named = run.steps.iter().filter_map(|s| s.program.as_deref());
    if let Some(name) = named.into_iter().find(|name| !programs.iter().any(|p| p.name == *name)) {
        let there: Vec<&str> = programs.iter().map(|p| p.name.as_str()).collect();
        return Some(format!("no program `{name}`; there are {}", there.join(", ")));
    }
    let maps: Vec<&MapDef> = programs.iter().flat_map(|p| &p.maps).map(AsRef::as_ref).collect();
    let find = |name: &str| maps.iter().find(|m| m.full_name == name || m.name == name).copied();
    let missing = |name: &str| {
        let mut there: Vec<&str> = maps.iter().map(|m| m.full_name.as_str()).filter(|n| !n.is_empty()).collect();
        there.sort_unstable();
        there.dedup();
        format!("no map `{name}`; there are {}", there.join(", "))
    };
    let sized = |map: &str, what: &str, found: usize, expected: u32| {
        (found != expected as usize).then(|| format!("map `{map}`: {what} is {expected} bytes, got {found}"))
    };
    for preset in run.maps.iter().chain(run.steps.iter().flat_map(|s| &s.maps)) {
        let Some(def) = find(&preset.map) else { return Some(missing(&preset.map)) };
        for entry in &preset.entries {
            let value = entry.value.0.len();
            let whole = |n: usize| entry.slot.is_some() || n.is_multiple_of((def.value_size as usize).max(1)) && n != 0;
            let wrong = sized(&preset.map, "a key", entry.key.0.len(), def.key_size)
                .or_else(|| (!whole(value)).then(|| sized(&preset.map, "a value", value, def.value_size))?);
            if wrong.is_some() {
                return wrong;
            }
        }
    }
    run.after.iter().find_map(|element| {
        let Some(def) = find(&element.map) else { return Some(missing(&element.map)) };
        let value = element.value.as_ref().map(|v| v.0.len());
        sized(&element.map, "a key", element.key.0.len(), def.key_size)
            .or_else(|| sized(&element.map, "a value", value?, def.value_size))
    })
}
