//! Which kernels there are: the table of those that can be fetched (`kernels.toml`), and the folder of those that were. Fetching and taking
//! packages apart is not here.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;

/// Names the folder of fetched kernels; without it they are in the user's cache.
pub const FOLDER_VARIABLE: &str = "BPFVERDICT_KERNELS";
const TABLE: &str = include_str!("../kernels.toml");
const IMAGE: &str = "vmlinuz";
const ORIGIN: &str = "kernel.toml";

/// A row of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub series: String,
    pub archive: Archive,
    pub suite: String,
    /// As `apt-cache search` takes it.
    pub package: String,
}

/// Which of the mirrors that apt is configured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Archive {
    Main,
    Security,
}

/// What is known about where a fetched kernel came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// A package with its version, or the file that the user named.
    pub from: String,
}

/// A kernel that is there.
#[derive(Clone, Debug)]
pub struct Cached {
    /// The name that `--kernel` takes.
    pub name: String,
    pub vmlinuz: PathBuf,
    pub origin: Origin,
}

/// The rows of the table.
pub fn sources() -> Result<Vec<Source>, Error> {
    #[derive(Deserialize)]
    struct Table {
        kernel: Vec<Source>,
    }
    let table: Result<Table, _> = toml::from_str(TABLE);
    table.map(|t| t.kernel).map_err(|e| Error::Form { path: "kernels.toml".to_owned(), what: e.to_string() })
}

/// The folder of fetched kernels, one folder each.
#[derive(Clone, Debug)]
pub struct Catalogue {
    folder: PathBuf,
}

impl Catalogue {
    /// `$BPFVERDICT_KERNELS`, or `bpfverdict/kernels` in the user's cache.
    pub fn open() -> Result<Self, Error> {
        let named = |variable: &str| std::env::var_os(variable).filter(|v| !v.is_empty()).map(PathBuf::from);
        let cache = || named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
        let folder = named(FOLDER_VARIABLE).or_else(|| Some(cache()?.join("bpfverdict/kernels")));
        match folder {
            Some(folder) => Ok(Self { folder }),
            None => Err(Error::Unknown(format!("no folder for kernels: set {FOLDER_VARIABLE} or HOME"))),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a kernel of this name is, or would be.
    pub fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Every kernel that is there, by version.
    pub fn cached(&self) -> Vec<Cached> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|e| e.file_name().into_string().ok());
        let mut found: Vec<Cached> = names.filter_map(|n| self.find(&n).ok()).collect();
        found.sort_by_key(|k| numbers(&k.name));
        found
    }

    /// The kernel of this name: one that was fetched, or the path of an image.
    pub fn find(&self, name: &str) -> Result<Cached, Error> {
        if name.contains('/') {
            let vmlinuz = PathBuf::from(name);
            fs::metadata(&vmlinuz).map_err(Error::file(&vmlinuz))?;
            return Ok(Cached { name: name.to_owned(), vmlinuz, origin: Origin { from: name.to_owned() } });
        }
        let vmlinuz = self.place(name).join(IMAGE);
        if name.is_empty() || !vmlinuz.is_file() {
            let there: Vec<String> = self.names();
            let there = if there.is_empty() { "none is".to_owned() } else { format!("there are {}", there.join(", ")) };
            return Err(Error::Unknown(format!(
                "kernel {name} was not fetched ({there}); `bpfverdict kernels fetch {name}` does it"
            )));
        }
        let text = fs::read_to_string(self.place(name).join(ORIGIN)).unwrap_or_default();
        Ok(Cached { name: name.to_owned(), vmlinuz, origin: toml::from_str(&text).unwrap_or_default() })
    }

    fn names(&self) -> Vec<String> {
        self.cached().into_iter().map(|k| k.name).collect()
    }

    /// Keeps an image. It takes its place at once, so that who reads meanwhile reads the old one or the new one.
    pub fn keep(&self, name: &str, image: &[u8], origin: &Origin) -> Result<Cached, Error> {
        let place = self.place(name);
        fs::create_dir_all(&place).map_err(Error::file(&place))?;
        let text = toml::to_string(origin).map_err(|e| Error::Unknown(e.to_string()))?;
        for (file, bytes) in [(ORIGIN, text.as_bytes()), (IMAGE, image)] {
            let (part, path) = (place.join(format!("{file}.part")), place.join(file));
            fs::write(&part, bytes).map_err(Error::file(&part))?;
            fs::rename(&part, &path).map_err(Error::file(&path))?;
        }
        self.find(name)
    }

    /// Removes a kernel, and says whether it was there.
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        let Ok(kernel) = self.find(name) else { return Ok(false) };
        if name.contains('/') {
            return Ok(false);
        }
        let place = self.place(&kernel.name);
        for file in [IMAGE, ORIGIN] {
            let path = place.join(file);
            match fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::file(&path)(e)),
                _ => {}
            }
        }
        // Other files in it are the user's, and keep the folder.
        let _ = fs::remove_dir(&place);
        Ok(true)
    }
}

/// The numbers in a name, for putting versions in order.
pub fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_readable_and_names_each_series_once() {
        let mut series: Vec<String> = sources().expect("kernels.toml").into_iter().map(|s| s.series).collect();
        assert!(series.len() >= 6);
        series.sort();
        series.dedup();
        assert_eq!(series.len(), sources().expect("kernels.toml").len());
    }

    #[test]
    fn what_is_kept_is_found_and_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let catalogue = Catalogue { folder: dir.path().to_owned() };
        let origin = Origin { from: "package 1.2".to_owned() };
        for name in ["6.12", "6.2", "5.10"] {
            catalogue.keep(name, b"image", &origin).expect("kept");
        }
        assert_eq!(catalogue.names(), ["5.10", "6.2", "6.12"]);
        assert_eq!(catalogue.find("6.12").expect("there").origin, origin);
        assert!(catalogue.remove("6.12").expect("removed") && !catalogue.remove("6.12").expect("gone"));
        let why = catalogue.find("6.12").expect_err("gone").to_string();
        assert!(why.contains("5.10, 6.2") && why.contains("kernels fetch 6.12"), "{why}");
    }
}
