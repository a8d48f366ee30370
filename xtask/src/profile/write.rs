//! Writes a profile to disk: the guest prints its files over the console, the host puts them into the profile's folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use spec::Profile;
use spec::kfunc::Flags;

use super::kfunc_flags::{self, KfuncFlags};
use super::sys::Kernel;
use super::{KERNELS_BTF, offers, record, vm};

/// Begins a line that belongs to a file: its name and the line follow. Bytes are in hex, as many a line as the console likes.
const MARK: &str = "@file ";
const RECORDING: &str = "kernel.txt";
const OFFERS: &str = "offers.txt";
const BTF: &str = "vmlinux.btf.gz";
const BYTES_A_LINE: usize = 4096;

/// In the guest.
pub fn print(kernel: &mut Kernel, profile: &Profile) -> Result<()> {
    // The firmware's last words have no end of line.
    println!();
    let texts = [(RECORDING, record::text(kernel, profile)?), (OFFERS, offers::text(kernel, profile)?)];
    for (name, text) in texts {
        for line in text.lines() {
            println!("{MARK}{name} {line}");
        }
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&fs::read(KERNELS_BTF)?)?;
    for chunk in packed.finish()?.chunks(BYTES_A_LINE) {
        println!("{MARK}{BTF} {}", chunk.iter().map(|b| format!("{b:02x}")).collect::<String>());
    }
    Ok(())
}

/// On the host.
pub fn from_guest(vmlinuz: &Path, dir: &Path) -> Result<()> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut bad = None;
    vm::run_with(vmlinuz, &["profile".to_owned(), "--write=/".to_owned()], &[], &mut |line| {
        let Some((name, rest)) = line.strip_prefix(MARK).and_then(|l| l.split_once(' ')) else {
            return eprintln!("{line}");
        };
        let file = files.entry(name.to_owned()).or_default();
        if name == BTF {
            match unhex(rest) {
                Some(bytes) => file.extend(bytes),
                None => bad = Some(name.to_owned()),
            }
        } else {
            file.extend_from_slice(rest.as_bytes());
            file.push(b'\n');
        }
    })?;
    if let Some(name) = bad {
        bail!("{name} was damaged on its way through the console");
    }
    let mut btf = Vec::new();
    GzDecoder::new(files.get(BTF).context("no BTF")?.as_slice()).read_to_end(&mut btf).context(BTF)?;
    let recording = files.get(RECORDING).context("no recording")?;
    let series = series(&String::from_utf8_lossy(recording)).context("the recording names no kernel")?;
    let folder = dir.join(series);
    fs::create_dir_all(&folder)?;
    let text = String::from_utf8(files.remove(OFFERS).context("no offers")?)?;
    files.insert(OFFERS.to_owned(), with_flags(&text, &kfunc_flags::of_image(vmlinuz)?).into_bytes());
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes)?;
    }
    println!("{} written", folder.display());
    Ok(())
}

/// `kfunc NAME CELLS` becomes `kfunc NAME FLAGS CELLS`: the guest does not know the flags. Where they differ by program, the row's
/// are those of the first registration.
fn with_flags(offers: &str, flags: &KfuncFlags) -> String {
    let line = |line: &str| match line.split(' ').collect::<Vec<_>>()[..] {
        ["kfunc", name, cells] => {
            let flags = flags.get(name).and_then(|f| f.first()).copied().unwrap_or(Flags::NONE);
            format!("kfunc {name} {flags} {cells}\n")
        }
        _ => format!("{line}\n"),
    };
    offers.lines().map(line).collect()
}

/// `6.1` of the line `kernel 6.1.192`.
fn series(recording: &str) -> Option<String> {
    let version = recording.lines().find_map(|l| l.strip_prefix("kernel "))?;
    Some(version.splitn(3, '.').take(2).collect::<Vec<_>>().join("."))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(byte).collect())?
}
