//! `cargo record`: loads and runs the corpus on the running kernel and writes `corpus/*/*.recorded.json`; with `--vm`, asks the kernel of a
//! guest about the programs that this machine's kernel refuses to judge. How a kernel is asked is kernel-diff's matter; whether its answers
//! are the expected ones is tested in `corpus`.

use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Only entries whose name (`xdp/drop_udp`) contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Boot this vmlinuz under QEMU and add its verdicts where the recordings have none
    #[arg(long, value_name = "VMLINUZ")]
    vm: Option<PathBuf>,
}

#[cfg(not(feature = "libbpf"))]
pub fn run(args: &Args) -> anyhow::Result<()> {
    let vm = args.vm.as_ref().map(|v| format!(" --vm {}", v.display())).unwrap_or_default();
    anyhow::bail!("built without libbpf; use `cargo record --only '{}'{vm}`", args.only)
}

#[cfg(feature = "libbpf")]
pub use live::run;

#[cfg(feature = "libbpf")]
mod live {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use anyhow::{Context, Result};
    use corpus::Corpus;
    use corpus::recorded::{Recorded, Verdict};
    use kernel_diff::libbpf::recorder::Recorder;

    use super::Args;
    use crate::profile::vm;

    /// Begins a line of the guest: then the entry's name, then its recording.
    const LINE: &str = "recorded ";

    pub fn run(args: &Args) -> Result<()> {
        if vm::is_guest() {
            vm::finish(vm::prepare().and_then(|()| answer(&args.only)));
        }
        match &args.vm {
            None => record(&args.only),
            Some(vmlinuz) => add(vmlinuz, &args.only),
        }
    }

    fn record(only: &str) -> Result<()> {
        let dir = crate::root().join("corpus");
        let corpus = Corpus::open_unrecorded(&dir)?;
        let recorder = Recorder::new()?;
        let mut written = 0;
        for entry in corpus.entries.iter().filter(|e| e.id().contains(only)) {
            let recorded = recorder.record(entry).with_context(|| entry.id())?;
            fs::write(dir.join(format!("{}.recorded.json", entry.id())), recorded.to_json()?)?;
            written += 1;
        }
        eprintln!(
            "{written} recordings written; `cargo test -p bpfverdict-corpus` says whether they are the expected ones"
        );
        Ok(())
    }

    /// In the guest: one line an entry.
    fn answer(only: &str) -> Result<()> {
        let recorder = Recorder::new()?;
        for entry in Corpus::embedded()?.entries.iter().filter(|e| e.id().contains(only)) {
            let json = recorder.record(entry).with_context(|| entry.id())?.to_json()?;
            // Line ends inside of texts are escaped: these are the layout's.
            println!("{LINE}{} {}", entry.id(), json.lines().collect::<String>());
        }
        Ok(())
    }

    fn add(vmlinuz: &Path, only: &str) -> Result<()> {
        let mut answers = BTreeMap::new();
        let mut args = vec!["corpus".to_owned(), "record".to_owned()];
        if !only.is_empty() {
            args.extend(["--only".to_owned(), only.to_owned()]);
        }
        vm::run_with(vmlinuz, &args, &[], &mut |line| {
            // The firmware's last words may stand before the first line.
            let rest = line.split_once(LINE).and_then(|(_, rest)| rest.split_once(' '));
            if let Some((id, json)) = rest {
                answers.insert(id.to_owned(), json.to_owned());
            }
        })?;
        let dir = crate::root().join("corpus");
        let mut added = 0;
        for entry in Corpus::open(&dir)?.entries {
            let (Some(json), Some(mut recorded)) = (answers.get(&entry.id()), entry.recorded.clone()) else { continue };
            let guest = Recorded::parse(json.as_bytes()).map_err(anyhow::Error::msg).with_context(|| entry.id())?;
            anyhow::ensure!(
                guest.object_hash == recorded.object_hash,
                "{}: this build embeds another object",
                entry.id()
            );
            added += merge(&mut recorded, &guest);
            fs::write(dir.join(format!("{}.recorded.json", entry.id())), recorded.to_json()?)?;
        }
        eprintln!("{added} verdicts of a guest added");
        Ok(())
    }

    /// Takes the guest's verdicts on programs that have none.
    fn merge(recorded: &mut Recorded, guest: &Recorded) -> usize {
        let mut added = 0;
        for program in &mut recorded.programs {
            let missing = matches!(program.outcome, Verdict::NotComparable { .. });
            let found = guest.programs.iter().find(|p| p.name == program.name);
            if let (true, Some(found)) = (missing, found)
                && !matches!(found.outcome, Verdict::NotComparable { .. })
            {
                program.outcome = found.outcome.clone();
                program.kernel = Some(corpus::recorded::Kernel { via: "qemu".to_owned(), ..guest.kernel.clone() });
                added += 1;
            }
        }
        added
    }
}
