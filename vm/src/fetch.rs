//! Getting a kernel's package from the mirror that this machine's apt is configured with. apt itself does it, with folders of its own, so
//! that proxies and signatures are as for everything else that it installs: the Release file is verified by signature, the index by its hash
//! in there, the package by its hash in the index. Nothing is installed and no root is needed. Taking a package apart is not here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::catalogue::{Archive, Cached, Catalogue, Origin, Source, numbers, sources};
use crate::package;

/// The architecture that QEMU is started for.
const ARCHITECTURE: &str = "amd64";

/// A repository of apt's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Repository {
    uri: String,
    suite: String,
    signed_by: String,
}

/// Fetches the newest kernel of a series. `progress` is told what is being done.
pub fn fetch(catalogue: &Catalogue, series: &str, progress: &mut dyn FnMut(&str)) -> Result<Cached, Error> {
    let table = sources()?;
    let source = table.iter().find(|s| s.series == series).ok_or_else(|| {
        let known: Vec<&str> = table.iter().map(|s| s.series.as_str()).collect();
        Error::Unknown(format!("nothing is known about where to get {series}; there are {}", known.join(", ")))
    })?;
    let repository = choose(&configured()?, source)?;
    let apt = Apt::new(&catalogue.folder().join(".apt"), &repository, &source.suite)?;
    progress(&format!("{series}: index of {}", source.suite));
    apt.run("apt-get", &["update", "-q"])?;
    let (name, version) = newest(&apt, source)?;
    progress(&format!("{series}: {name} {version}"));
    let deb = apt.download(&name, &version)?;
    let bytes = fs::read(&deb).map_err(Error::file(&deb))?;
    let image = package::kernel_of_deb(&bytes, &deb.display().to_string())?;
    // The package is many times larger than the image in it, and can be had again.
    let _ = fs::remove_file(&deb);
    catalogue.keep(series, &image, &Origin { from: format!("{name} {version}") })
}

/// The repositories that apt is configured with, as apt tells them.
fn configured() -> Result<Vec<Repository>, Error> {
    let format = "$(REPO_URI)|$(CODENAME)|$(SIGNED_BY)|$(ORIGIN)";
    let text = output("apt-get", &["indextargets", "--format", format, "Identifier: Packages"])?;
    Ok(repositories(&text))
}

fn repositories(text: &str) -> Vec<Repository> {
    let fields = |line: &str| -> Option<Repository> {
        // What this apt does not tell stays the variable's name.
        let mut parts = line.split('|').map(|p| if p.starts_with('$') { String::new() } else { p.to_owned() });
        let (uri, suite, signed_by, origin) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        (origin == "Debian").then_some(Repository { uri, suite, signed_by })
    };
    text.lines().filter_map(fields).collect()
}

/// The mirror for a row of the table: suites beside the configured ones are reached by the same mirror.
fn choose(configured: &[Repository], source: &Source) -> Result<Repository, Error> {
    let wanted = |r: &&Repository| r.suite.ends_with("-security") == (source.archive == Archive::Security);
    configured.iter().find(wanted).cloned().ok_or_else(|| {
        Error::Tool(format!(
            "apt is configured with no Debian mirror that has {} (give --deb, --vmlinuz or --image instead)",
            source.suite
        ))
    })
}

/// apt with folders of its own.
struct Apt {
    folder: PathBuf,
    options: Vec<String>,
}

impl Apt {
    fn new(folder: &Path, repository: &Repository, suite: &str) -> Result<Self, Error> {
        let folder = folder.join(suite);
        for part in ["lists/partial", "cache/archives/partial", "state"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(Error::file(&path))?;
        }
        let list = folder.join("sources.list");
        let signed = match repository.signed_by.as_str() {
            "" => String::new(),
            key => format!(" signed-by={key}"),
        };
        let line = format!("deb [arch={ARCHITECTURE}{signed}] {} {suite} main\n", repository.uri);
        fs::write(&list, line).map_err(Error::file(&list))?;
        let status = folder.join("state/status");
        fs::write(&status, "").map_err(Error::file(&status))?;
        let at = |part: &str| folder.join(part).display().to_string();
        let settings = [
            ("Dir::Etc::SourceList", list.display().to_string()),
            ("Dir::Etc::SourceParts", "/dev/null".to_owned()),
            ("Dir::State", at("state")),
            ("Dir::State::Lists", at("lists")),
            ("Dir::State::status", status.display().to_string()),
            ("Dir::Cache", at("cache")),
            ("APT::Architecture", ARCHITECTURE.to_owned()),
            ("APT::Architectures", ARCHITECTURE.to_owned()),
            ("APT::Sandbox::User", "root".to_owned()),
            ("Acquire::Languages", "none".to_owned()),
            ("Acquire::Check-Valid-Until", "true".to_owned()),
        ];
        let options = settings.iter().flat_map(|(name, value)| ["-o".to_owned(), format!("{name}={value}")]).collect();
        Ok(Self { folder, options })
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<String, Error> {
        let options = self.options.iter().map(String::as_str);
        let all: Vec<&str> = options.chain(args.iter().copied()).collect();
        output_in(&self.folder, program, &all)
    }

    /// The package's file, verified by its hash in the index.
    fn download(&self, name: &str, version: &str) -> Result<PathBuf, Error> {
        let debs = || -> Vec<PathBuf> {
            let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|e| e.path());
            entries.filter(|p| p.extension().is_some_and(|e| e == "deb")).collect()
        };
        for old in debs() {
            fs::remove_file(&old).map_err(Error::file(&old))?;
        }
        self.run("apt-get", &["download", "-q", &format!("{name}={version}")])?;
        debs().pop().ok_or_else(|| Error::Tool(format!("apt-get download {name} left no file")))
    }
}

/// Name and version of the newest package of a series.
fn newest(apt: &Apt, source: &Source) -> Result<(String, String), Error> {
    let found = apt.run("apt-cache", &["search", "--names-only", &source.package])?;
    let names: Vec<&str> = found.lines().filter_map(|l| l.split(' ').next()).collect();
    let mut shown = vec!["show"];
    shown.extend(&names);
    let text = if names.is_empty() { String::new() } else { apt.run("apt-cache", &shown)? };
    newest_of(&text)
        .ok_or_else(|| Error::Unknown(format!("{} has no package like {} any more", source.suite, source.package)))
}

/// The newest of the paragraphs of a package index.
fn newest_of(index: &str) -> Option<(String, String)> {
    let field = |paragraph: &str, name: &str| -> Option<String> {
        paragraph.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
    };
    let packages = index.split("\n\n").filter_map(|p| Some((field(p, "Package")?, field(p, "Version")?)));
    packages.max_by_key(|(_, version)| numbers(version))
}

fn output(program: &str, args: &[&str]) -> Result<String, Error> {
    output_in(Path::new("."), program, args)
}

fn output_in(folder: &Path, program: &str, args: &[&str]) -> Result<String, Error> {
    let done =
        Command::new(program).args(args).current_dir(folder).env("LC_ALL", "C").output().map_err(|e| {
            Error::Tool(format!("{program}: {e} (give --deb, --vmlinuz or --image where there is no apt)"))
        })?;
    if !done.status.success() {
        let last = String::from_utf8_lossy(&done.stderr);
        let last: Vec<&str> = last.lines().filter(|l| l.starts_with("E:")).collect();
        return Err(Error::Tool(format!("{program} {}: {}", args.last().unwrap_or(&""), last.join("; "))));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_those_that_apt_names() {
        let text = "http://mirror/debian/|bookworm|/key.gpg|Debian\nhttp://else/|nodistro||Other\n\
                    http://mirror/security/|bookworm-security|/key.gpg|Debian\nbroken\n";
        let all = repositories(text);
        assert_eq!(all.len(), 2);
        let source = |archive| Source { series: String::new(), archive, suite: String::new(), package: String::new() };
        assert_eq!(choose(&all, &source(Archive::Main)).expect("there").uri, "http://mirror/debian/");
        assert_eq!(choose(&all, &source(Archive::Security)).expect("there").uri, "http://mirror/security/");
        assert!(choose(&all[..1], &source(Archive::Security)).is_err());
    }

    #[test]
    fn the_newest_is_found_by_number() {
        let index = "Package: a-9\nVersion: 6.12.9-1\n\nPackage: a-117\nVersion: 6.12.117-1\n\nPackage: a-20\nVersion: 6.12.20-1\n";
        assert_eq!(newest_of(index), Some(("a-117".to_owned(), "6.12.117-1".to_owned())));
        assert_eq!(newest_of(""), None);
    }
}
