//! `cargo xtask tidy`: the repository's rules that no compiler checks. Each check returns what is wrong; nothing is changed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Longest source file in lines, unless it is in `TABLES`.
const MAX_LINES: usize = 800;

/// Files that are tables: read row by row, never from top to bottom.
const TABLES: &[&str] = &[];

/// Who may use whom, by folder; the order is that of docs/ARCHITECTURE.md. Development dependencies are free.
const MAY_USE: &[(&str, &[&str])] = &[
    ("isa", &[]),
    ("btf", &[]),
    ("scenario", &[]),
    ("corpus", &["scenario"]),
    ("program", &["isa", "btf"]),
    ("spec", &["isa", "btf", "program"]),
    ("loader", &["btf", "spec", "isa", "program"]),
    ("verifier", &["spec", "btf", "isa", "program"]),
    ("runtime", &["scenario", "spec", "isa", "btf", "program"]),
    ("diagnose", &["verifier", "spec", "isa"]),
    ("interpreter", &["runtime", "spec", "isa", "program"]),
    ("jit", &["runtime", "spec", "isa", "program"]),
    ("kernel-diff", &["scenario", "loader", "runtime", "corpus", "program", "spec", "isa", "btf"]),
    ("explain", &["corpus"]),
    ("engines", &["kernel-diff", "verifier", "interpreter", "jit", "runtime", "program", "spec", "isa", "btf"]),
    ("report", &[]),
    ("gate", &["report"]),
    ("vm", &["kernel-diff", "program", "isa", "btf"]),
    ("fuzz", &["engines", "kernel-diff", "verifier", "loader", "runtime", "program", "spec", "isa", "btf"]),
];

/// Crates that may contain `unsafe`.
const UNSAFE: &[&str] = &["runtime", "jit", "kernel-diff", "vm", "xtask"];

pub fn run() -> Result<()> {
    let root = crate::root();
    let mut problems = Vec::new();
    for (folder, allowed) in MAY_USE {
        let path = root.join(folder).join("Cargo.toml");
        let manifest = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        problems.extend(dependencies(folder, &manifest, allowed)?);
    }
    for path in rust_files(&root)? {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let name = path.strip_prefix(&root)?.display().to_string();
        problems.extend(source(&name, &text).into_iter().map(|p| format!("{name}: {p}")));
    }
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => Ok(()),
        n => bail!("{n} problems"),
    }
}

/// Workspace crates among a manifest's `[dependencies]` that its layer may not use.
fn dependencies(folder: &str, manifest: &str, allowed: &[&str]) -> Result<Vec<String>> {
    let manifest: toml::Table = manifest.parse().with_context(|| format!("{folder}/Cargo.toml"))?;
    let used = manifest.get("dependencies").and_then(|d| d.as_table()).into_iter().flat_map(|t| t.keys());
    Ok(used
        .filter(|name| MAY_USE.iter().any(|(crate_name, _)| crate_name == name))
        .filter(|name| !allowed.contains(&name.as_str()))
        .map(|name| format!("{folder}/Cargo.toml: {folder} must not depend on {name}"))
        .collect())
}

/// What is wrong with one source file.
fn source(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("//!") {
        problems.push("does not begin with `//!`: say what lives here and what does not".to_owned());
    }
    let lines = text.lines().count();
    if lines > MAX_LINES && !TABLES.contains(&name) {
        problems.push(format!("{lines} lines; split it by concept or list it as a table"));
    }
    // Spelt in two parts so that this file passes its own checks.
    for word in [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("TO", "DO"), concat!("FIX", "ME")] {
        if text.contains(word) {
            problems.push(format!("contains `{word}`"));
        }
    }
    let folder = name.split('/').next().unwrap_or_default();
    let block = concat!("unsafe", " {");
    if text.contains(block) {
        // Tests may call C libraries as oracles.
        let is_test = name.split('/').nth(1) == Some("tests");
        if !UNSAFE.contains(&folder) && !is_test {
            problems.push("contains an unsafe block outside runtime, jit and kernel-diff".to_owned());
        }
        for (n, _) in text.lines().enumerate().filter(|(_, l)| l.contains(block)) {
            if !has_safety(text, n) {
                problems.push(format!("line {}: unsafe block without `SAFETY:`", n + 1));
            }
        }
    }
    let lines: Vec<&str> = text.lines().collect();
    for (n, line) in lines.iter().enumerate() {
        let opens = line.trim_start().starts_with("#[allow(") || line.trim_start().starts_with("#![allow(");
        // The attribute may go on over several lines; its reason is an argument, or a comment on or above it.
        let end = lines[n..].iter().position(|l| l.contains(")]")).map_or(lines.len(), |i| n + i + 1);
        if opens
            && !lines[n.saturating_sub(1)..end]
                .iter()
                .any(|l| l.contains("reason") || l.trim_start().starts_with("// ") || l.contains(" // "))
        {
            problems.push(format!("line {}: `allow` without a reason", n + 1));
        }
    }
    problems
}

/// Whether the comment block right above line `n`, or the line itself, states why the block is sound.
fn has_safety(text: &str, n: usize) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    lines[..=n].iter().rev().take(12).any(|l| l.contains("SAFETY:"))
}

fn rust_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && !name.starts_with("target") {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_against_the_layers_is_found() {
        let manifest =
            "[dependencies]\nloader = { workspace = true }\nserde = \"1\"\n[dev-dependencies]\nverifier = \"1\"\n";
        assert_eq!(dependencies("isa", manifest, &[]).unwrap(), ["isa/Cargo.toml: isa must not depend on loader"]);
        assert!(dependencies("kernel-diff", manifest, &["loader"]).unwrap().is_empty());
    }

    #[test]
    fn each_rule_of_a_source_file_bites() {
        assert!(source("isa/src/a.rs", "//! Fine.\nfn f() {}\n").is_empty());
        assert_eq!(source("isa/src/a.rs", "fn f() {}\n").len(), 1);
        assert_eq!(source("isa/src/a.rs", &("//! Long.\n".repeat(801))).len(), 1);
        assert_eq!(source("isa/src/a.rs", concat!("//! x\nfn f() { to", "do!() }\n")).len(), 1);
        assert_eq!(source("isa/src/a.rs", "//! x\nuse y;\n#[allow(dead_code)]\nfn f() {}\n").len(), 1);
        assert!(source("isa/src/a.rs", "//! x\n// Some rows use none.\n#[allow(dead_code)]\nfn f() {}\n").is_empty());
        assert!(source("isa/src/a.rs", "//! x\n#[allow(dead_code, reason = \"y\")]\nfn f() {}\n").is_empty());
        assert!(
            source("isa/src/a.rs", "//! x\n#[allow(\n    dead_code,\n    reason = \"y\"\n)]\nfn f() {}\n").is_empty()
        );
        let block = concat!("unsafe", " { g() }");
        assert_eq!(source("isa/src/a.rs", &format!("//! x\n// SAFETY: y\n{block}\n")).len(), 1);
        assert_eq!(source("jit/src/a.rs", &format!("//! x\n{block}\n")).len(), 1);
        assert!(source("jit/src/a.rs", &format!("//! x\n// SAFETY: y\n{block}\n")).is_empty());
        assert!(source("loader/tests/a.rs", &format!("//! x\n// SAFETY: y\n{block}\n")).is_empty());
    }
}
