//! Embeds the corpus: every manifest, packet file, source, object and recording becomes an `include_bytes!` in a generated table.
//! Dropping a file into a folder is all it takes to add it. Nothing is compiled or parsed here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What the library reads; everything else in the tree (Rust sources, headers) stays out of the binary.
const SUFFIXES: [&str; 5] = ["corpus.toml", "packets.toml", ".bpf.c", ".bpf.o", ".recorded.json"];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("embedded.rs");
    let mut files = Vec::new();
    for entry in fs::read_dir(&root)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() && !matches!(name.as_str(), "src" | "tests" | "include") {
            println!("cargo::rerun-if-changed={}", path.display());
            collect(&path, &name, &mut files)?;
        } else if name == "packets.toml" {
            files.push((name, path));
        }
    }
    files.sort();
    let mut text = String::from("pub static FILES: &[(&str, &[u8])] = &[\n");
    for (name, path) in &files {
        println!("cargo::rerun-if-changed={}", path.display());
        writeln!(text, "    ({name:?}, include_bytes!({:?})),", path.display().to_string())
            .expect("a String takes any text");
    }
    text.push_str("];\n");
    fs::write(out, text)
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        if path.is_file() && SUFFIXES.iter().any(|s| name.ends_with(s)) {
            files.push((format!("{prefix}/{name}"), path.clone()));
        }
    }
    Ok(())
}
