//! `--kernel host`: this machine's kernel as a profile, from its BTF, its configuration and its settings. Needs no privileges; the kernel
//! is read about, not asked.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use spec::profile::{Changes, Config, Folders, Lockdown, Other, Version};
use spec::{Profile, kernels};

use crate::exit::Failure;

const BTF: &str = "/sys/kernel/btf/vmlinux";
const RUNNING_CONFIG: &str = "/proc/config.gz";
/// The series that needs no profile on disk.
const EMBEDDED: &str = "6.18";

/// The profile of the running kernel.
pub fn profile(folders: &Folders) -> Result<Profile, Failure> {
    let release = release()?;
    let version = Version::parse(&release);
    let series = format!("{}.{}", version.major, version.minor);
    let mut profile = if series == EMBEDDED {
        embedded(version)
    } else if let Ok(known) = Profile::load_from(&series, folders) {
        if known.version != version {
            crate::output::note(format!("judging Linux {version} by the rules of {}", known.version));
        }
        known
    } else if let Some(kernel) = kernels::of_series(&series) {
        Profile::of_other(Arc::new(Other::recorded("host".to_owned(), kernel)))
    } else {
        let known: Vec<&str> = kernels::all().iter().map(kernels::Kernel::series).collect();
        return Err(Failure::environment(format!(
            "this machine runs Linux {release}, of which nothing is recorded; there is {}",
            known.join(", ")
        )));
    };
    profile.config = config()?;
    profile.nr_cpus = cpus().unwrap_or(profile.nr_cpus);
    let bytes = std::fs::read(BTF)
        .map_err(|e| Failure::environment(format!("{BTF}: {e} (a kernel with CONFIG_DEBUG_INFO_BTF has it)")))?;
    let btf = btf::Btf::parse(&bytes).map_err(|e| Failure::environment(format!("{BTF}: {e}")))?;
    Ok(profile.with_btf(Arc::new(btf)))
}

fn embedded(version: Version) -> Profile {
    let mut profile = Profile::default();
    if version.patch != profile.version.patch {
        crate::output::note(format!("judging Linux {version} by the rules of {}", nearest(version)));
    }
    profile.changes = Changes::of(nearest(version));
    profile.version = version;
    profile
}

/// The patch level of those asked that is at or above this one.
fn nearest(version: Version) -> Version {
    Version { patch: if version.patch <= 15 { 15 } else { 44 }, ..version }
}

fn release() -> Result<String, Failure> {
    let path = "/proc/sys/kernel/osrelease";
    let text = std::fs::read_to_string(path).map_err(|e| Failure::environment(format!("{path}: {e}")))?;
    Ok(text.trim().to_owned())
}

/// The running kernel's configuration, with what is set when it runs.
pub fn config() -> Result<Config, Failure> {
    let mut config = Config::from_kconfig(&kconfig()?);
    let setting = |name: &str| {
        let text = std::fs::read_to_string(Path::new("/proc/sys/kernel").join(name)).ok()?;
        text.trim().parse::<u32>().ok()
    };
    config.unprivileged_disabled = setting("unprivileged_bpf_disabled").is_none_or(|v| v != 0);
    let booted = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let chosen = booted.split_whitespace().filter_map(|w| w.strip_prefix("mitigations=")).next_back();
    config.mitigations = chosen.is_none_or(|how| how.split(',').all(|w| w != "off"));
    config.max_stack = setting("perf_event_max_stack").unwrap_or(config.max_stack);
    // `none [integrity] confidentiality`; a kernel without lockdown has no such file.
    if let Ok(text) = std::fs::read_to_string("/sys/kernel/security/lockdown") {
        let chosen = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        config.lockdown = chosen.and_then(|(name, _)| Lockdown::from_name(name)).unwrap_or(config.lockdown);
    }
    Ok(config)
}

/// The text of the running kernel's `.config`.
fn kconfig() -> Result<String, Failure> {
    if let Ok(packed) = std::fs::File::open(RUNNING_CONFIG) {
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed)
            .read_to_string(&mut text)
            .map_err(|e| Failure::environment(format!("{RUNNING_CONFIG}: {e}")))?;
        return Ok(text);
    }
    let path = format!("/boot/config-{}", release()?);
    std::fs::read_to_string(&path).map_err(|e| {
        Failure::environment(format!("the kernel's configuration is neither in {RUNNING_CONFIG} nor in {path}: {e}"))
    })
}

/// One more than the highest number of a CPU that may come: `0-3` is 4.
fn cpus() -> Option<u32> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible").ok()?;
    let highest = text.trim().rsplit(['-', ',']).next()?;
    Some(highest.parse::<u32>().ok()? + 1)
}
