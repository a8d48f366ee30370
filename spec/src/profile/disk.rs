//! Profiles on disk: folders with a kernel's recording, its offers and its BTF, found at run time. What a profile is, and the kernels that
//! need no disk, are in `profile`.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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
}

/// A profile as it was read.
#[derive(Clone, Debug)]
pub(super) struct OnDisk {
    pub other: Arc<Other>,
    pub btf: Arc<btf::Btf>,
}

/// Where profiles may be: the folders given, then the environment's, then beside this program, then the source tree's.
#[derive(Clone, Debug, Default)]
pub struct Folders(Vec<PathBuf>);

impl Folders {
    pub fn new(first: Option<&Path>) -> Folders {
        let mut found: Vec<PathBuf> = first.map(Path::to_path_buf).into_iter().collect();
        found.extend(std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from));
        if let Ok(program) = std::env::current_exe() {
            for above in program.ancestors().skip(1) {
                found.extend(["share/bpfverdict/profiles", "spec/profiles"].map(|f| above.join(f)));
            }
        }
        found.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles"));
        found.retain(|f| f.is_dir());
        Folders(found)
    }

    /// The profiles that are there, by name; of equal ones the first.
    pub fn names(&self) -> Vec<(String, PathBuf)> {
        let mut found: Vec<(String, PathBuf)> = Vec::new();
        for folder in &self.0 {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for path in entries.flatten().map(|e| e.path()).filter(|p| p.join(RECORDING).is_file()) {
                let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
                if !found.iter().any(|(n, _)| n == name) {
                    found.push((name.to_owned(), path));
                }
            }
        }
        found.sort_by_key(|(name, _)| Version::parse(name));
        found
    }

    /// Reads a profile: `6.1`, or the very version that was recorded (`6.1.192`).
    pub(super) fn load(&self, wanted: &str) -> Result<Option<OnDisk>, NoProfile> {
        let series = wanted.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        let found = self.names();
        let exact = found.iter().find(|(name, _)| name == wanted);
        let Some((name, path)) = exact.or_else(|| found.iter().find(|(name, _)| *name == series)) else {
            return Ok(None);
        };
        let read = read_once(path, name)
            .map_err(|why| NoProfile::new(wanted, format!("profile {}: {why}", path.display())))?;
        let version = read.other.kernel.version;
        if name != wanted && version != wanted {
            return Err(NoProfile::new(wanted, format!("the profile of this series is {version}'s")));
        }
        Ok(Some(read))
    }
}

/// Reads a folder the first time that it is asked for. Tables live as long as the process.
fn read_once(path: &Path, name: &str) -> Result<OnDisk, String> {
    static READ: Mutex<Option<HashMap<PathBuf, OnDisk>>> = Mutex::new(None);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let read = read.get_or_insert_default();
    if let Some(known) = read.get(path) {
        return Ok(known.clone());
    }
    let kernel: &'static Kernel = Box::leak(Box::new(Kernel::parse(text(&path.join(RECORDING))?)?));
    let offers = path.join(OFFERS);
    let offers = if offers.exists() { Some(Offers::parse(text(&offers)?)?) } else { None };
    let btf = btf(path)?;
    let other = Arc::new(Other { name: name.to_owned(), kernel, offers });
    let new = OnDisk { other, btf };
    read.insert(path.to_owned(), new.clone());
    Ok(new)
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
    let bad = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let mut raw = bytes(&path)?;
    if raw.starts_with(&[0x1f, 0x8b]) {
        raw = limited(flate2::read::GzDecoder::new(raw.as_slice())).map_err(|e| bad(&e))?;
    }
    btf::Btf::parse_vec(raw, None).map(Arc::new).map_err(|e| bad(&e))
}
