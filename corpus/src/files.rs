//! The files of a corpus by relative path, embedded or from a folder. Knows names and bytes, not what is in them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::Error;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Relative path (`xdp/drop_udp.bpf.o`) to bytes.
pub struct Files(BTreeMap<String, Cow<'static, [u8]>>);

impl Files {
    pub(crate) fn embedded() -> Files {
        Files(FILES.iter().map(|(name, bytes)| ((*name).to_owned(), Cow::Borrowed(*bytes))).collect())
    }

    /// Reads `dir/*` and `dir/*/*`; other depths are not part of a corpus.
    pub(crate) fn read(dir: &Path) -> Result<Files, Error> {
        let mut files = BTreeMap::new();
        for (path, name) in children(dir)? {
            if path.is_dir() {
                for (inner, inner_name) in children(&path)? {
                    if inner.is_file() {
                        files.insert(format!("{name}/{inner_name}"), Cow::Owned(read(&inner)?));
                    }
                }
            } else {
                files.insert(name, Cow::Owned(read(&path)?));
            }
        }
        Ok(Files(files))
    }

    pub(crate) fn ending_with(&self, suffix: &str) -> Vec<String> {
        self.0.keys().filter(|k| k.ends_with(suffix)).cloned().collect()
    }

    pub(crate) fn take(&mut self, path: &str) -> Option<Cow<'static, [u8]>> {
        self.0.remove(path)
    }

    /// The text of a file, empty when there is no such file.
    pub(crate) fn text(&self, path: &str) -> Result<&str, Error> {
        let bytes = self.0.get(path).map_or(&[][..], |b| b.as_ref());
        std::str::from_utf8(bytes).map_err(|e| Error::content(path, e))
    }
}

fn children(dir: &Path) -> Result<Vec<(std::path::PathBuf, String)>, Error> {
    let fail = |source| Error::Io { path: dir.display().to_string(), source };
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if let Some(name) = path.file_name().and_then(|n| n.to_str()) {
            let name = name.to_owned();
            all.push((path, name));
        }
    }
    Ok(all)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Io { path: path.display().to_string(), source })
}
