//! A guest's file system: a cpio archive ("newc") with this very program as init, the shared libraries that it is linked to, and files
//! that the caller adds. Booting is not here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSegment};

use crate::Error;

/// Where the guest's loader finds libraries: `LD_LIBRARY_PATH` on the kernel's command line names it.
pub const LIBRARIES: &str = "/lib";

const DIRECTORY: u32 = 0o040_755;
const CONSOLE: u32 = 0o020_600;
const EXECUTABLE: u32 = 0o100_755;
const REGULAR: u32 = 0o100_644;

/// A file of the guest: where it is there (without the first slash), and its contents.
pub type GuestFile = (String, Vec<u8>);

/// An archive in the making.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
}

impl Archive {
    /// This program as `/init`, with what it is linked to.
    pub fn of_this_program() -> Result<Self, Error> {
        let own = std::env::current_exe().map_err(Error::file(Path::new("this program")))?;
        let program = fs::read(&own).map_err(Error::file(&own))?;
        let mut archive = Self::default();
        for folder in ["dev", "sys", "proc", "tmp", "run"] {
            archive.folder(folder);
        }
        archive.entry("dev/console", CONSOLE, (5, 1), &[]);
        archive.entry("init", EXECUTABLE, (0, 0), &program);
        if let Some(loader) = interpreter(&program) {
            let bytes = fs::read(&loader).map_err(Error::file(&loader))?;
            archive.file(&loader.display().to_string(), EXECUTABLE, &bytes);
            for library in mapped_libraries() {
                let name = library.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
                let bytes = fs::read(&library).map_err(Error::file(&library))?;
                archive.file(&format!("{LIBRARIES}/{name}"), EXECUTABLE, &bytes);
            }
        }
        Ok(archive)
    }

    /// Adds a file, and the folders that it is in.
    pub fn add(&mut self, (name, data): &GuestFile) {
        self.file(name, REGULAR, data);
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn folder(&mut self, name: &str) {
        if self.folders.insert(name.to_owned()) {
            self.entry(name, DIRECTORY, (0, 0), &[]);
        }
    }

    fn file(&mut self, name: &str, mode: u32, data: &[u8]) {
        let name = name.trim_start_matches('/');
        for (slash, _) in name.match_indices('/') {
            self.folder(&name[..slash]);
        }
        self.entry(name, mode, (0, 0), data);
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), data: &[u8]) {
        let (out, len) = (&mut self.bytes, data.len() as u32);
        let fields = [0, mode, 0, 0, 1, 0, len, 0, 0, device.0, device.1, name.len() as u32 + 1, 0];
        out.extend_from_slice(b"070701");
        for field in fields {
            out.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(data);
        out.resize(out.len().next_multiple_of(4), 0);
    }
}

/// The loader that an ELF file names; none where it is linked statically.
fn interpreter(elf: &[u8]) -> Option<PathBuf> {
    let file = object::read::elf::ElfFile64::<object::Endianness>::parse(elf).ok()?;
    let e = file.endian();
    use object::read::elf::ProgramHeader;
    let name = file.elf_program_headers().iter().find_map(|h| h.interpreter(e, elf).ok().flatten())?;
    // A file without segments is nothing that runs.
    file.segments().next().map(|s| s.size())?;
    Some(PathBuf::from(std::str::from_utf8(name).ok()?))
}

/// The shared libraries of this process: those that its loader found for the names in the ELF file, and where it found them.
fn mapped_libraries() -> BTreeSet<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let own = std::env::current_exe().unwrap_or_default();
    let executable = maps.lines().filter(|l| l.split(' ').nth(1).is_some_and(|p| p.contains('x')));
    let paths = executable.filter_map(|l| l.find('/').map(|at| PathBuf::from(&l[at..])));
    paths.filter(|p| *p != own && p.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_holds_this_program_and_what_it_needs() {
        let mut archive = Archive::of_this_program().expect("this program can be read");
        archive.add(&("deep/folder/file".to_owned(), b"contents".to_vec()));
        let bytes = archive.finish();
        let has = |name: &str| {
            let name = [name.as_bytes(), &[0]].concat();
            bytes.windows(name.len()).any(|w| w == name)
        };
        assert!(
            has("init") && has("dev/console") && has("deep/folder") && has("deep/folder/file") && has("TRAILER!!!")
        );
        let program = fs::read(std::env::current_exe().expect("a path")).expect("readable");
        if let Some(loader) = interpreter(&program) {
            assert!(has(loader.display().to_string().trim_start_matches('/')), "{}", loader.display());
            assert!(has("lib/libc.so.6"));
        }
        assert_eq!(bytes.len() % 4, 0);
    }
}
