//! The manifests: `packets.toml` at the root names packets, `corpus.toml` in each folder lists objects, their programs and runs, with
//! what the author expects. What a kernel said is in `recorded.rs`.

use std::collections::BTreeMap;

use serde::Deserialize;

use scenario::Scenario;
use scenario::input::Blob;
use scenario::step::Names;

use crate::{Error, Files};

/// One `[[object]]`: `<name>.bpf.c`, `<name>.bpf.o` and `<name>.recorded.json` of the manifest's folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    pub name: String,
    /// One line: what it shows and why it is here.
    pub shows: String,
    pub programs: Vec<Program>,
    #[serde(default, rename = "run")]
    pub runs: Vec<Scenario>,
    /// Maps whose contents depend on time or chance; they are neither recorded nor compared.
    #[serde(default)]
    pub unstable: Vec<String>,
}

/// What the author expects of one program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    pub name: String,
    pub verdict: Expected,
    /// Part of the kernel's message; required of a rejected program.
    #[serde(default)]
    pub message: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    Accept,
    Reject,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    object: Vec<Object>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedPacket {
    #[serde(rename = "about")]
    _about: String,
    bytes: Blob,
}

pub(crate) fn packets(files: &Files) -> Result<Names, Error> {
    let path = "packets.toml";
    let named: BTreeMap<String, NamedPacket> =
        toml::from_str(files.text(path)?).map_err(|e| Error::content(path, e))?;
    Ok(named.into_iter().map(|(name, p)| (name, p.bytes.0)).collect())
}

/// The objects of one manifest, with packet names replaced by their bytes and mistakes of the author refused.
pub(crate) fn objects(files: &Files, path: &str, packets: &Names) -> Result<Vec<Object>, Error> {
    let manifest: Manifest = toml::from_str(files.text(path)?).map_err(|e| Error::content(path, e))?;
    let mut objects = manifest.object;
    for object in &mut objects {
        resolve(object, packets).map_err(|what| Error::content(path, format!("{}: {what}", object.name)))?;
    }
    Ok(objects)
}

fn resolve(object: &mut Object, packets: &Names) -> Result<(), String> {
    for program in &object.programs {
        if program.verdict == Expected::Reject && program.message.is_none() {
            return Err(format!("rejected program `{}` has no message", program.name));
        }
    }
    for run in &mut object.runs {
        for step in &run.steps {
            let program = step.program.as_deref().unwrap_or_default();
            if !object.programs.iter().any(|p| p.name == program) {
                return Err(format!("run `{}`: no program `{program}`", run.name));
            }
            if step.returns.is_none() {
                return Err(format!("run `{}`: a step says nothing of what it returns", run.name));
            }
        }
        run.resolve(packets).map_err(|what| format!("run `{}`: {what}", run.name))?;
    }
    Ok(())
}
