//! Where profiles come from: folders with a kernel's recording, its offers and its BTF, found at run time, and those of the same form that
//! are part of the program. What a profile is, is in `profile`.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::embedded::{self, EMBEDDED, Embedded};
use super::{NoProfile, Version};
use crate::kernels::Kernel;
use crate::offers::Offers;

/// The environment variable that names a folder of profiles.
pub const FOLDER_VARIABLE: &str = "BPFVERDICT_PROFILES";
const RECORDING: &str = "kernel.txt";
const OFFERS: &str = "offers.txt";
/// The BTF as it is, or packed.
const BTF: [&str; 2] = ["vmlinux.btf", "vmlinux.btf.gz"];
/// Larger files are no profile's: real BTF is a tenth of this.
const MAX_FILE: u64 = 64 << 20;

/// A kernel as recorded. How its verifier differs from others stands in `changes` and in the tables.
#[derive(Debug)]
pub struct Other {
    /// As users ask for it: `6.1`, `host`.
    pub name: String,
    pub kernel: &'static Kernel,
    /// What single programs are offered, if that was asked.
    pub offers: Option<Offers>,
    /// Packed, where it is part of the program.
    packed_btf: Option<&'static [u8]>,
    btf: OnceLock<Arc<btf::Btf>>,
}

impl Other {
    /// What was recorded of a kernel that is no profile's.
    pub fn recorded(name: String, kernel: &'static Kernel) -> Other {
        Other { name, kernel, offers: None, packed_btf: None, btf: OnceLock::new() }
    }

    /// The kernel's BTF, if there is one; parsed when first asked for.
    pub(super) fn btf(&self) -> Option<&Arc<btf::Btf>> {
        if let Some(packed) = self.packed_btf {
            // Part of the program, and read by a test.
            return Some(self.btf.get_or_init(|| parse_btf(packed.to_vec()).expect("embedded BTF")));
        }
        self.btf.get()
    }
}

/// Where a profile is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Embedded,
    Folder(PathBuf),
}

/// Where profiles may be, in this order: the folder given, the environment's, beside this program, in this program.
#[derive(Clone, Debug, Default)]
pub struct Folders(Vec<PathBuf>);

impl Folders {
    pub fn new(first: Option<&Path>) -> Folders {
        let mut found: Vec<PathBuf> = first.map(Path::to_path_buf).into_iter().collect();
        found.extend(std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from));
        if let Ok(program) = std::env::current_exe() {
            for above in program.ancestors().skip(1) {
                found.push(above.join("share/bpfverdict/profiles"));
            }
        }
        found.retain(|f| f.is_dir());
        Folders(found)
    }

    /// The profiles that are there, by name; of equal ones the first.
    pub fn names(&self) -> Vec<(String, Place)> {
        let mut found: Vec<(String, Place)> = Vec::new();
        for folder in &self.0 {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for path in entries.flatten().map(|e| e.path()).filter(|p| p.join(RECORDING).is_file()) {
                let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
                if !found.iter().any(|(n, _)| n == name) {
                    found.push((name.to_owned(), Place::Folder(path)));
                }
            }
        }
        for Embedded { name, .. } in EMBEDDED {
            if !found.iter().any(|(n, _)| n == name) {
                found.push(((*name).to_owned(), Place::Embedded));
            }
        }
        found.sort_by_key(|(name, _)| Version::parse(name));
        found
    }

    /// Reads a profile: `6.1`, or the very version that was recorded (`6.1.192`).
    pub(super) fn load(&self, wanted: &str) -> Result<Option<Arc<Other>>, NoProfile> {
        let series = wanted.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        let found = self.names();
        let exact = found.iter().find(|(name, _)| name == wanted);
        let Some((name, place)) = exact.or_else(|| found.iter().find(|(name, _)| *name == series)) else {
            return Ok(None);
        };
        let read = read_once(place, name).map_err(|why| NoProfile::new(wanted, why))?;
        let version = read.kernel.version;
        if name != wanted && version != wanted {
            return Err(NoProfile::new(wanted, format!("the profile of this series is {version}'s")));
        }
        Ok(Some(read))
    }
}

/// Reads a profile the first time that it is asked for. Tables live as long as the process.
fn read_once(place: &Place, name: &str) -> Result<Arc<Other>, String> {
    type Known = HashMap<(Option<PathBuf>, String), Arc<Other>>;
    static READ: Mutex<Option<Known>> = Mutex::new(None);
    let key = match place {
        Place::Embedded => (None, name.to_owned()),
        Place::Folder(path) => (Some(path.clone()), name.to_owned()),
    };
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let read = read.get_or_insert_default();
    if let Some(known) = read.get(&key) {
        return Ok(known.clone());
    }
    let new = match (place, embedded::named(name)) {
        (Place::Folder(path), _) => read_folder(path, name).map_err(|why| format!("profile {}: {why}", path.display())),
        (Place::Embedded, Some(files)) => read_embedded(files),
        (Place::Embedded, None) => Err("no such kernel is embedded".to_owned()),
    };
    let new = Arc::new(new?);
    read.insert(key, new.clone());
    Ok(new)
}

fn read_embedded(files: &'static Embedded) -> Result<Other, String> {
    let kernel: &'static Kernel = Box::leak(Box::new(Kernel::parse(files.recording)?));
    let offers = Some(Offers::parse(files.offers)?);
    Ok(Other { name: files.name.to_owned(), kernel, offers, packed_btf: Some(files.btf), btf: OnceLock::new() })
}

fn read_folder(path: &Path, name: &str) -> Result<Other, String> {
    let kernel: &'static Kernel = Box::leak(Box::new(Kernel::parse(text(&path.join(RECORDING))?)?));
    let offers = path.join(OFFERS);
    let offers = if offers.exists() { Some(Offers::parse(text(&offers)?)?) } else { None };
    let btf = OnceLock::from(btf(path)?);
    Ok(Other { name: name.to_owned(), kernel, offers, packed_btf: None, btf })
}

/// The text of a table, for the rest of the process.
fn text(path: &Path) -> Result<&'static str, String> {
    let text = String::from_utf8(bytes(path)?).map_err(|_| format!("{} is no text", path.display()))?;
    Ok(Box::leak(text.into_boxed_str()))
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let bad = |e: std::io::Error| format!("{}: {e}", path.display());
    limited(fs::File::open(path).map_err(bad)?).map_err(bad)
}

fn limited(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == MAX_FILE {
        return Err(std::io::Error::other("too large"));
    }
    Ok(bytes)
}

fn btf(folder: &Path) -> Result<Arc<btf::Btf>, String> {
    let path = BTF.iter().map(|name| folder.join(name)).find(|p| p.is_file()).ok_or("no vmlinux.btf.gz")?;
    parse_btf(bytes(&path)?).map_err(|e| format!("{}: {e}", path.display()))
}

/// BTF, packed or not.
fn parse_btf(mut raw: Vec<u8>) -> Result<Arc<btf::Btf>, String> {
    if raw.starts_with(&[0x1f, 0x8b]) {
        raw = limited(flate2::read::GzDecoder::new(raw.as_slice())).map_err(|e| e.to_string())?;
    }
    btf::Btf::parse_vec(raw, None).map(Arc::new).map_err(|e| e.to_string())
}
