//! The corpus: BPF programs by kind, their inputs, what their author expects and what a real kernel said. It is embedded, so that the
//! binary works from any place; `Corpus::open` reads a folder instead. Data only: nothing here loads, judges or runs a program.

pub mod manifest;
pub mod recorded;

mod files;

use std::borrow::Cow;
use std::path::Path;

pub use files::Files;
pub use manifest::{Expected, Object};
pub use recorded::Recorded;
pub use scenario::{Scenario as Run, Step, literal};

/// Why a corpus cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}")]
    Io { path: String, source: std::io::Error },
    #[error("{path}: {what}")]
    Content { path: String, what: String },
}

impl Error {
    fn content(path: impl Into<String>, what: impl ToString) -> Self {
        Error::Content { path: path.into(), what: what.to_string() }
    }
}

/// Every entry of a corpus, by folder and then in the order of its manifest.
#[derive(Debug)]
pub struct Corpus {
    pub entries: Vec<Entry>,
    /// Packets by name.
    pub packets: scenario::step::Names,
}

/// One object with all that is known about it.
#[derive(Debug)]
pub struct Entry {
    /// The folder: `xdp`, `tc`, `rules`, ...
    pub kind: String,
    pub object: Object,
    /// The compiled object.
    pub elf: Cow<'static, [u8]>,
    /// The C source, for reading; absent where a corpus ships objects alone.
    pub source: Option<Cow<'static, [u8]>>,
    /// What a kernel said; absent until `cargo xtask corpus record` has run.
    pub recorded: Option<Recorded>,
}

impl Corpus {
    /// The corpus that this crate was built with.
    pub fn embedded() -> Result<Corpus, Error> {
        Corpus::from_files(Files::embedded())
    }

    /// A corpus in a folder laid out like this crate's.
    pub fn open(dir: &Path) -> Result<Corpus, Error> {
        Corpus::from_files(Files::read(dir)?)
    }

    /// The same without its recordings, which may be missing or in an older format: for who is about to make them.
    pub fn open_unrecorded(dir: &Path) -> Result<Corpus, Error> {
        let mut files = Files::read(dir)?;
        for path in files.ending_with(".recorded.json") {
            files.take(&path);
        }
        Corpus::from_files(files)
    }

    fn from_files(mut files: Files) -> Result<Corpus, Error> {
        let packets = manifest::packets(&files)?;
        let mut entries = Vec::new();
        for path in files.ending_with("/corpus.toml") {
            let kind = path.trim_end_matches("/corpus.toml").to_owned();
            for object in manifest::objects(&files, &path, &packets)? {
                let stem = format!("{kind}/{}", object.name);
                let elf = files
                    .take(&format!("{stem}.bpf.o"))
                    .ok_or_else(|| Error::content(&path, format!("{}.bpf.o is missing", object.name)))?;
                let source = files.take(&format!("{stem}.bpf.c"));
                let recording = format!("{stem}.recorded.json");
                let recorded = match files.take(&recording) {
                    Some(text) => Some(Recorded::parse(&text).map_err(|e| Error::content(&recording, e))?),
                    None => None,
                };
                entries.push(Entry { kind: kind.clone(), object, elf, source, recorded });
            }
        }
        Ok(Corpus { entries, packets })
    }

    /// The entry called `kind/name`.
    pub fn find(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.id() == id)
    }
}

impl Entry {
    /// `kind/name`, unique in a corpus and also the path of the object without its suffix.
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind, self.object.name)
    }

    /// Whether the recording was made from exactly this object.
    pub fn is_fresh(&self) -> bool {
        self.recorded.as_ref().is_some_and(|r| r.object_hash == recorded::hash(&self.elf))
    }
}
