//! Options that several subcommands share.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use spec::profile::{Config, Folders, Lockdown};
use spec::{AttachType, Profile, ProgType};

use crate::exit::Failure;

/// Where programs come from.
#[derive(Clone, Debug, Args)]
pub struct Sources {
    /// ELF objects, folders of them, raw instructions, text in the kernel's dialect, or load records (.jsonl); - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    #[command(flatten)]
    pub select: Select,
}

/// Which programs, and what they are where the input does not say.
#[derive(Clone, Debug, Default, Args)]
pub struct Select {
    /// Only the program of this name
    #[arg(long, value_name = "PROGRAM")]
    pub only: Option<String>,

    /// Program type of raw instructions and text, e.g. xdp or socket_filter; overrides an object's sections
    #[arg(long = "type", value_name = "TYPE", value_parser = prog_type)]
    pub prog_type: Option<ProgType>,

    /// Expected attach type, e.g. cgroup_inet_ingress
    #[arg(long = "attach", value_name = "TYPE", value_parser = attach_type)]
    pub attach: Option<AttachType>,

    /// Initial value of a global variable of an object, as a loader would set it, or a map's size: counts.max_entries=1024
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,

    /// File with such values, one NAME=VALUE a line
    #[arg(long, value_name = "FILE")]
    pub presets: Option<PathBuf>,

    /// Kernel configuration for an object's `.kconfig` externs, e.g. /boot/config-6.18 or /proc/config.gz
    #[arg(long, value_name = "FILE")]
    pub kconfig: Option<PathBuf>,
}

fn prog_type(text: &str) -> Result<ProgType, String> {
    let known = || ProgType::ALL.iter().map(|t| t.libbpf_name()).collect::<Vec<_>>().join(", ");
    ProgType::from_name(text).ok_or_else(|| format!("not a program type; there are {}", known()))
}

fn attach_type(text: &str) -> Result<AttachType, String> {
    AttachType::from_name(text).ok_or_else(|| "not an attach type".to_owned())
}

fn lockdown(text: &str) -> Result<Lockdown, String> {
    let known = || Lockdown::ALL.map(Lockdown::name).join(", ");
    Lockdown::from_name(text).ok_or_else(|| format!("expected one of {}", known()))
}

fn switch(text: &str) -> Result<(String, bool), String> {
    let (name, value) = text.split_once('=').ok_or("expected OPTION=y or OPTION=n")?;
    let on = match value {
        "y" | "1" => true,
        "n" | "0" => false,
        _ => return Err(format!("`{value}` is neither y nor n")),
    };
    let mut any = Config::FULL;
    if !any.set(name, on) {
        return Err(format!("no verdict depends on `{name}`; there are {}", Config::SWITCHES.join(", ")));
    }
    Ok((name.to_owned(), on))
}

/// The kernel to judge for where none is named.
const DEFAULT_KERNEL: &str = "6.18";

/// Which kernel to judge for.
#[derive(Clone, Debug, Args)]
pub struct Kernel {
    /// Kernel profile to judge by (`bpfverdict kernels` lists them); `host`: this machine's, with its BTF and configuration
    #[arg(long, value_name = "VERSION", default_value = DEFAULT_KERNEL)]
    pub kernel: String,

    /// Folder with more profiles; also $BPFVERDICT_PROFILES
    #[arg(long, value_name = "DIR")]
    pub profiles: Option<PathBuf>,

    /// What the kernel is locked down to: none, integrity or confidentiality
    #[arg(long, value_name = "LEVEL", value_parser = lockdown)]
    pub lockdown: Option<Lockdown>,

    /// A switch of the kernel's configuration, e.g. BPF_LSM=n or FUNCTION_ERROR_INJECTION=y
    #[arg(long, value_name = "OPTION=y|n", value_parser = switch)]
    pub config: Vec<(String, bool)>,

    /// Kernel BTF to use instead of the profile's, e.g. /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

impl Kernel {
    /// The kernels of `--kernel A,B`, each as if it alone were asked for.
    pub fn each(&self) -> Result<Vec<Self>, Failure> {
        let mut all: Vec<Self> = Vec::new();
        for name in self.kernel.split(',').map(str::trim) {
            if name.is_empty() {
                return Err(Failure::input(format!(
                    "--kernel {}: expected names with commas between them",
                    self.kernel
                )));
            }
            if all.iter().all(|k| k.kernel != name) {
                all.push(Self { kernel: name.to_owned(), ..self.clone() });
            }
        }
        Ok(all)
    }

    pub fn profile(&self) -> Result<Profile, Failure> {
        if self.kernel.contains(',') {
            return Err(Failure::input(format!("--kernel {}: this command takes one kernel", self.kernel)));
        }
        let mut profile = match self.kernel.as_str() {
            "host" => crate::host::profile(&self.folders())?,
            name => Profile::load_from(name, &self.folders()).map_err(Failure::environment)?,
        };
        if let Some(lockdown) = self.lockdown {
            profile.config.lockdown = lockdown;
        }
        for (name, on) in &self.config {
            profile.config.set(name, *on);
        }
        Ok(match self.vmlinux()? {
            Some(btf) => profile.with_btf(btf),
            None => profile,
        })
    }

    /// The kernel of a comparison: what answers decides. This machine's kernel answers for itself, with its BTF, so that programs are
    /// made for it; recorded answers are of the configuration that they were recorded with.
    pub fn profile_to_compare(&self, live: bool) -> Result<Profile, Failure> {
        if live {
            let release = kernel_diff::live::release();
            let own = release
                .strip_prefix(self.kernel.as_str())
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
            if !own && !matches!(self.kernel.as_str(), DEFAULT_KERNEL | "host") {
                return Err(Failure::environment(format!(
                    "this machine runs Linux {release}, which cannot answer for {}",
                    self.kernel
                )));
            }
            return Self { kernel: "host".to_owned(), ..self.clone() }.profile();
        }
        let mut profile = self.profile()?;
        if self.lockdown.is_none() && self.config.is_empty() {
            profile.config = Config::REFERENCE;
        }
        Ok(profile)
    }

    /// Where profiles are looked for.
    pub fn folders(&self) -> Folders {
        Folders::new(self.profiles.as_deref())
    }

    /// The BTF given with `--btf`.
    pub fn vmlinux(&self) -> Result<Option<Arc<btf::Btf>>, Failure> {
        let Some(path) = &self.btf else { return Ok(None) };
        let bytes = crate::input::read(path)?;
        let btf = btf::Btf::parse(&bytes).map_err(|e| Failure::file(path, format!("expected kernel BTF: {e}")))?;
        Ok(Some(Arc::new(btf)))
    }
}

/// Form of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table and the reasons
    #[default]
    Human,
    /// One JSON object a line
    Json,
    /// Comma-separated values with a header
    Csv,
}
