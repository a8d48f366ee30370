//! Kernels in packages: a Debian package, and an OCI image as a folder or a tar archive. Each is searched for the one kernel image in it.
//! Everything in a package is hostile: sizes are bounded and names are compared, never used as paths.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::Error;

/// No kernel image is larger.
const MAX_IMAGE: u64 = 256 << 20;
/// What every x86 kernel image has at offset 0x202.
const MAGIC: (usize, &[u8]) = (0x202, b"HdrS");

fn form(path: &str, what: impl ToString) -> Error {
    Error::Form { path: path.to_owned(), what: what.to_string() }
}

/// Whether a name in an archive is that of a kernel image.
fn is_image(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or_default();
    last == "vmlinuz" || last == "bzImage" || last.starts_with("vmlinuz-")
}

/// Checks that these bytes are a kernel that can be booted.
pub fn check_image(image: Vec<u8>, path: &str) -> Result<Vec<u8>, Error> {
    let (at, magic) = MAGIC;
    match image.get(at..at + magic.len()) == Some(magic) {
        true => Ok(image),
        false => Err(form(path, format!("offset {at:#x}: expected an x86 kernel image (`HdrS`)"))),
    }
}

/// Reads what a member says it holds, but no more than an image may have.
fn bounded(from: &mut dyn Read, path: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = from.take(MAX_IMAGE + 1).read_to_end(&mut bytes).map_err(|e| form(path, e))?;
    if read as u64 > MAX_IMAGE {
        return Err(form(path, format!("a member of more than {MAX_IMAGE} bytes")));
    }
    Ok(bytes)
}

/// The kernel image of a Debian package.
pub fn kernel_of_deb(bytes: &[u8], path: &str) -> Result<Vec<u8>, Error> {
    let mut archive = ar::Archive::new(bytes);
    while let Some(member) = archive.next_entry() {
        let mut member = member.map_err(|e| form(path, e))?;
        let name = String::from_utf8_lossy(member.header().identifier()).into_owned();
        if !name.starts_with("data.tar") {
            continue;
        }
        let found = match name.rsplit('.').next() {
            Some("xz") => image_in_tar(&mut lzma_rust2::XzReader::new(&mut member, true), path)?,
            Some("gz") => image_in_tar(&mut flate2::read::GzDecoder::new(&mut member), path)?,
            Some("tar") => image_in_tar(&mut member, path)?,
            _ => return Err(form(path, format!("`{name}`: expected data.tar, .xz or .gz"))),
        };
        return check_image(found.ok_or_else(|| form(path, "there is no kernel image in the package"))?, path);
    }
    Err(form(path, "expected a Debian package with data.tar in it"))
}

/// The kernel image in a tar stream.
fn image_in_tar(stream: &mut dyn Read, path: &str) -> Result<Option<Vec<u8>>, Error> {
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries().map_err(|e| form(path, e))? {
        let mut entry = entry.map_err(|e| form(path, e))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type().is_file() && is_image(&name) {
            return bounded(&mut entry, path).map(Some);
        }
    }
    Ok(None)
}

/// The kernel image of an OCI image: a layout folder, or a tar archive of one.
pub fn kernel_of_oci(path: &Path) -> Result<Vec<u8>, Error> {
    let shown = path.display().to_string();
    let blobs = if path.is_dir() { Blobs::Folder(path) } else { Blobs::Files(unpack(path)?) };
    let index = blobs.json("index.json", &shown)?;
    let mut todo = digests(&index, "manifests");
    let mut seen = 0;
    while let Some(digest) = todo.pop() {
        seen += 1;
        if seen > 256 {
            return Err(form(&shown, "more than 256 manifests"));
        }
        let manifest = blobs.json(&blob(&digest), &shown)?;
        todo.extend(digests(&manifest, "manifests"));
        for layer in digests(&manifest, "layers") {
            let bytes = blobs.read(&blob(&layer), &shown)?;
            let found = match bytes.get(..2) {
                Some([0x1f, 0x8b]) => image_in_tar(&mut flate2::read::GzDecoder::new(&bytes[..]), &shown)?,
                Some([0x28, 0xb5]) => return Err(form(&shown, "a layer compressed with zstd; expected gzip or none")),
                _ => image_in_tar(&mut &bytes[..], &shown)?,
            };
            if let Some(image) = found {
                return check_image(image, &shown);
            }
        }
    }
    Err(form(&shown, "there is no kernel image in any layer"))
}

/// The files of an OCI layout.
enum Blobs<'a> {
    Folder(&'a Path),
    Files(HashMap<String, Vec<u8>>),
}

impl Blobs<'_> {
    fn read(&self, name: &str, path: &str) -> Result<Vec<u8>, Error> {
        match self {
            Self::Folder(folder) => {
                let file = folder.join(name);
                bounded(&mut fs::File::open(&file).map_err(Error::file(&file))?, path)
            }
            Self::Files(files) => files.get(name).cloned().ok_or_else(|| form(path, format!("`{name}` is missing"))),
        }
    }

    fn json(&self, name: &str, path: &str) -> Result<serde_json::Value, Error> {
        serde_json::from_slice(&self.read(name, path)?).map_err(|e| form(path, format!("{name}: {e}")))
    }
}

fn unpack(path: &Path) -> Result<HashMap<String, Vec<u8>>, Error> {
    let shown = path.display().to_string();
    let file = fs::File::open(path).map_err(Error::file(path))?;
    let mut archive = tar::Archive::new(io::BufReader::new(file));
    let mut files = HashMap::new();
    for entry in archive.entries().map_err(|e| form(&shown, e))? {
        let mut entry = entry.map_err(|e| form(&shown, e))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        if entry.header().entry_type().is_file() {
            files.insert(name, bounded(&mut entry, &shown)?);
        }
    }
    Ok(files)
}

/// The digests in one list of a manifest.
fn digests(manifest: &serde_json::Value, list: &str) -> Vec<String> {
    let entries = manifest.get(list).and_then(|l| l.as_array()).into_iter().flatten();
    entries.filter_map(|e| e.get("digest")?.as_str().map(str::to_owned)).collect()
}

/// Where the blob of a digest is. Anything but letters and digits would lead elsewhere.
fn blob(digest: &str) -> String {
    let clean: String = digest.chars().map(|c| if c == ':' { '/' } else { c }).collect();
    format!("blobs/{}", clean.replace("..", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Vec<u8> {
        let mut image = vec![0; 0x300];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image
    }

    fn tar_with(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append_data(&mut header, name, bytes).expect("written");
        builder.into_inner().expect("written")
    }

    #[test]
    fn a_package_gives_its_kernel() {
        let data = tar_with("./boot/vmlinuz-6.12.1", &image());
        let mut deb = ar::Builder::new(Vec::new());
        for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), ("data.tar", &data)] {
            deb.append(&ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64), bytes).expect("written");
        }
        let deb = deb.into_inner().expect("written");
        assert_eq!(kernel_of_deb(&deb, "x.deb").expect("found"), image());
        for cut in [0, 8, 70, 800] {
            let why = kernel_of_deb(&deb[..cut], "x.deb").expect_err("cut").to_string();
            assert!(why.starts_with("x.deb"), "{why}");
        }
    }

    #[test]
    fn an_oci_layout_gives_its_kernel() {
        let dir = tempfile::tempdir().expect("a folder");
        let blobs = dir.path().join("blobs/sha256");
        fs::create_dir_all(&blobs).expect("made");
        let put = |name: &str, bytes: &[u8]| fs::write(blobs.join(name), bytes).expect("written");
        put("layer", &tar_with("boot/vmlinuz", &image()));
        put("manifest", br#"{"layers":[{"digest":"sha256:layer"}]}"#);
        fs::write(dir.path().join("index.json"), br#"{"manifests":[{"digest":"sha256:manifest"}]}"#).expect("written");
        assert_eq!(kernel_of_oci(dir.path()).expect("found"), image());
        put("layer", &tar_with("boot/other", &image()));
        assert!(kernel_of_oci(dir.path()).is_err());
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        let why = check_image(vec![0; 0x400], "x").expect_err("no kernel").to_string();
        assert!(why.contains("0x202"), "{why}");
    }
}
