//! `kernels fetch`, `boot` and `clean`: the kernels that guests run. What is known about kernels is `kernels`' matter.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use vm::catalogue::{Catalogue, Origin};
use vm::package;

use crate::exit::{Failure, Status};
use crate::output::{DIM, styled};

/// What to fetch, and from where if not from a mirror.
#[derive(Debug, clap::Args)]
pub struct Fetch {
    /// Series, e.g. 6.12; the newest of each is taken. With a file: the name to keep it under
    #[arg(value_name = "SERIES", required = true)]
    names: Vec<String>,
    /// A Debian package with the kernel
    #[arg(long, value_name = "FILE", conflicts_with_all = ["vmlinuz", "image"])]
    deb: Option<PathBuf>,
    /// The kernel itself
    #[arg(long, value_name = "FILE", conflicts_with = "image")]
    vmlinuz: Option<PathBuf>,
    /// An OCI image with the kernel: a layout folder or a tar archive of one
    #[arg(long, value_name = "PATH")]
    image: Option<PathBuf>,
}

fn note(what: &str) {
    anstream::eprintln!("{}: {what}", styled(DIM, "note"));
}

pub fn fetch(args: &Fetch) -> Result<Status, Failure> {
    let catalogue = Catalogue::open().map_err(Failure::environment)?;
    let given = args.deb.as_deref().or(args.vmlinuz.as_deref()).or(args.image.as_deref());
    if given.is_some() && args.names.len() != 1 {
        return Err(Failure::input("a file is one kernel: give it one name"));
    }
    for name in &args.names {
        if name.contains('/') || name.starts_with('.') {
            return Err(Failure::input(format!("`{name}`: expected a name without `/`, such as 6.12")));
        }
        let kernel = match given {
            None => vm::fetch::fetch(&catalogue, name, &mut note),
            Some(path) => {
                let image = from_file(args, path)?;
                catalogue.keep(name, &image, &Origin { from: path.display().to_string() })
            }
        };
        let kernel = kernel.map_err(Failure::environment)?;
        writeln!(std::io::stdout(), "{} {} {}", kernel.name, kernel.origin.from, kernel.vmlinuz.display())?;
    }
    Ok(Status::Ok)
}

fn from_file(args: &Fetch, path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = path.display().to_string();
    let found = if args.deb.is_some() {
        package::kernel_of_deb(&crate::input::read(path)?, &shown)
    } else if args.vmlinuz.is_some() {
        package::check_image(crate::input::read(path)?, &shown)
    } else {
        package::kernel_of_oci(path)
    };
    found.map_err(Failure::input)
}

pub fn boot(names: &[String]) -> Result<Status, Failure> {
    let catalogue = Catalogue::open().map_err(Failure::environment)?;
    for name in names {
        let kernel = catalogue.find(name).map_err(Failure::environment)?;
        let start = Instant::now();
        let vm = vm::Vm::boot(&kernel, vm::Options::default()).map_err(Failure::environment)?;
        let seconds = start.elapsed().as_secs_f64();
        if vm.flakes > 0 {
            note(&format!("{} boots of {name} did not come up and were repeated", vm.flakes));
        }
        writeln!(std::io::stdout(), "{name}: Linux {} answers after {seconds:.1} s", vm.release)?;
    }
    Ok(Status::Ok)
}

/// Removes these kernels, or all.
pub fn clean(names: &[String]) -> Result<Status, Failure> {
    let catalogue = Catalogue::open().map_err(Failure::environment)?;
    let all: Vec<String> = catalogue.cached().into_iter().map(|k| k.name).collect();
    for name in if names.is_empty() { &all } else { names } {
        if !catalogue.remove(name).map_err(Failure::environment)? {
            return Err(Failure::environment(format!("kernel {name} is not there")));
        }
        note(&format!("{name} removed"));
    }
    Ok(Status::Ok)
}
