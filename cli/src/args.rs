//! Options that several subcommands share.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use spec::{AttachType, Profile, ProgType};

use crate::exit::Failure;

/// Where programs come from.
#[derive(Clone, Debug, Args)]
pub struct Sources {
    /// ELF objects, folders of them, raw instructions, text in the kernel's dialect, or load records (.jsonl)
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

    /// Initial value of a global variable of an object, as a loader would set it
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

fn prog_type(text: &str) -> Result<ProgType, String> {
    let known = || ProgType::ALL.iter().map(|t| t.libbpf_name()).collect::<Vec<_>>().join(", ");
    ProgType::from_name(text).ok_or_else(|| format!("not a program type; there are {}", known()))
}

fn attach_type(text: &str) -> Result<AttachType, String> {
    AttachType::from_name(text).ok_or_else(|| "not an attach type".to_owned())
}

/// Which kernel to judge for.
#[derive(Clone, Debug, Args)]
pub struct Kernel {
    /// Kernel profile to judge by (`bpfverdict kernels` lists them)
    #[arg(long, value_name = "VERSION", default_value = "6.18")]
    pub kernel: String,

    /// Kernel BTF to use instead of the profile's, e.g. /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

impl Kernel {
    pub fn profile(&self) -> Result<Profile, Failure> {
        let profile = Profile::load(&self.kernel).map_err(Failure::environment)?;
        Ok(match self.vmlinux()? {
            Some(btf) => profile.with_btf(btf),
            None => profile,
        })
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
