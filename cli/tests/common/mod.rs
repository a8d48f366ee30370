//! Running the binary and looking at what it says. No expectations here.

use std::path::PathBuf;
use std::process::{Command, Output};

/// What a run of the binary said.
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        Self { status: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Everything, for a snapshot.
    pub fn all(&self) -> String {
        format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.status, self.out, self.err)
    }
}

/// Runs `bpfverdict` with these arguments, without a terminal and without colours.
pub fn bpfverdict(args: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_bpfverdict"))
        .args(args)
        .env("NO_COLOR", "1")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("COLUMNS")
        .current_dir(corpus(""))
        .output();
    Said::of(&output.expect("the binary starts"))
}

/// A file of the corpus.
pub fn corpus(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(path)
}
