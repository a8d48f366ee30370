//! `cargo xtask compare-loader PATH...`: every object under the paths through our loader and through libbpf, for the running kernel.
//! Prints counts, every difference, and what either refuses with both reasons. What is compared is in `kernel_diff::libbpf`.

use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Objects and folders; files that are no objects are searched for objects inside them, such as skeletons in a tool's binary
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Print only the counts and the differences
    #[arg(long)]
    brief: bool,
    /// Write the objects that were found inside other files to this folder
    #[arg(long, value_name = "DIR")]
    extract: Option<PathBuf>,
}

#[cfg(not(feature = "libbpf"))]
pub fn run(args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("built without libbpf; build with `--features libbpf` to compare {:?}", args.paths)
}

#[cfg(feature = "libbpf")]
pub use live::run;

#[cfg(feature = "libbpf")]
mod live {
    use std::collections::HashSet;
    use std::fs;
    use std::path::Path;

    use anyhow::{Context, Result, bail};
    use btf::Btf;
    use kernel_diff::libbpf::{Report, Side, compare, host_options};
    use loader::Options;

    use super::Args;

    const KERNELS_BTF: &str = "/sys/kernel/btf/vmlinux";
    const MAGIC: &[u8] = b"\x7fELF";
    /// `e_machine` of BPF.
    const BPF: u16 = 247;

    /// An object, named by its path, with an offset when it was found inside another file.
    struct Found {
        name: String,
        /// What libbpf names data maps by.
        object_name: String,
        bytes: Vec<u8>,
    }

    #[derive(Default)]
    struct Counts {
        objects: usize,
        opened: usize,
        both_refuse: usize,
        only_we: usize,
        only_libbpf: usize,
        programs: usize,
        equal: usize,
        programs_both_refuse: usize,
        later: usize,
        only_ours: usize,
        maps: usize,
        differences: usize,
    }

    pub fn run(args: &Args) -> Result<()> {
        let kernel = Btf::parse(&fs::read(KERNELS_BTF).context(KERNELS_BTF)?).context("the kernel's BTF")?;
        let host = host_options();
        let mut differences = 0;
        for path in &args.paths {
            let mut counts = Counts::default();
            let mut seen = HashSet::new();
            visit(path, &mut |found| {
                if !seen.insert(found.bytes.clone()) {
                    return Ok(());
                }
                if let (Some(dir), true) = (&args.extract, found.name.contains('@')) {
                    fs::create_dir_all(dir)?;
                    fs::write(dir.join(format!("{}.bpf.o", found.name.replace(['/', '@'], "_"))), &found.bytes)?;
                }
                let options = Options { object_name: found.object_name, ..host.clone() };
                let report = compare(&found.bytes, &kernel, &options);
                counts.add(&report);
                show(&found.name, &report, args.brief);
                Ok(())
            })?;
            println!("{}: {counts}", path.display());
            differences += counts.differences + counts.only_libbpf;
        }
        if differences > 0 {
            bail!("{differences} differences");
        }
        Ok(())
    }

    impl Counts {
        fn add(&mut self, report: &Report) {
            self.objects += 1;
            match (&report.refusal.ours, &report.refusal.libbpf) {
                (None, None) => self.opened += 1,
                (Some(_), Some(_)) => self.both_refuse += 1,
                (None, Some(_)) => self.only_we += 1,
                (Some(_), None) => self.only_libbpf += 1,
            }
            self.programs += report.programs;
            self.equal += report.equal;
            self.programs_both_refuse += report.both_refuse.len();
            self.later += report.refused_later.len();
            self.only_ours += report.only_ours.len();
            self.maps += report.maps;
            self.differences += report.differences.len();
        }
    }

    impl std::fmt::Display for Counts {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let c = self;
            write!(
                f,
                "{} objects: {} opened by both, {} refused by both, {} by libbpf only, {} by us only; {} maps; {} programs: {} equal, \
                 {} refused by both, {} refused when linked or loaded, {} not prepared by libbpf here; {} differences",
                c.objects,
                c.opened,
                c.both_refuse,
                c.only_we,
                c.only_libbpf,
                c.maps,
                c.programs,
                c.equal,
                c.programs_both_refuse,
                c.later,
                c.only_ours,
                c.differences
            )
        }
    }

    fn show(name: &str, report: &Report, brief: bool) {
        let sides = |what: &str, side: &Side| {
            let reason = |r: &Option<String>| r.clone().unwrap_or_else(|| "fine".to_owned());
            println!("{name}{what}\n  ours:   {}\n  libbpf: {}", reason(&side.ours), reason(&side.libbpf));
        };
        let one_sided = report.refusal.ours.is_some() && report.refusal.libbpf.is_none();
        if one_sided || !brief && report.refusal.libbpf.is_some() {
            sides("", &report.refusal);
        }
        if !brief {
            let lists = [&report.both_refuse, &report.refused_later, &report.only_ours];
            lists.into_iter().flatten().for_each(|(program, side)| sides(&format!(" {program}"), side));
        }
        report.differences.iter().for_each(|d| println!("{name} {d}"));
    }

    fn visit(path: &Path, each: &mut dyn FnMut(Found) -> Result<()>) -> Result<()> {
        if path.is_symlink() {
            return Ok(());
        }
        if path.is_dir() {
            let entries = fs::read_dir(path).with_context(|| path.display().to_string())?;
            let mut paths = entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
            paths.sort();
            return paths.iter().try_for_each(|p| visit(p, each));
        }
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let (name, object_name) = (path.display().to_string(), Options::name_from_path(path));
        if is_object(&bytes) {
            return each(Found { name, object_name, bytes });
        }
        for at in memchr::memmem::find_iter(&bytes, MAGIC) {
            if let Some(inside) = embedded(&bytes[at..]) {
                let name = format!("{name}@{at:#x}");
                each(Found { name, object_name: object_name.clone(), bytes: inside.to_vec() })?;
            }
        }
        Ok(())
    }

    fn half(bytes: &[u8], at: usize) -> Option<u16> {
        bytes.get(at..at + 2).and_then(|b| b.first_chunk()).map(|b| u16::from_le_bytes(*b))
    }

    fn long(bytes: &[u8], at: usize) -> Option<usize> {
        let value = bytes.get(at..at.checked_add(8)?).and_then(|b| b.first_chunk()).map(|b| u64::from_le_bytes(*b))?;
        usize::try_from(value).ok()
    }

    fn is_object(bytes: &[u8]) -> bool {
        // Of either byte order.
        bytes.starts_with(MAGIC) && half(bytes, 18).is_some_and(|m| m == BPF || m.swap_bytes() == BPF)
    }

    /// The little-endian object that begins here: it ends with its section table or its last section.
    fn embedded(bytes: &[u8]) -> Option<&[u8]> {
        const ENTRY: usize = 64;
        if !is_object(bytes) || half(bytes, 18) != Some(BPF) {
            return None;
        }
        let table = long(bytes, 40)?;
        let count = usize::from(half(bytes, 60)?);
        let mut end = table.checked_add(count * ENTRY)?;
        for section in bytes.get(table..end)?.chunks_exact(ENTRY) {
            // SHT_NOBITS has no bytes.
            if half(section, 4) != Some(8) {
                end = end.max(long(section, 24)?.checked_add(long(section, 32)?)?);
            }
        }
        bytes.get(..end)
    }
}
