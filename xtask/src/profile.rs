//! `cargo xtask profile`: asks the running kernel what the tables of `spec` claim, cell by cell, and prints where they differ.
//! One file per table; this one runs them and reports. Needs root, or QEMU and a kernel image.

mod calls;
mod code;
mod ctx;
mod helper_args;
mod helper_results;
mod helpers;
mod kfunc_flags;
mod kfuncs;
mod map_use;
mod maps;
mod offers;
mod record;
mod rules;
mod subjects;
mod sys;
mod targets;
pub(crate) mod vm;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use spec::Profile;
use spec::helper::HelperAvail;
use spec::profile::Lockdown;
use spec::prog::{ProgContext, ProgType};

use subjects::Subject;
use sys::Kernel;

#[derive(Args)]
pub struct Options {
    /// The profile to compare with
    #[arg(long, default_value = "6.18")]
    profile: String,
    /// Ask this kernel (a vmlinuz) in a QEMU guest instead of the running one
    #[arg(long)]
    vm: Option<PathBuf>,
    /// Print what the kernel offers, as `spec/profiles/kernels/` has it, instead of comparing
    #[arg(long)]
    record: bool,
    /// Write everything that a profile on disk has to a folder of this one, named after the kernel's series
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// Write the kernel's BTF to this file, compressed as profiles have it
    #[arg(long)]
    save_btf: Option<PathBuf>,
    /// Only these tables: helpers, helper-args, helper-results, ctx, kfuncs, rules, calls, maps, map-use, targets
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Print at most this many disagreements per table
    #[arg(long, default_value_t = 40)]
    show: usize,
}

/// The outcome of comparing one table.
#[derive(Default)]
struct Tally {
    agree: u64,
    /// The kernel did not get as far as the question, by reason.
    undecided: BTreeMap<String, u64>,
    differ: Vec<String>,
}

impl Tally {
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: impl FnOnce() -> String, ours: T, kernels: T) {
        if ours == kernels {
            self.agree += 1;
        } else {
            self.differ.push(format!("{}: table {ours:?}, kernel {kernels:?}", what()));
        }
    }

    /// Prints at most `show` differences.
    fn print(&self, name: &str, show: usize) {
        println!("{name}: {} agree, {} differ", self.agree, self.differ.len());
        for (why, count) in &self.undecided {
            println!("  not asked: {count} ({why})");
        }
        for line in self.differ.iter().take(show) {
            println!("  {line}");
        }
        if self.differ.len() > show {
            println!("  ... {} more", self.differ.len() - show);
        }
    }

    fn undecided(&mut self, why: impl Into<String>) {
        *self.undecided.entry(why.into()).or_default() += 1;
    }
}

const KERNELS_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Asks the kernel about one table.
type Compare = fn(&mut Kernel, &Profile) -> Result<Tally>;

pub fn run(options: &Options) -> Result<()> {
    if vm::is_guest() {
        vm::finish(vm::prepare().and_then(|()| ask_running_kernel(options)));
    }
    match &options.vm {
        Some(vmlinuz) if let Some(dir) = &options.write => write::from_guest(vmlinuz, dir),
        Some(vmlinuz) => {
            // Profiles on disk are found there as they are here: above the program.
            let at = format!("spec/profiles/{}", options.profile);
            let files = vm::folder(&crate::root().join(&at), &at)?;
            if !options.record && (options.only.is_empty() || options.only.iter().any(|o| o == "kfuncs")) {
                kfunc_flags::compare(vmlinuz, &Profile::load(&options.profile)?)?.print("kfunc-flags", options.show);
            }
            vm::run(vmlinuz, &guest_arguments(options), &files)
        }
        None => ask_running_kernel(options),
    }
}

/// The command line of the same questions inside the guest.
fn guest_arguments(options: &Options) -> Vec<String> {
    let mut args =
        vec!["profile".to_owned(), format!("--profile={}", options.profile), format!("--show={}", options.show)];
    if options.record {
        args.push("--record".to_owned());
    }
    if !options.only.is_empty() {
        args.push(format!("--only={}", options.only.join(",")));
    }
    args
}

fn ask_running_kernel(options: &Options) -> Result<()> {
    if let Some(path) = &options.save_btf {
        return Ok(std::fs::write(path, lz4_flex::compress_prepend_size(&std::fs::read(KERNELS_BTF)?))?);
    }
    let mut kernel = Kernel::open()?;
    if options.record {
        // The firmware's last words have no end of line.
        println!();
        print!("{}", record::text(&mut kernel, &with_kernels_btf(Profile::default())?)?);
        return Ok(());
    }
    if options.write.is_some() {
        let mut profile = with_kernels_btf(Profile::default())?;
        profile.version = record::running_version()?;
        return write::print(&mut kernel, &profile);
    }
    let profile = host_profile(Profile::load(&options.profile)?, &mut kernel)?;
    let tables: &[(&str, Compare)] = &[
        ("helpers", helpers::compare),
        ("helper-args", helper_args::compare),
        ("helper-results", helper_results::compare),
        ("ctx", ctx::compare),
        ("kfuncs", kfuncs::compare),
        ("rules", rules::compare),
        ("calls", calls::compare),
        ("maps", maps::compare),
        ("map-use", map_use::compare),
        ("targets", targets::compare),
    ];
    let mut differences = 0;
    for &(name, compare) in tables {
        if !options.only.is_empty() && !options.only.iter().any(|o| o == name) {
            continue;
        }
        let tally = compare(&mut kernel, &profile)?;
        tally.print(name, options.show);
        differences += tally.differ.len();
    }
    match differences {
        0 => Ok(()),
        n => bail!("{n} answers differ from profile {}", options.profile),
    }
}

/// The profile with the running kernel's BTF and its configuration, as far as that shows in what it withholds.
fn host_profile(mut profile: Profile, kernel: &mut Kernel) -> Result<Profile> {
    profile = with_kernels_btf(profile)?;
    let kprobe = ProgContext::of(ProgType::Kprobe);
    let mut offers = |id: u32| helpers::is_offered(kernel, kprobe, id);
    profile.config.kprobe_override = offers(58)?;
    profile.config.lockdown = match (offers(36)?, offers(113)?) {
        (true, _) => Lockdown::None,
        (false, true) => Lockdown::Integrity,
        (false, false) => Lockdown::Confidentiality,
    };
    let mut loads =
        |ty: ProgType, insns: &[isa::Insn]| kernel.load(&Subject::of(ProgContext::of(ty)).load(insns, 1)).errno == 0;
    profile.config.lirc_mode2 = loads(ProgType::LircMode2, &code::returning(0));
    let [set, exit] = code::returning(0);
    profile.config.kprobes = loads(ProgType::Kprobe, &[set, code::store(8, 1, 0, 0), exit]);
    println!(
        "kernel: lockdown {:?}, override_return {}",
        profile.config.lockdown,
        matches!(profile.helper(kprobe, 58), HelperAvail::Yes { .. })
    );
    Ok(profile)
}

fn with_kernels_btf(profile: Profile) -> Result<Profile> {
    let bytes = std::fs::read(KERNELS_BTF).context("the kernel's BTF")?;
    Ok(profile.with_btf(Arc::new(btf::Btf::parse(&bytes)?)))
}
