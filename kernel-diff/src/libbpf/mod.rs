//! libbpf as a peer of our loader: the same object through both, and what came out differently. libbpf creates the maps in the
//! running kernel, so it takes root. Also the recorder of the corpus. Loading programs as we do is not here (see `live`).

mod compare;
mod peer;
pub mod recorder;

pub use compare::{Report, Side, compare, differences};
pub use peer::{Peer, PeerMap, PeerProgram, load_btf, section_kind};

use loader::Options;
use spec::profile::Version;
use std::collections::HashMap;
use std::sync::Arc;

/// What libbpf finds out about this machine, as our loader wants to be told it.
pub fn host_options() -> Options {
    let run = |program: &str, arg: &str| std::process::Command::new(program).arg(arg).output().ok().map(|o| o.stdout);
    let utf8 = |b: Vec<u8>| String::from_utf8_lossy(&b).into_owned();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // Debian's kernels say `5.10.0-46-cloud-amd64` there, and their version behind.
    let text = std::fs::read_to_string("/proc/version").unwrap_or_default();
    let debian = text.split(" Debian ").nth(1).map(|d| d.split('-').next().unwrap_or(d));
    let version = Version::parse(debian.unwrap_or(&release));
    let boot = format!("/boot/config-{}", release.trim());
    let kconfig = std::fs::read(boot).ok().or_else(|| run("zcat", "/proc/config.gz")).map(utf8);
    let mut symbols = HashMap::new();
    for line in std::fs::read_to_string("/proc/kallsyms").unwrap_or_default().lines() {
        let mut fields = line.split_whitespace();
        if let (Some(address), Some(_), Some(name)) = (fields.next(), fields.next(), fields.next()) {
            symbols.entry(name.to_owned()).or_insert(u64::from_str_radix(address, 16).unwrap_or(0));
        }
    }
    Options {
        kconfig,
        kallsyms: Some(Arc::new(symbols)),
        cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        ..Options::for_kernel(version)
    }
}
