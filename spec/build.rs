//! Lists the folders of `profiles/` for `profile::embedded`, so that one more kernel is one more folder. Its files are taken in as they are.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

fn main() {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("profiles");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("profiles/ is part of the crate")
        .flatten()
        .filter(|e| e.path().join("kernel.txt").is_file())
        .filter_map(|e| e.file_name().into_string().ok())
        .collect();
    let numbers = |name: &String| name.split('.').map(|n| n.parse().unwrap_or(0)).collect::<Vec<u32>>();
    names.sort_by_key(numbers);
    let mut list = String::from("[\n");
    for name in names {
        let file = |file: &str| folder.join(&name).join(file);
        let (recording, offers, btf) = (file("kernel.txt"), file("offers.txt"), file("vmlinux.btf.gz"));
        writeln!(
            list,
            "    Embedded {{ name: {name:?}, recording: include_str!({recording:?}), offers: include_str!({offers:?}), \
             btf: include_bytes!({btf:?}) }},"
        )
        .expect("a string takes everything");
    }
    list.push(']');
    let out = Path::new(&env::var("OUT_DIR").expect("set by cargo")).join("embedded.rs");
    fs::write(out, list).expect("cargo's folder can be written");
}
