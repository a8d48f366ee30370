//! `cargo record`: loads and runs the corpus on the running kernel and writes `corpus/*/*.recorded.json`. How the kernel is asked is
//! kernel-diff's matter; whether its answers are the expected ones is tested in `corpus`.

use anyhow::Result;

#[derive(clap::Args)]
pub struct Args {
    /// Only entries whose name (`xdp/drop_udp`) contains this
    #[arg(long, default_value = "")]
    only: String,
}

#[cfg(not(feature = "live"))]
pub fn run(args: &Args) -> Result<()> {
    anyhow::bail!("built without the live kernel; use `cargo record {}`", args.only)
}

#[cfg(feature = "live")]
pub fn run(args: &Args) -> Result<()> {
    use anyhow::Context;

    let dir = crate::root().join("corpus");
    let corpus = corpus::Corpus::open_unrecorded(&dir)?;
    let recorder = kernel_diff::live::recorder::Recorder::new()?;
    let mut written = 0;
    for entry in corpus.entries.iter().filter(|e| e.id().contains(&args.only)) {
        let recorded = recorder.record(entry).with_context(|| entry.id())?;
        std::fs::write(dir.join(format!("{}.recorded.json", entry.id())), recorded.to_json()?)?;
        written += 1;
    }
    eprintln!(
        "{written} recordings written; `cargo test -p bpfverdict-corpus` says whether they are the expected ones"
    );
    Ok(())
}
