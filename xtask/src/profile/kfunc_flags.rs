//! The flags of kfuncs as a kernel image has them: its sets of (BTF id, flags) pairs stand in a section of their own. Nothing is run; who
//! may call a kfunc is `kfuncs`' question.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use btf::{Btf, Kind};
use spec::Profile;
use spec::kfunc::Flags;

use super::Tally;

/// How images are packed: the first bytes, and the program that unpacks it.
const PACKERS: [(&[u8], &str); 4] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (&[0x1f, 0x8b, 8], "gzip"),
    (&[2, 0x21, 0x4c, 0x18], "lz4"),
];
/// No set has as many members.
const MAX_SET: usize = 1000;

/// By name; every registration that differs.
pub type KfuncFlags = BTreeMap<String, Vec<Flags>>;

/// Reads them from a vmlinuz.
pub fn of_image(vmlinuz: &Path) -> Result<KfuncFlags> {
    let elf = unpacked(&fs::read(vmlinuz).with_context(|| vmlinuz.display().to_string())?)?;
    let btf = Btf::parse_vec(section(&elf, ".BTF").context("no .BTF")?.to_vec(), None)?;
    let ids = section(&elf, ".BTF_ids").context("no .BTF_ids")?;
    let words: Vec<u32> = ids.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
    let mut found = KfuncFlags::new();
    let mut at = 0;
    while at < words.len() {
        match set_at(&words[at..], &btf) {
            Some(set) => {
                at += 2 + 2 * set.len();
                for (id, flags) in set {
                    let known = found.entry(btf.name(id).to_owned()).or_default();
                    if !known.contains(&flags) {
                        known.push(flags);
                    }
                }
            }
            None => at += 1,
        }
    }
    Ok(found)
}

/// Compares with what the profile says, whoever may call.
pub fn compare(vmlinuz: &Path, profile: &Profile) -> Result<Tally> {
    let mut tally = Tally::default();
    for (name, flags) in of_image(vmlinuz)? {
        let ours = profile.kfunc_flags(&name);
        if ours.is_empty() {
            tally.differ.push(format!("{name}: not in the table, kernel {flags:?}"));
            continue;
        }
        for flags in flags {
            let same = ours.contains(&flags);
            tally.compare(|| format!("{name}: table {ours:?}, kernel {flags:?}"), true, same);
        }
    }
    Ok(tally)
}

/// A set of functions with flags: how many there are, the set's own flags (0 or 1), then the pairs in the order of their ids.
fn set_at(words: &[u32], btf: &Btf) -> Option<Vec<(u32, Flags)>> {
    let (&count, &own) = (words.first()?, words.get(1)?);
    let count = usize::try_from(count).ok().filter(|n| (1..MAX_SET).contains(n))?;
    let pairs = words.get(2..2 + 2 * count)?;
    let set: Vec<(u32, Flags)> =
        pairs.chunks_exact(2).map(|p| Some((p[0], Flags::from_bits(p[1])?))).collect::<Option<_>>()?;
    let functions = set.iter().all(|&(id, _)| btf.kind(id) == Some(Kind::Func));
    (own <= 1 && functions && set.is_sorted_by_key(|p| p.0)).then_some(set)
}

/// The ELF file inside a vmlinuz.
fn unpacked(image: &[u8]) -> Result<Vec<u8>> {
    for (magic, program) in PACKERS {
        for at in (0..image.len()).filter(|&at| image[at..].starts_with(magic)) {
            let elf = unpack(program, &image[at..])?;
            if elf.starts_with(b"\x7fELF") {
                return Ok(elf);
            }
        }
    }
    bail!("no kernel found in the image")
}

fn unpack(program: &str, packed: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new(program)
        .args(["-d", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{program} is needed to unpack the kernel"))?;
    let mut stdin = child.stdin.take().context("no pipe")?;
    std::thread::scope(|scope| {
        // What follows the packed kernel is of no interest to the program: it stops reading.
        scope.spawn(move || stdin.write_all(packed).ok());
        Ok(child.wait_with_output()?.stdout)
    })
}

/// The bytes of a section of a 64-bit little-endian ELF file.
fn section<'a>(elf: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    let number = |at: usize, size: usize| {
        let bytes = elf.get(at..at.checked_add(size)?)?;
        usize::try_from(bytes.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b))).ok()
    };
    let (headers, size, count, names) = (number(0x28, 8)?, number(0x3a, 2)?, number(0x3c, 2)?, number(0x3e, 2)?);
    let header = |i: usize| headers.checked_add(i.checked_mul(size)?);
    let names = number(header(names)? + 0x18, 8)?;
    (0..count).find_map(|i| {
        let header = header(i)?;
        let name = elf.get(names.checked_add(number(header, 4)?)?..)?;
        let end = name.iter().position(|&b| b == 0)?;
        let (at, size) = (number(header + 0x18, 8)?, number(header + 0x20, 8)?);
        (&name[..end] == wanted.as_bytes()).then(|| elf.get(at..at.checked_add(size)?)).flatten()
    })
}
