//! Filetests: every file of `tests/filetests/` is a program with its verdict on the offending line and runs with their results, which the
//! verifier, every engine and, where it may be asked, the kernel must fulfil. The format is told in `tests/filetests/README.md`.
//!
//! `FILETEST=part-of-a-name` runs some of them, `BLESS=1` writes what was found.

mod check;

use std::path::{Path, PathBuf};

use check::{Asked, check};
use tests::filetest::File;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("filetests")
}

fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder()];
    while let Some(dir) = folders.pop() {
        for entry in std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
            let path = entry.expect("a folder's entry").path();
            match path.extension().and_then(|e| e.to_str()) {
                None if path.is_dir() => folders.push(path),
                Some("bpf") => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_file_holds() {
    let mut kernel = kernel_diff::live::host_of("6.18");
    let (only, bless) = (std::env::var("FILETEST").ok(), std::env::var_os("BLESS").is_some());
    let mut asked = Asked::default();
    let mut failed = Vec::new();
    let mut count = 0;
    for path in files() {
        let name = path.strip_prefix(folder()).expect("in the folder").display().to_string();
        if only.as_ref().is_some_and(|o| !name.contains(o.as_str())) {
            continue;
        }
        count += 1;
        let file = match File::read(&path) {
            Ok(f) => f,
            Err(e) => {
                failed.push(format!("{name}: {e}"));
                continue;
            }
        };
        let found = check(&file, kernel.as_mut().ok().map(|k| &mut **k), &mut asked);
        if bless && !found.wrong.is_empty() {
            std::fs::write(&path, &found.blessed).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        failed.extend(found.wrong.iter().map(|w| format!("{name}: {w}")));
    }
    match &kernel {
        Ok(_) => {
            let (verdicts, runs) = (asked.verdicts, asked.runs);
            eprintln!("KERNEL: asked for {verdicts} verdicts and {runs} runs of {count} files");
            for why in &asked.mute {
                eprintln!("KERNEL: not asked: {why}");
            }
        }
        Err(why) => eprintln!("KERNEL: NOT ASKED, the {count} files were held against our own engines only: {why}"),
    }
    assert!(failed.is_empty(), "{} of {count} files differ:\n{}", failed.len(), failed.join("\n"));
    assert!(count > 0, "no file was checked");
}

/// The README's example is a filetest itself, and every directive that the reader knows is told there.
#[test]
fn the_readme_is_true() {
    let readme = std::fs::read_to_string(folder().join("README.md")).expect("the README");
    let examples: Vec<&str> =
        readme.split("```bpf\n").skip(1).map(|s| s.split("```").next().unwrap_or_default()).collect();
    assert!(examples.len() >= 2, "the README has examples");
    for (n, text) in examples.iter().enumerate() {
        let file = File::parse("readme", text).unwrap_or_else(|e| panic!("example {n}: {e}\n{text}"));
        let found = check(&file, None, &mut Asked::default());
        assert!(found.wrong.is_empty(), "example {n}: {:?}", found.wrong);
    }
    for word in
        ["type", "attach", "flags", "license", "caps", "map", "object", "insns", "log", "run", "reject", "kernel"]
    {
        assert!(readme.contains(&format!("`; {word}")), "the README does not tell of `; {word}`");
    }
}

/// A file that says something else fails, and blessing makes it right.
#[test]
fn what_is_wrong_is_found_and_blessed() {
    let wrong = "; type: xdp\n; insns: 7\n; run: packet=zero:14 => 5\nr0 = 2\nr0 += r3\nexit\n";
    let file = File::parse("wrong", wrong).expect("it parses");
    let found = check(&file, None, &mut Asked::default());
    assert_eq!(found.wrong.len(), 3, "{:?}", found.wrong);
    let right = found.blessed.replace("; run: packet=zero:14 => 5\n", "");
    assert!(right.contains("r0 += r3                                ; reject BV0202 \"R3 !read_ok\""), "{right}");
    let file = File::parse("right", &right).expect("it parses");
    assert_eq!(check(&file, None, &mut Asked::default()).wrong, [""; 0]);

    let wrong = "; type: xdp\n; run: packet=zero:14 => 5\nr0 = 2\nexit\n";
    let file = File::parse("wrong", wrong).expect("it parses");
    let found = check(&file, None, &mut Asked::default());
    assert!(found.blessed.contains("; run: packet=zero:14 => 2\n"), "{}", found.blessed);
}
