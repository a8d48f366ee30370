//! `cargo xtask judge --vm VMLINUZ --profile 6.12 PATH...`: every program of objects, folders, filetests and record files is loaded by the
//! kernel of a guest (without `--vm` by the running one), as our loader makes it for that kernel, and judged by us with the profile; prints
//! every difference. What a kernel offers is `profile`'s matter.

use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Objects, filetests, folders of them, files of load records
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Boot this vmlinuz under QEMU; without it the running kernel is asked, which needs root
    #[arg(long, value_name = "VMLINUZ")]
    vm: Option<PathBuf>,
    /// Judge with this profile
    #[arg(long, default_value = "6.18")]
    profile: String,
    /// Judge by the rules that there are, even if the profile's walk is not said to be modelled
    #[arg(long)]
    assume_modelled: bool,
    /// In the guest: the version that programs are made for
    #[arg(long, default_value = "", hide = true)]
    version: String,
    /// Only programs whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Keep the kernel's answers in this file, or take them from there if it exists
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Write the kernel's answers to this file, one a line, under names that do not depend on the order of PATHs: what tests compare
    /// with
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Put the kernel's answers into the filetests among PATHs, as `; kernel PROFILE: ...`
    #[arg(long)]
    write: bool,
    /// Print the kernel's log at this level beside ours instead of comparing
    #[arg(long)]
    log_level: Option<u32>,
    /// Print at most this many differences
    #[arg(long, default_value_t = 40)]
    show: usize,
}

pub use live::run;

mod live {
    use std::collections::{BTreeMap, HashSet};
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use anyhow::{Context, Result, bail};
    use btf::Btf;
    use kernel_diff::live::HostKernel;
    use kernel_diff::{Engine, LoadOptions};
    use program::Program;
    use serde::{Deserialize, Serialize};
    use spec::Profile;
    use spec::profile::Version;
    use tests::filetest::{File, Says};

    use super::Args;
    use crate::profile::vm;

    /// Begins a line of the guest that is an answer.
    const LINE: &str = "answer ";
    /// Where the guest has what it is asked about.
    const FOLDER: &str = "programs";
    /// The names of its files that hold programs, one a line.
    const NAMES: &str = "names";
    /// The programs that need not be asked about any more, one a line.
    const ANSWERED: &str = "answered";
    /// Begins a line of the guest that names the program that it loads next.
    const ASKED: &str = "asked ";
    /// The verdict on a program that the kernel could not be asked about.
    const NOT_ASKED: &str = "not asked";
    const KERNELS_BTF: &str = "/sys/kernel/btf/vmlinux";

    /// What one verifier says.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Answer {
        verdict: String,
        errno: i32,
        message: String,
        insns: Option<u64>,
        total: Option<u64>,
        peak: Option<u64>,
    }

    pub fn run(args: &Args) -> Result<()> {
        if vm::is_guest() {
            vm::finish(vm::prepare().and_then(|()| answer(args)));
        }
        let vmlinuz = args.vm.as_deref();
        let files = collect(&args.paths)?;
        if args.log_level.is_some() {
            return logs(args, vmlinuz, &files);
        }
        let theirs = match &args.answers {
            Some(path) if path.exists() => serde_json::from_slice(&fs::read(path)?)?,
            _ => ask(args, vmlinuz, &files)?,
        };
        if let Some(path) = &args.answers {
            fs::write(path, serde_json::to_vec(&theirs)?)?;
        }
        if let Some(path) = &args.record {
            record(args, path, &theirs)?;
        }
        if args.write {
            return write(args, &theirs);
        }
        compare(args, &files, &theirs)
    }

    /// One line a program, sorted by name: the folder that the object is in, the object and the program.
    fn record(args: &Args, path: &Path, answers: &BTreeMap<String, Answer>) -> Result<()> {
        let found = find(&args.paths)?;
        let folder = |number: usize| found.get(number)?.parent()?.file_name()?.to_str();
        let mut lines = BTreeMap::new();
        for (name, answer) in answers {
            let (number, rest) = name.split_once('/').context("an answer without a number")?;
            lines.insert(format!("{}/{rest}", folder(number.parse()?).unwrap_or(".")), answer);
        }
        let lines: Result<Vec<String>, _> = lines.iter().map(|l| serde_json::to_string(&l)).collect();
        Ok(fs::write(path, lines?.join("\n") + "\n")?)
    }

    /// The answers become lines of the filetests that were asked about.
    fn write(args: &Args, answers: &BTreeMap<String, Answer>) -> Result<()> {
        let found = find(&args.paths)?;
        for (name, answer) in answers {
            let number: usize = name.split('/').next().unwrap_or_default().parse()?;
            let Some(path) = found.get(number).filter(|p| p.extension().is_some_and(|e| e == "bpf")) else { continue };
            if answer.verdict == NOT_ASKED {
                eprintln!("{}: {NOT_ASKED}: {}", path.display(), answer.message);
                continue;
            }
            let says = Says {
                errno: answer.errno,
                message: answer.message.lines().last().unwrap_or_default().to_owned(),
                insns: answer.insns,
                states: answer.total.zip(answer.peak),
            };
            let file = File::read(path).map_err(anyhow::Error::msg).with_context(|| path.display().to_string())?;
            fs::write(path, file.with_answer(&args.profile, &says))?;
        }
        Ok(())
    }

    /// A profile as asked for; the running kernel is the reference unless another is named.
    fn profile(args: &Args) -> Result<Profile> {
        let reference = args.vm.is_none() && args.profile == "6.18";
        let mut profile = if reference { Profile::reference() } else { Profile::load(&args.profile)? };
        profile.modelled |= args.assume_modelled;
        Ok(profile)
    }

    /// The files below the paths that hold programs, always in the same order.
    fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for path in paths {
            let mut todo = vec![path.clone()];
            while let Some(path) = todo.pop() {
                if path.is_dir() {
                    let mut inside =
                        fs::read_dir(&path)?.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
                    inside.sort();
                    todo.extend(inside.into_iter().rev());
                } else if path.extension().is_some_and(|e| e == "o" || e == "jsonl" || e == "bpf") {
                    found.push(path);
                }
            }
        }
        Ok(found)
    }

    /// These files under the names that the guest has them by: a number keeps equal names apart.
    fn collect(paths: &[PathBuf]) -> Result<Vec<vm::GuestFile>> {
        let mut files = Vec::new();
        for (number, path) in find(paths)?.iter().enumerate() {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("unnamed");
            let folder = format!("{FOLDER}/{number:05}");
            files.push((format!("{folder}/{name}"), fs::read(path).with_context(|| path.display().to_string())?));
            if path.extension().is_some_and(|e| e == "jsonl") {
                let beside = path.parent().unwrap_or(Path::new("."));
                files.extend(vm::folder(&beside.join("btf"), &format!("{folder}/btf"))?);
            }
        }
        Ok(files)
    }

    /// The kernel that programs are made for.
    struct Target {
        version: Version,
        btf: Arc<Btf>,
    }

    impl Target {
        /// As far as loaders look at it.
        fn profile(&self) -> Profile {
            let mut profile = Profile::default().with_btf(Arc::clone(&self.btf));
            (profile.version, profile.changes) = (self.version, spec::profile::Changes::of(self.version));
            profile
        }
    }

    /// Calls `each` with every program, by its name: `00012/xdp.bpf.o:prog`. Records are judged by the kernel's BTF unless they name one.
    fn visit(root: &Path, names: &[String], kernel: &Target, each: &mut dyn FnMut(&str, Program)) -> Result<()> {
        for name in names {
            let path = root.join(name);
            let short = name.trim_start_matches(FOLDER).trim_start_matches('/');
            if name.ends_with(".jsonl") {
                let mut reader = loader::records::Reader::new(path.parent().unwrap_or(root));
                for line in fs::read_to_string(&path)?.lines() {
                    let record = reader.parse_line(line).with_context(|| name.clone())?;
                    each(&format!("{short}:{}", record.id.unwrap_or_default()), record.program);
                }
                continue;
            }
            if name.ends_with(".bpf") {
                let file = File::read(&path).map_err(anyhow::Error::msg).with_context(|| name.clone())?;
                // Objects are the corpus's matter, and guests have all capabilities.
                if !file.is_of_corpus() && file.caps.is_none() {
                    each(&format!("{short}:"), file.program);
                }
                continue;
            }
            let object_name = loader::Options::name_from_path(&path);
            let options = loader::Options { object_name, ..loader::Options::for_profile(&kernel.profile()) };
            let Ok(object) = loader::open(&fs::read(&path)?, &options) else { continue };
            let mut linker = object.linker(Some(&kernel.btf));
            for (index, program) in object.programs.iter().enumerate() {
                if let Ok(mut made) = linker.program(index) {
                    // Only its own maps are made here.
                    made.object_maps = Arc::default();
                    each(&format!("{short}:{}", program.name), made);
                }
            }
        }
        Ok(())
    }

    /// In the guest: one line a program.
    fn answer(args: &Args) -> Result<()> {
        let names: Vec<String> = fs::read_to_string(Path::new("/").join(NAMES))?.lines().map(str::to_owned).collect();
        // The firmware's last words have no end of line.
        println!();
        let answered = fs::read_to_string(Path::new("/").join(ANSWERED))?;
        let answered: HashSet<&str> = answered.lines().collect();
        load(args, &args.version, Path::new("/"), &names, &|name| !answered.contains(name), &mut |line| match line {
            Line::Asked(name) => println!("{ASKED}{name}"),
            Line::Answer(name, answer) => {
                let json = serde_json::to_string(&(name, answer)).unwrap_or_default();
                println!("{LINE}{json}");
            }
        })
    }

    /// What happens when programs are loaded.
    enum Line<'a> {
        Asked(&'a str),
        Answer(&'a str, Answer),
    }

    /// Has the kernel that this runs on load the programs of these files.
    fn load(
        args: &Args,
        version: &str,
        root: &Path,
        names: &[String],
        wanted: &dyn Fn(&str) -> bool,
        each: &mut dyn FnMut(Line<'_>),
    ) -> Result<()> {
        let target = Target { version: Version::parse(version), btf: Arc::new(Btf::parse(&fs::read(KERNELS_BTF)?)?) };
        let mut kernel = HostKernel::new()?;
        let level = args.log_level.unwrap_or(4);
        visit(root, names, &target, &mut |name, program| {
            if !name.contains(&args.only) || !wanted(name) {
                return;
            }
            each(Line::Asked(name));
            let answer = match kernel.load(&program, &LoadOptions::with_level(level)) {
                Ok(load) => Answer {
                    verdict: if load.judgement.accepted { "accept" } else { "reject" }.to_owned(),
                    errno: load.judgement.errno,
                    insns: load.judgement.stats.insns_processed,
                    total: load.judgement.stats.total_states,
                    peak: load.judgement.stats.peak_states,
                    message: load.judgement.message().to_owned(),
                },
                Err(e) => Answer { verdict: NOT_ASKED.to_owned(), message: e.to_string(), ..Answer::default() },
            };
            kernel.forget_maps();
            each(Line::Answer(name, answer));
        })
    }

    /// The files on the machine's own disk.
    fn unpack(files: &[vm::GuestFile]) -> Result<tempfile::TempDir> {
        let dir = tempfile::tempdir()?;
        for (name, bytes) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap_or(dir.path()))?;
            fs::write(path, bytes)?;
        }
        Ok(dir)
    }

    /// The answers of the running kernel.
    fn ask_running(args: &Args, files: &[vm::GuestFile]) -> Result<BTreeMap<String, Answer>> {
        let dir = unpack(files)?;
        let mut answers = BTreeMap::new();
        let version = profile(args)?.version.to_string();
        load(args, &version, dir.path(), &names(files), &|_| true, &mut |line| {
            if let Line::Answer(name, answer) = line {
                answers.insert(name.to_owned(), answer);
            }
        })?;
        Ok(answers)
    }

    /// On the host: boots the guest and reads its answers. A program that the kernel does not come back from, or that brings it down, is
    /// left out of the next boot.
    fn ask(args: &Args, vmlinuz: Option<&Path>, files: &[vm::GuestFile]) -> Result<BTreeMap<String, Answer>> {
        let Some(vmlinuz) = vmlinuz else { return ask_running(args, files) };
        let mut answers: BTreeMap<String, Answer> = BTreeMap::new();
        let version = profile(args)?.version;
        let mut arguments = vec!["judge".to_owned(), "/".to_owned(), format!("--version={version}")];
        if !args.only.is_empty() {
            arguments.push(format!("--only={}", args.only));
        }
        arguments.extend(args.log_level.map(|l| format!("--log-level={l}")));
        loop {
            let mut files = files.to_vec();
            files.push((NAMES.to_owned(), names(&files).join("\n").into_bytes()));
            let known: Vec<&str> = answers.keys().map(String::as_str).collect();
            files.push((ANSWERED.to_owned(), known.join("\n").into_bytes()));
            let mut asked = None;
            let ended = vm::run_with(vmlinuz, &arguments, &files, &mut |line| {
                if let Some(name) = line.strip_prefix(ASKED) {
                    asked = Some(name.to_owned());
                } else if let Some(Ok((name, answer))) =
                    line.strip_prefix(LINE).map(serde_json::from_str::<(String, Answer)>)
                {
                    asked = None;
                    answers.insert(name, answer);
                } else if !line.trim().is_empty() {
                    // What the kernel itself says: an oops, or that it is out of memory.
                    eprintln!("{line}");
                }
            });
            match (ended, asked) {
                (Ok(()), _) => return Ok(answers),
                (Err(why), Some(name)) => {
                    eprintln!("{name}: {why:#}");
                    let lost =
                        Answer { verdict: NOT_ASKED.to_owned(), message: format!("{why:#}"), ..Answer::default() };
                    answers.insert(name, lost);
                }
                (Err(why), None) => return Err(why),
            }
        }
    }

    fn names(files: &[vm::GuestFile]) -> Vec<String> {
        let is_asked = |n: &&String| n.ends_with(".o") || n.ends_with(".jsonl") || n.ends_with(".bpf");
        files.iter().map(|(n, _)| n).filter(is_asked).cloned().collect()
    }

    /// What we say, program by program.
    fn judge(
        args: &Args,
        files: &[vm::GuestFile],
        theirs: &BTreeMap<String, Answer>,
        each: &mut dyn FnMut(&str, verifier::Outcome, &Answer),
    ) -> Result<()> {
        let profile = profile(args)?;
        let dir = unpack(files)?;
        let target = Target { version: profile.version, btf: Arc::clone(profile.btf()) };
        let options = verifier::Options { log_level: args.log_level.unwrap_or(0) };
        visit(dir.path(), &names(files), &target, &mut |name, program| {
            // What the kernel takes too long for takes us long, too.
            if let Some(kernel) = theirs.get(name).filter(|k| name.contains(&args.only) && k.verdict != NOT_ASKED) {
                each(name, verifier::verify(&program, &profile, &options), kernel);
            }
        })
    }

    fn compare(args: &Args, files: &[vm::GuestFile], theirs: &BTreeMap<String, Answer>) -> Result<()> {
        let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
        let mut shown = 0;
        tally.insert(NOT_ASKED, theirs.values().filter(|k| k.verdict == NOT_ASKED).count());
        judge(args, files, theirs, &mut |name, ours, kernel| {
            // What a kernel has not heard of, it refuses without a word.
            let told = ours.id == Some("BV0003") && kernel.message.is_empty();
            let ours = Answer {
                verdict: ours.verdict.name().to_owned(),
                errno: ours.errno,
                message: ours.message.trim_end().to_owned(),
                insns: Some(u64::from(ours.stats.insns_processed)),
                total: Some(u64::from(ours.stats.total_states)),
                peak: Some(u64::from(ours.stats.peak_states)),
            };
            let rejected = kernel.verdict == "reject";
            let what = if ours.verdict == "unsupported" {
                "unsupported"
            } else if ours.verdict == "accept" && rejected {
                "FALSE ACCEPT"
            } else if ours.verdict != kernel.verdict {
                "false reject"
            } else if ours.errno != kernel.errno {
                "errno"
            } else if ours.message != kernel.message && !told {
                "message"
            } else if kernel.insns.is_some() && ours.insns != kernel.insns {
                "insns"
            } else if kernel.insns.is_some() && (ours.total, ours.peak) != (kernel.total, kernel.peak) {
                "states"
            } else {
                "agree"
            };
            *tally.entry(what).or_default() += 1;
            if what != "agree" && shown < args.show {
                shown += 1;
                let text = |a: &Answer| {
                    let Answer { verdict, errno, message, insns, total, peak } = a;
                    format!("{verdict} {errno} {insns:?}/{total:?}/{peak:?} {message:?}")
                };
                println!("{what} {name}\n    ours   {}\n    kernel {}", text(&ours), text(kernel));
            }
        })?;
        for (what, count) in &tally {
            println!("{what}: {count}");
        }
        let different: usize = tally.iter().filter(|(w, _)| !matches!(**w, "agree" | NOT_ASKED)).map(|(_, n)| n).sum();
        if different == 0 { Ok(()) } else { bail!("{different} programs differ") }
    }

    /// Both logs, one after the other.
    fn logs(args: &Args, vmlinuz: Option<&Path>, files: &[vm::GuestFile]) -> Result<()> {
        let theirs = ask(args, vmlinuz, files)?;
        judge(args, files, &theirs, &mut |name, ours, kernel| {
            println!("== {name}, kernel: {} {}\n{}", kernel.verdict, kernel.errno, kernel.message);
            println!("== {name}, ours: {} {}\n{}", ours.verdict.name(), ours.errno, ours.log);
        })
    }
}
